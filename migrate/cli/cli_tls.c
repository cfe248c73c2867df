/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_tls.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "cli.h"
#include "tls.h"

#define TLS_VAL 0x1000

static const struct option tls_options[] = {
    {"tls-certificates", required_argument, NULL, TLS_VAL},
    {"tls-psk", required_argument, NULL, TLS_VAL + 1},
    {"tls-psk-user", required_argument, NULL, TLS_VAL + 2},
};
#define NR_TLS_OPTIONS (sizeof tls_options / sizeof tls_options[0])

static const char *texts[NR_TLS_OPTIONS];
static struct tls_settings settings;

void
cli_tls_add(const struct option *options, struct option all[CLI_MAX_OPTIONS])
{
    bool is_client = false;
    size_t nr = 0;

    for (; options[nr].name != NULL; nr++) {
        assert(nr + NR_TLS_OPTIONS + 1 < CLI_MAX_OPTIONS);
        all[nr] = options[nr];
        is_client = is_client || strcmp(options[nr].name, "at") == 0 ||
                    strcmp(options[nr].name, "from") == 0;
    }
    for (size_t i = 0; is_client && i < NR_TLS_OPTIONS; i++) {
        all[nr++] = tls_options[i];
    }
    all[nr] = (struct option){0};
}

bool
cli_tls_is_option(int val)
{
    return val >= TLS_VAL && val < TLS_VAL + (int)NR_TLS_OPTIONS;
}

bool
cli_tls_take(const char *command, int val)
{
    char option[32];

    (void)snprintf(option, sizeof option, "--%s", tls_options[val - TLS_VAL].name);
    return cli_take_once(command, option, &texts[val - TLS_VAL]);
}

bool
cli_tls_complete(const char *command)
{
    struct err e = {{0}};

    if (texts[0] != NULL && texts[1] != NULL) {
        (void)cli_fail(0, command,
                       "--tls-certificates and --tls-psk contradict each other; "
                       "allowed: one of them");
        return false;
    }
    if ((texts[1] != NULL) != (texts[2] != NULL)) {
        (void)cli_fail(0, command, "--tls-psk and --tls-psk-user need each other");
        return false;
    }
    settings = (struct tls_settings){.certificates = (char *)(uintptr_t)texts[0],
                                     .psk = (char *)(uintptr_t)texts[1],
                                     .psk_user = (char *)(uintptr_t)texts[2]};
    if (tls_check(&settings, false, &e) < 0) {
        (void)cli_fail(0, command, "%s", e.msg);
        return false;
    }
    tls_settings_set(&settings);
    return true;
}
