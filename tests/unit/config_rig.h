/* SPDX-License-Identifier: BSD-3-Clause */
/* config_rig.h - a configuration, a folder for files, and what was said last. */
#ifndef BATON_TESTS_CONFIG_RIG_H
#define BATON_TESTS_CONFIG_RIG_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "config.h"
#include "err.h"

#define UUID "abcdef01-2345-6789-abcd-ef0123456789"
#define UUID_UPPER "ABCDEF01-2345-6789-abcd-ef0123456789"

static struct service_config config;
static struct err err;
static char folder[64];

static inline void
rig_set_up(void)
{
    service_config_init(&config);
    err.msg[0] = '\0';
    (void)snprintf(folder, sizeof folder, "/tmp/baton-config-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static inline void
rig_tear_down(void)
{
    static const char *const names[] = {"a.conf", "x", "link"};
    char path[128];

    service_config_done(&config);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path); /* most tests do not make it */
    }
    ck_assert_int_eq(rmdir(folder), 0);
}

static inline int
set_option(const char *key, const char *value)
{
    return config_set(&config, key, value, "--x", &err);
}

static inline void
assert_says(const char *fragment)
{
    ck_assert_msg(strstr(err.msg, fragment) != NULL, "\"%s\" is not in \"%s\"",
                  fragment, err.msg);
}

#endif
