/* SPDX-License-Identifier: BSD-3-Clause */
#include "stamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define STAMP_MAGIC UINT64_C(0x4b4e4f5441420001)

struct stamp_header {
    uint64_t magic;
    uint64_t run;
    uint64_t sector;
    uint64_t seq;
    uint32_t writer;
    uint32_t crc; /* of the fields above */
};
_Static_assert(sizeof(struct stamp_header) == 40, "no padding on the medium");

#define NR_PAYLOAD ((STAMP_SECTOR - sizeof(struct stamp_header)) / sizeof(uint64_t))

/* CRC-32C, a bit at a time: 36 bytes are not worth a table. */
static uint32_t
crc32c(const void *data, size_t len)
{
    const unsigned char *p = data;
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (UINT32_C(0x82f63b78) & (0 - (crc & 1)));
        }
    }
    return ~crc;
}

static uint64_t
mix(uint64_t x)
{
    x ^= x >> 31;
    x *= UINT64_C(0x9e3779b97f4a7c15);
    return x ^ (x >> 29);
}

static uint64_t
payload_seed(const struct stamp_id *id)
{
    return mix(id->seq ^ mix(id->sector ^ mix(id->run + id->writer)));
}

/* Neighbouring writes differ in nearly every byte, so a mix of two shows. */
static uint64_t
payload_word(uint64_t seed, size_t i)
{
    return (seed + i) * UINT64_C(0xd1342543de82ef95) ^ seed;
}

void
stamp_fill(void *sector, const struct stamp_id *id)
{
    struct stamp_header h = {.magic = STAMP_MAGIC,
                             .run = id->run,
                             .sector = id->sector,
                             .seq = id->seq,
                             .writer = id->writer};
    uint64_t words[NR_PAYLOAD], seed = payload_seed(id);

    h.crc = crc32c(&h, offsetof(struct stamp_header, crc));
    for (size_t i = 0; i < NR_PAYLOAD; i++) {
        words[i] = payload_word(seed, i);
    }
    memcpy(sector, &h, sizeof(h));
    memcpy((char *)sector + sizeof(h), words, sizeof(words));
}

static bool
is_zero(const unsigned char *p)
{
    return p[0] == 0 && memcmp(p, p + 1, STAMP_SECTOR - 1) == 0;
}

static bool
is_whole(const void *sector, const struct stamp_header *h, const struct stamp_id *id)
{
    uint64_t words[NR_PAYLOAD], seed = payload_seed(id), wrong = 0;

    if (h->magic != STAMP_MAGIC ||
        h->crc != crc32c(h, offsetof(struct stamp_header, crc))) {
        return false;
    }
    memcpy(words, (const char *)sector + sizeof(*h), sizeof(words));
    for (size_t i = 0; i < NR_PAYLOAD; i++) {
        wrong |= words[i] ^ payload_word(seed, i);
    }
    return wrong == 0;
}

enum stamp_kind
stamp_read(const void *sector, const struct stamp_id *expect, struct stamp_id *ret_id)
{
    struct stamp_header h;

    memcpy(&h, sector, sizeof(h));
    *ret_id = (struct stamp_id){
        .run = h.run, .sector = h.sector, .seq = h.seq, .writer = h.writer};
    if (is_zero(sector)) {
        return STAMP_ZERO;
    }
    if (!is_whole(sector, &h, ret_id)) {
        return STAMP_BROKEN;
    }
    if (h.run != expect->run) {
        return STAMP_FOREIGN;
    }
    return h.sector == expect->sector ? STAMP_OK : STAMP_MISPLACED;
}

void
stamp_text(char *text, size_t size, enum stamp_kind kind, const void *sector,
           const struct stamp_id *id)
{
    uint64_t last;

    switch (kind) {
    case STAMP_ZERO:
        (void)snprintf(text, size, "zeroes");
        return;
    case STAMP_BROKEN:
        memcpy(&last, (const char *)sector + STAMP_SECTOR - sizeof(last), sizeof(last));
        (void)snprintf(text, size,
                       "a torn or unknown sector (header: sector %" PRIu64
                       " write %" PRIu64 " by %u; last word %016" PRIx64 ")",
                       id->sector, id->seq, id->writer, last);
        return;
    case STAMP_OK:
    case STAMP_FOREIGN:
    case STAMP_MISPLACED:
        (void)snprintf(text, size, "%swrite %" PRIu64 " by %u%s (sector %" PRIu64 ")",
                       kind == STAMP_FOREIGN ? "another run's " : "", id->seq,
                       id->writer, kind == STAMP_MISPLACED ? ", misplaced" : "",
                       id->sector);
        return;
    }
}
