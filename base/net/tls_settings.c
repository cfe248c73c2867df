/* SPDX-License-Identifier: BSD-3-Clause */
#include "tls_settings.h"

#include <stddef.h>

static const struct tls_settings none;
static const struct tls_settings *current = &none; /* set before threads start */

void
tls_settings_set(const struct tls_settings *settings)
{
    current = settings != NULL ? settings : &none;
}

const struct tls_settings *
tls_settings_get(void)
{
    return current;
}

bool
tls_is_on(const struct tls_settings *settings)
{
    return settings->certificates != NULL || settings->psk != NULL;
}
