/* SPDX-License-Identifier: BSD-3-Clause */
/* bytes.h - numbers whose bytes have a fixed order, at any address: what comes over a
 * line or stands on a medium. */
#ifndef BATON_BYTES_H
#define BATON_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t
bytes_get_be32(const void *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return be32toh(v);
}

static inline uint32_t
bytes_get_le32(const void *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return le32toh(v);
}

static inline uint64_t
bytes_get_le64(const void *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return le64toh(v);
}

static inline void
bytes_put_le32(void *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, sizeof v);
}

static inline void
bytes_put_le64(void *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof v);
}

#endif
