/* SPDX-License-Identifier: BSD-3-Clause */
/* file_direct.h - reads and writes past the page cache: what alignment O_DIRECT asks
 * for, and copies through an aligned buffer for what is not aligned. The buffer belongs
 * to the thread, is at most FILE_DIRECT_BOUNCE bytes, and is freed when it exits. */
#ifndef BATON_FILE_DIRECT_H
#define BATON_FILE_DIRECT_H

#include <stdbool.h>
#include <stdint.h>

#define FILE_DIRECT_BOUNCE (1U << 20)

struct file_direct {
    uint32_t block;     /* offsets and lengths; power of two, at most 65536 */
    uint32_t mem_align; /* addresses; power of two, at most 65536 */
};

/* Learn what fd, open with O_DIRECT, asks for. -EOPNOTSUPP: it takes no direct I/O. */
int file_direct_probe(int fd, bool is_block, struct file_direct *ret_direct);

/* All of buf, or -errno; -EIO when the file ends before. Any offset, length and buf. */
int file_direct_read(int fd, const struct file_direct *d, void *buf, uint32_t len,
                     uint64_t off);

/* All of buf, or -errno. off and len are multiples of d->block; rwf is for pwritev2. */
int file_direct_write(int fd, const struct file_direct *d, const void *buf,
                      uint32_t len, uint64_t off, int rwf);

#endif
