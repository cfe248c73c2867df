/* SPDX-License-Identifier: BSD-3-Clause */
/* The name is the only thing that a channel says about itself, and it comes from a
 * peer: what is not exactly what channel_name_format() writes is refused. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "port_channel.h"

#define CLIENT_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
#define UUID_LEN 36

int
channel_name_format(const struct channel_name *n, char *buf)
{
    int len = snprintf(buf, CHANNEL_NAME_MAX,
                       CHANNEL_NAME_PREFIX "uuid=%s;epoch=%" PRIu64
                                           ";client=%s;session=%" PRIu64,
                       n->uuid, n->epoch, n->client, n->session);

    assert(len > 0 && len < CHANNEL_NAME_MAX);
    return len;
}

/* Move *s past what must stand there. */
static bool
skip(const char **s, const char *text)
{
    size_t len = strlen(text);

    if (strncmp(*s, text, len) != 0) {
        return false;
    }
    *s += len;
    return true;
}

static bool
take_uuid(const char **s, char *uuid)
{
    for (int i = 0; i < UUID_LEN; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (**s == '\0' || strchr(is_dash ? "-" : "0123456789abcdef", **s) == NULL) {
            return false;
        }
        uuid[i] = *(*s)++;
    }
    uuid[UUID_LEN] = '\0';
    return true;
}

static bool
take_client(const char **s, char *client, size_t client_size)
{
    size_t len = strspn(*s, CLIENT_CHARS);

    if (len == 0 || len >= client_size) {
        return false;
    }
    memcpy(client, *s, len);
    client[len] = '\0';
    *s += len;
    return true;
}

/* Digits without a leading zero that fit. */
static bool
take_number(const char **s, uint64_t *ret_n)
{
    const char *first = *s;
    uint64_t n = 0;

    for (; **s >= '0' && **s <= '9'; (*s)++) {
        if (__builtin_mul_overflow(n, UINT64_C(10), &n) ||
            __builtin_add_overflow(n, (uint64_t)(**s - '0'), &n)) {
            return false;
        }
    }
    if (*s == first || (*first == '0' && *s - first > 1)) {
        return false;
    }
    *ret_n = n;
    return true;
}

int
channel_name_parse(const char *s, struct channel_name *ret_name)
{
    struct channel_name n;

    if (skip(&s, CHANNEL_NAME_PREFIX "uuid=") && take_uuid(&s, n.uuid) &&
        skip(&s, ";epoch=") && take_number(&s, &n.epoch) && skip(&s, ";client=") &&
        take_client(&s, n.client, sizeof n.client) && skip(&s, ";session=") &&
        take_number(&s, &n.session) && *s == '\0') {
        *ret_name = n;
        return 0;
    }
    return -EINVAL;
}
