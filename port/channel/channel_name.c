/* SPDX-License-Identifier: BSD-3-Clause */
/* The name is all that a channel says about itself, and the statement what
 * an owner says. Both come from a peer: what is not exactly what the format functions
 * write is refused. */
#include "channel_name.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "channel_owner.h"

#define WORD_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
#define UUID_LEN 36
#define NOBODY "-"

int
channel_name_format(const struct channel_name *n, char *buf)
{
    int len = snprintf(buf, CHANNEL_NAME_MAX,
                       CHANNEL_NAME_PREFIX "uuid=%s;epoch=%" PRIu64
                                           ";client=%s;session=%" PRIu64 ";proof=%s",
                       n->uuid, n->epoch, n->client, n->session, n->proof);

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
take_word(const char **s, char *word, size_t word_size)
{
    size_t len = strspn(*s, WORD_CHARS);

    if (len == 0 || len >= word_size) {
        return false;
    }
    memcpy(word, *s, len);
    word[len] = '\0';
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

static bool
take_proof(const char **s, char *proof)
{
    size_t len = strspn(*s, "0123456789abcdef");

    if (len != CHANNEL_PROOF_SIZE - 1) {
        return false;
    }
    memcpy(proof, *s, len);
    proof[len] = '\0';
    *s += len;
    return true;
}

int
channel_name_parse(const char *s, struct channel_name *ret_name)
{
    struct channel_name n;

    if (skip(&s, CHANNEL_NAME_PREFIX "uuid=") && take_uuid(&s, n.uuid) &&
        skip(&s, ";epoch=") && take_number(&s, &n.epoch) && skip(&s, ";client=") &&
        take_word(&s, n.client, sizeof n.client) && skip(&s, ";session=") &&
        take_number(&s, &n.session) && skip(&s, ";proof=") && take_proof(&s, n.proof) &&
        *s == '\0') {
        *ret_name = n;
        return 0;
    }
    return -EINVAL;
}

int
channel_owner_format(const struct channel_owner *o, char *buf)
{
    int len = snprintf(
        buf, CHANNEL_OWNER_MAX,
        CHANNEL_OWNER_PREFIX "instance=%s;epoch=%" PRIu64 ";flushed-by=%s", o->instance,
        o->epoch, o->flushed_by[0] != '\0' ? o->flushed_by : NOBODY);

    assert(len > 0 && len < CHANNEL_OWNER_MAX);
    return len;
}

bool
channel_instance_is_valid(const char *s)
{
    char word[CHANNEL_INSTANCE_MAX];

    return take_word(&s, word, sizeof word) && *s == '\0' && strcmp(word, NOBODY) != 0;
}

int
channel_owner_parse(const char *s, struct channel_owner *ret_owner)
{
    struct channel_owner o;

    if (skip(&s, CHANNEL_OWNER_PREFIX "instance=") &&
        take_word(&s, o.instance, sizeof o.instance) &&
        channel_instance_is_valid(o.instance) && skip(&s, ";epoch=") &&
        take_number(&s, &o.epoch) && skip(&s, ";flushed-by=") &&
        take_word(&s, o.flushed_by, sizeof o.flushed_by) && *s == '\0') {
        if (strcmp(o.flushed_by, NOBODY) == 0) {
            o.flushed_by[0] = '\0';
        }
        *ret_owner = o;
        return 0;
    }
    return -EINVAL;
}
