/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_tls.h"

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "say.h"
#include "tls.h"

static const char *certificates, *psk, *psk_user;
static struct tls_settings settings;

const struct cli_option *
cli_tls_options(void)
{
    static const struct cli_option options[] = {
        {"tls-certificates", "DIR", "", .text = &certificates},
        {"tls-psk", "FILE", "", .text = &psk},
        {"tls-psk-user", "NAME", "", .text = &psk_user},
        {0},
    };

    return options;
}

bool
cli_tls_complete(const char *command)
{
    struct err e = {{0}};

    if (certificates != NULL && psk != NULL) {
        (void)cli_fail(0, command,
                       "--tls-certificates and --tls-psk contradict each other; "
                       "allowed: one of them");
        return false;
    }
    if ((psk != NULL) != (psk_user != NULL)) {
        (void)cli_fail(0, command, "--tls-psk and --tls-psk-user need each other");
        return false;
    }
    settings = (struct tls_settings){.certificates = (char *)(uintptr_t)certificates,
                                     .psk = (char *)(uintptr_t)psk,
                                     .psk_user = (char *)(uintptr_t)psk_user};
    if (tls_check(&settings, false, &e) < 0) {
        (void)cli_fail(0, command, "%s", e.msg);
        return false;
    }
    tls_settings_set(&settings);
    return true;
}
