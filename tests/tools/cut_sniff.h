/* SPDX-License-Identifier: BSD-3-Clause */
/* cut_sniff.h - inside of cutproxy: which NBD requests the bytes of a client are, so
 * that what is held, lost or orphaned can be named. A stream that is not NBD, or is
 * encrypted, is only counted. */
#ifndef BATON_CUT_SNIFF_H
#define BATON_CUT_SNIFF_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CUT_SNIFF_REQUESTS 256 /* the latest that are remembered, a power of two */
#define CUT_SNIFF_NAME 512

struct cut_request {
    uint64_t seen_ns, begin, end; /* bytes of the stream before it, and with it */
    uint64_t off, cookie;
    uint32_t len;
    uint16_t type, flags;
};

struct cut_sniff {
    char name[CUT_SNIFF_NAME]; /* of the export that was asked for; "": not yet */
    uint64_t nr;               /* requests so far */
    struct cut_request requests[CUT_SNIFF_REQUESTS]; /* number n at n % that */
    uint64_t at;                                     /* bytes seen */
    uint64_t skip; /* of these that follow are of no interest */
    unsigned char head[32 + CUT_SNIFF_NAME]; /* a message of which not all is there */
    size_t head_len;
    int is_lost; /* the stream is not understood any more */
    int is_greeted;
};

/* The client has sent len more bytes. */
void cut_sniff(struct cut_sniff *s, const unsigned char *data, size_t len);

/* The requests of which not all of the first `passed` bytes were passed on, oldest
 * first: "write 4096+512, read ..."; at most a hundred of them. "" when there is none.
 */
void cut_sniff_text(const struct cut_sniff *s, uint64_t passed, char *text,
                    size_t size);

#endif
