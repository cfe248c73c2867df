/* SPDX-License-Identifier: BSD-3-Clause */
/* peer_rig.h - a service in this process, over files in a folder of its own. Nothing
 * listens: the tests call what the control socket would call. */
#ifndef BATON_TESTS_PEER_RIG_H
#define BATON_TESTS_PEER_RIG_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>
#include <jansson.h>

#include "config.h"
#include "disk.h"
#include "service.h"
#include "service_start.h"
#include "takeover.h"

#define RIG_UUID "11111111-2222-3333-4444-555555555555"
#define RIG_RIGHT "0123456789abcdef0123456789abcdef"

static char rig_dir[64];

static inline void
rig_set_up(void)
{
    (void)snprintf(rig_dir, sizeof rig_dir, "/tmp/baton-peer.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(rig_dir));
}

static inline void
rig_tear_down(void)
{
    char cmd[128];

    (void)snprintf(cmd, sizeof cmd, "rm -rf %s", rig_dir);
    ck_assert_int_eq(system(cmd), 0);
}

static inline void
rig_new_device(const char *name, off_t size)
{
    char path[128];
    int fd;

    (void)snprintf(path, sizeof path, "%s/%s", rig_dir, name);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, size), 0);
    (void)close(fd);
}

static inline void
rig_set(struct service_config *c, const char *key, const char *value)
{
    struct err e = {0};

    ck_assert_msg(config_set(c, key, value, "test", &e) == 0, "%s", e.msg);
}

/* Configure service `name` with the disk vda on `device`, and more in `options`. */
static inline void
rig_configure(struct service_config *c, const char *name, const char *device,
              const char *options)
{
    struct err e = {0};
    char text[256];

    service_config_init(c);
    rig_set(c, "name", name);
    (void)snprintf(text, sizeof text, "unix:%s/%s.nbd", rig_dir, name);
    rig_set(c, "listen", text);
    (void)snprintf(text, sizeof text, "unix:%s/%s.ctl", rig_dir, name);
    rig_set(c, "control", text);
    (void)snprintf(text, sizeof text, "%s/%s.state", rig_dir, name);
    rig_set(c, "state-dir", text);
    (void)snprintf(text, sizeof text, "name=vda,device=%s/%s%s", rig_dir, device,
                   options);
    rig_set(c, "disk", text);
    ck_assert_msg(config_complete(c, &e) == 0, "%s", e.msg);
}

static inline struct service *
rig_start(const struct service_config *c)
{
    struct err e = {0};
    struct service *s = NULL;

    ck_assert_msg(service_new(c, -1, &e, &s) == 0, "%s", e.msg);
    return s;
}

/* As a process that ends: nothing of the service is in use any more. */
static inline void
rig_end(struct service *s)
{
    service_free(s);
}

static inline json_t *
rig_batch(const char *uuid, json_int_t epoch)
{
    return json_pack("{s:s,s:[{s:s,s:s,s:I,s:s,s:s,s:{s:I,s:I,s:I,s:I,s:I}}]}", "from",
                     "x", "disks", "name", "vda", "uuid", uuid, "epoch", epoch, "right",
                     RIG_RIGHT, "flushed_by", "x.1", "info", "size", (json_int_t)65536,
                     "min_block", (json_int_t)1, "pref_block", (json_int_t)4096,
                     "max_block", (json_int_t)(32 << 20), "caps", (json_int_t)0);
}

/* 1 or 0: what peer.assign says; negative: it failed. */
static inline int
rig_assign(struct service *s, const char *uuid, json_int_t epoch)
{
    json_t *params = rig_batch(uuid, epoch), *result = NULL;
    struct err e = {0};
    int rc = takeover_assign(s, NULL, params, &e, &result);

    if (rc == 0) {
        rc = json_is_true(json_object_get(result, "assigned"));
    }
    json_decref(result);
    json_decref(params);
    return rc;
}

#endif
