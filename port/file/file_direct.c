/* SPDX-License-Identifier: BSD-3-Clause */
#include "file_direct.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file_io.h"

#define MAX_BLOCK 65536U

static pthread_once_t bounce_once = PTHREAD_ONCE_INIT;
static pthread_key_t bounce_key; /* set by bounce_init(), then read-only */

static void
bounce_init(void)
{
    int rc = pthread_key_create(&bounce_key, free);

    assert(rc == 0);
}

/* The thread's buffer, NULL without memory. Untouched pages of it cost nothing. */
static char *
bounce_get(void)
{
    void *buf;

    (void)pthread_once(&bounce_once, bounce_init); /* cannot fail for a valid once */
    buf = pthread_getspecific(bounce_key);
    if (buf != NULL) {
        return buf;
    }
    if (posix_memalign(&buf, MAX_BLOCK, FILE_DIRECT_BOUNCE) != 0) {
        return NULL;
    }
    if (pthread_setspecific(bounce_key, buf) != 0) {
        free(buf);
        return NULL;
    }
    return buf;
}

static bool
is_usable(uint32_t align)
{
    return align > 0 && align <= MAX_BLOCK && (align & (align - 1)) == 0;
}

/* For file systems and kernels that cannot say: see what a read accepts. */
static int
probe_by_reading(int fd, struct file_direct *ret_direct)
{
    char *buf = bounce_get();

    if (buf == NULL) {
        return -ENOMEM;
    }
    for (uint32_t block = 512; block <= 4096; block *= 8) {
        if (pread(fd, buf, block, 0) >= 0) {
            *ret_direct = (struct file_direct){.block = block, .mem_align = block};
            return 0;
        }
        if (errno != EINVAL) {
            return -errno;
        }
    }
    return -EOPNOTSUPP;
}

int
file_direct_probe(int fd, bool is_block, struct file_direct *ret_direct)
{
    struct statx sx;
    int block;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) == 0 &&
        (sx.stx_mask & STATX_DIOALIGN) != 0) {
        if (!is_usable(sx.stx_dio_offset_align) || !is_usable(sx.stx_dio_mem_align)) {
            return -EOPNOTSUPP;
        }
        *ret_direct = (struct file_direct){.block = sx.stx_dio_offset_align,
                                           .mem_align = sx.stx_dio_mem_align};
        return 0;
    }
    if (is_block && ioctl(fd, BLKSSZGET, &block) == 0 && is_usable((uint32_t)block)) {
        *ret_direct = (struct file_direct){.block = (uint32_t)block,
                                           .mem_align = (uint32_t)block};
        return 0;
    }
    return probe_by_reading(fd, ret_direct);
}

static bool
is_aligned(const struct file_direct *d, const void *buf, uint32_t len, uint64_t off)
{
    return ((off | len) & (d->block - 1)) == 0 &&
           ((uintptr_t)buf & (d->mem_align - 1)) == 0;
}

/* Read the blocks around [off, off + len), which fit the bounce buffer, and copy. A
 * file that ends inside its last block makes the read short, which is fine as long as
 * what was asked for has come. */
static int
read_bounced(int fd, const struct file_direct *d, void *buf, uint32_t len, uint64_t off)
{
    uint64_t start = off & ~(uint64_t)(d->block - 1);
    uint64_t end = (off + len + d->block - 1) & ~(uint64_t)(d->block - 1);
    char *bounce = bounce_get();
    int rc;

    if (bounce == NULL) {
        return -ENOMEM;
    }
    rc = file_io_read(fd, bounce, (uint32_t)(end - start), start,
                      (uint32_t)(off + len - start));
    if (rc == 0) {
        memcpy(buf, bounce + (off - start), len);
    }
    return rc;
}

int
file_direct_read(int fd, const struct file_direct *d, void *buf, uint32_t len,
                 uint64_t off)
{
    const uint32_t room = FILE_DIRECT_BOUNCE - 2 * d->block; /* for both ragged ends */
    char *to = buf;
    uint32_t part;
    int rc;

    if (is_aligned(d, buf, len, off)) {
        return file_io_read(fd, buf, len, off, len);
    }
    while (len > 0) {
        part = len < room ? len : room;
        rc = read_bounced(fd, d, to, part, off);
        if (rc < 0) {
            return rc;
        }
        to += part;
        off += part;
        len -= part;
    }
    return 0;
}

int
file_direct_write(int fd, const struct file_direct *d, const void *buf, uint32_t len,
                  uint64_t off, int rwf)
{
    const char *from = buf;
    char *bounce;
    uint32_t part;
    int rc;

    assert(((off | len) & (d->block - 1)) == 0);
    if (is_aligned(d, buf, len, off)) {
        return file_io_write(fd, buf, len, off, rwf);
    }
    bounce = bounce_get();
    if (bounce == NULL) {
        return -ENOMEM;
    }
    while (len > 0) {
        part = len < FILE_DIRECT_BOUNCE ? len : FILE_DIRECT_BOUNCE;
        memcpy(bounce, from, part);
        rc = file_io_write(fd, bounce, part, off, rwf);
        if (rc < 0) {
            return rc;
        }
        from += part;
        off += part;
        len -= part;
    }
    return 0;
}
