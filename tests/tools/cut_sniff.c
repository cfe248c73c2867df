/* SPDX-License-Identifier: BSD-3-Clause */
/* A client sends four bytes of flags, then options, then requests; each message begins
 * with a magic number. What it sends after a request for TLS is not understood. */
#include "cut_sniff.h"

#include <inttypes.h>
#include <string.h>

#include "clock.h"

#define OPTION_MAGIC UINT64_C(0x49484156454f5054)
#define REQUEST_MAGIC UINT32_C(0x25609513)
#define OPTION_HEAD 16
#define REQUEST_HEAD 28
#define OPT_EXPORT_NAME 1
#define OPT_STARTTLS 5
#define OPT_INFO 6
#define OPT_GO 7
#define CMD_WRITE 1
#define MOST_IN_TEXT 100

static uint64_t
number(const unsigned char *at, unsigned bytes)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < bytes; i++) {
        n = n << 8 | at[i];
    }
    return n;
}

static void
take_name(struct cut_sniff *s, const unsigned char *name, size_t len)
{
    len = len < sizeof s->name - 1 ? len : sizeof s->name - 1;
    memcpy(s->name, name, len);
    s->name[len] = '\0';
}

/* Bytes of head that the message needs to be understood; 0: it is no message. */
static size_t
needed(const struct cut_sniff *s)
{
    size_t len;

    if (s->head_len < 8) {
        return 8;
    }
    if (number(s->head, 4) == REQUEST_MAGIC) {
        return REQUEST_HEAD;
    }
    if (number(s->head, 8) != OPTION_MAGIC) {
        return 0;
    }
    if (s->head_len < OPTION_HEAD) {
        return OPTION_HEAD;
    }
    len = (size_t)number(s->head + 12, 4);
    len = len < sizeof s->head - OPTION_HEAD ? len : sizeof s->head - OPTION_HEAD;
    return OPTION_HEAD + len;
}

static void
take_option(struct cut_sniff *s)
{
    uint64_t option = number(s->head + 8, 4), len = number(s->head + 12, 4);
    const unsigned char *data = s->head + OPTION_HEAD;
    size_t there = s->head_len - OPTION_HEAD, name_len;

    s->skip = len - there;
    s->is_lost = option == OPT_STARTTLS;
    if (option == OPT_EXPORT_NAME) {
        take_name(s, data, there);
    } else if ((option == OPT_INFO || option == OPT_GO) && there >= 4) {
        name_len = (size_t)number(data, 4);
        take_name(s, data + 4, name_len < there - 4 ? name_len : there - 4);
    }
}

static void
take_request(struct cut_sniff *s)
{
    struct cut_request *r = &s->requests[s->nr++ % CUT_SNIFF_REQUESTS];

    *r = (struct cut_request){.seen_ns = clock_now_ns(),
                              .begin = s->at - REQUEST_HEAD,
                              .flags = (uint16_t)number(s->head + 4, 2),
                              .type = (uint16_t)number(s->head + 6, 2),
                              .cookie = number(s->head + 8, 8),
                              .off = number(s->head + 16, 8),
                              .len = (uint32_t)number(s->head + 24, 4)};
    s->skip = r->type == CMD_WRITE ? r->len : 0;
    r->end = s->at + s->skip;
}

/* The head is whole. */
static void
take_message(struct cut_sniff *s)
{
    if (number(s->head, 4) == REQUEST_MAGIC) {
        take_request(s);
    } else {
        take_option(s);
    }
    s->head_len = 0;
}

void
cut_sniff(struct cut_sniff *s, const unsigned char *data, size_t len)
{
    while (len > 0 && !s->is_lost) {
        size_t wanted = s->is_greeted ? needed(s) : 4, n;

        if (s->skip > 0) {
            n = s->skip < len ? (size_t)s->skip : len;
            s->skip -= n;
        } else {
            n = wanted - s->head_len;
            n = n < len ? n : len;
            memcpy(s->head + s->head_len, data, n);
            s->head_len += n;
        }
        s->at += n;
        data += n;
        len -= n;
        if (s->skip > 0 || s->head_len < wanted) {
            continue;
        }
        if (!s->is_greeted) {
            s->is_greeted = 1;
            s->head_len = 0;
        } else if (needed(s) == 0) {
            s->is_lost = 1;
        } else if (s->head_len == needed(s)) {
            take_message(s);
        }
    }
    s->at += len; /* of a stream that is not understood */
}

static const char *
type_name(unsigned type)
{
    static const char *const names[] = {"read", "write", "disc",   "flush",
                                        "trim", "cache", "zeroes", "status"};

    return type < sizeof names / sizeof names[0] ? names[type] : "unknown";
}

void
cut_sniff_text(const struct cut_sniff *s, uint64_t passed, char *text, size_t size)
{
    uint64_t first = s->nr > CUT_SNIFF_REQUESTS ? s->nr - CUT_SNIFF_REQUESTS : 0;
    size_t at = 0;
    unsigned nr = 0;

    text[0] = '\0';
    for (uint64_t i = first; i < s->nr; i++) {
        const struct cut_request *r = &s->requests[i % CUT_SNIFF_REQUESTS];
        int n;

        if (r->end <= passed) {
            continue;
        }
        if (++nr > MOST_IN_TEXT || size - at < 80) {
            (void)snprintf(text + at, size - at, " ...");
            return;
        }
        n = snprintf(text + at, size - at, "%s%s %" PRIu64 "+%" PRIu32 "%s",
                     at > 0 ? ", " : "", type_name(r->type), r->off, r->len,
                     (r->flags & 1) != 0 ? " fua" : "");
        at += n > 0 ? (size_t)n : 0;
    }
}
