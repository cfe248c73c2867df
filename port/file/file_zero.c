/* SPDX-License-Identifier: BSD-3-Clause */
/* On a block device fallocate(2) goes to the device and keeps the page cache in step:
 * ZERO_RANGE zeroes without unmapping (the kernel writes if the device has no command
 * for it), PUNCH_HOLE unmaps only where that is guaranteed to read as zeroes. It takes
 * whole logical blocks, so the ragged ends of a range are written. BLKDISCARD promises
 * no zeroes, so it is for trim alone. */
#include "file_zero.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "file_io.h"

#define ZERO_CHUNK 65536U

static const char zeroes[ZERO_CHUNK] __attribute__((aligned(4096)));

static int
write_zeroes(struct file_dev *dev, uint64_t off, uint64_t len)
{
    uint32_t part;
    int rc;

    for (; len > 0; off += part, len -= part) {
        part = len < ZERO_CHUNK ? (uint32_t)len : ZERO_CHUNK;
        rc = file_dev_write(dev, zeroes, part, off, false);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* fallocate, unless it is known to be impossible; -ENOTSUP when it is. */
static int
try_mode(struct file_dev *dev, atomic_bool *is_missing, int mode, uint64_t off,
         uint64_t len)
{
    int rc;

    if (atomic_load_explicit(is_missing, memory_order_relaxed)) {
        return -ENOTSUP;
    }
    rc = file_io_fallocate(dev->fd, mode, off, len);
    if (!file_io_is_unsupported(rc)) {
        return rc;
    }
    atomic_store_explicit(is_missing, true, memory_order_relaxed);
    return -ENOTSUP;
}

static int
punch(struct file_dev *dev, uint64_t off, uint64_t len)
{
    return try_mode(dev, &dev->no_punch, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    off, len);
}

static int
zero_allocated(struct file_dev *dev, uint64_t off, uint64_t len)
{
    return try_mode(dev, &dev->no_zero_range,
                    FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, off, len);
}

/* For file systems that punch but do not know ZERO_RANGE (tmpfs). */
static int
punch_and_fill(struct file_dev *dev, uint64_t off, uint64_t len)
{
    int rc;

    if (dev->is_block || atomic_load_explicit(&dev->no_realloc, memory_order_relaxed)) {
        return -ENOTSUP;
    }
    rc = punch(dev, off, len);
    if (rc < 0) {
        return rc;
    }
    return try_mode(dev, &dev->no_realloc, FALLOC_FL_KEEP_SIZE, off, len);
}

static int
zero_natively(struct file_dev *dev, uint64_t off, uint64_t len, uint32_t flags)
{
    int rc = -ENOTSUP;

    if ((flags & REQ_F_MAY_TRIM) != 0) {
        rc = punch(dev, off, len);
    }
    if (rc != -ENOTSUP) {
        return rc;
    }
    if (dev->is_block && (flags & REQ_F_FAST) != 0 && !dev->zero_is_offloaded) {
        return -ENOTSUP; /* ZERO_RANGE would make the kernel write */
    }
    rc = zero_allocated(dev, off, len);
    return rc == -ENOTSUP ? punch_and_fill(dev, off, len) : rc;
}

/* The whole blocks in [off, off + len). */
static uint64_t
whole_blocks(const struct file_dev *dev, uint64_t off, uint64_t len,
             uint64_t *ret_start)
{
    uint64_t mask = dev->block - 1, start = (off + mask) & ~mask;
    uint64_t end = (off + len) & ~mask;

    *ret_start = start;
    return end > start ? end - start : 0;
}

int
file_zero_range(struct file_dev *dev, uint64_t off, uint64_t len, uint32_t flags)
{
    uint64_t start, nr = whole_blocks(dev, off, len, &start);
    int rc;

    if (nr == 0) {
        return (flags & REQ_F_FAST) != 0 ? -ENOTSUP : write_zeroes(dev, off, len);
    }
    rc = zero_natively(dev, start, nr, flags);
    if (rc == -ENOTSUP && (flags & REQ_F_FAST) == 0) {
        return write_zeroes(dev, off, len);
    }
    if (rc < 0) {
        return rc;
    }
    rc = write_zeroes(dev, off, start - off);
    if (rc < 0) {
        return rc;
    }
    return write_zeroes(dev, start + nr, off + len - start - nr);
}

static int
discard(struct file_dev *dev, uint64_t off, uint64_t len)
{
    uint64_t range[2] = {off, len};
    int rc;

    if (atomic_load_explicit(&dev->no_discard, memory_order_relaxed)) {
        return -ENOTSUP;
    }
    rc = ioctl(dev->fd, BLKDISCARD, range) < 0 ? -errno : 0;
    if (file_io_is_unsupported(rc)) {
        atomic_store_explicit(&dev->no_discard, true, memory_order_relaxed);
        return -ENOTSUP;
    }
    return rc;
}

int
file_zero_trim(struct file_dev *dev, uint64_t off, uint64_t len)
{
    uint64_t start, nr = whole_blocks(dev, off, len, &start);
    int rc;

    if (nr == 0) {
        return 0;
    }
    rc = dev->is_block ? discard(dev, start, nr) : punch(dev, start, nr);
    return rc == -ENOTSUP ? 0 : rc;
}
