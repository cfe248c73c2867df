/* SPDX-License-Identifier: BSD-3-Clause */
/* lseek(2) moves the position of the descriptor, which all threads share. Nobody reads
 * it (every read and write names its offset), only the result counts, so this needs no
 * lock. Extents of concurrently written ranges may be either. */
#include "file_extents.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

bool
file_extents_are_known(const struct file_dev *dev)
{
    return !dev->is_block && (lseek(dev->fd, 0, SEEK_HOLE) >= 0 || errno == ENXIO);
}

/* There is no data at or after a position: a hole up to end, if the file still goes
 * that far. What is behind its end must not pass for zeroes. */
static int
hole_to_end(const struct file_dev *dev, uint64_t end, uint64_t *ret_next)
{
    struct stat st;

    if (fstat(dev->fd, &st) < 0) {
        return -errno;
    }
    *ret_next = end;
    return (uint64_t)st.st_size < end ? -EIO : 0;
}

/* What is at off, and the end of it (at most end). */
static int
extent_at(const struct file_dev *dev, uint64_t off, uint64_t end, uint64_t *ret_next,
          uint32_t *ret_type)
{
    off_t next = lseek(dev->fd, (off_t)off, SEEK_DATA);

    *ret_type = EXTENT_HOLE | EXTENT_ZERO;
    if (next < 0) {
        return errno == ENXIO ? hole_to_end(dev, end, ret_next) : -errno;
    }
    if ((uint64_t)next == off) {
        *ret_type = 0;
        next = lseek(dev->fd, (off_t)off, SEEK_HOLE);
        if (next < 0) {
            return errno == ENXIO ? -EIO : -errno;
        }
        if ((uint64_t)next == off) {
            next = (off_t)end; /* punched meanwhile: data is never a wrong answer */
        }
    }
    *ret_next = (uint64_t)next < end ? (uint64_t)next : end;
    return 0;
}

int
file_extents_report(const struct file_dev *dev, const struct req *rq)
{
    uint64_t off = rq->off, end = rq->off + rq->len, next = 0;
    uint32_t type;
    int rc;

    while (off < end) {
        rc = extent_at(dev, off, end, &next, &type);
        if (rc == 0) {
            rc = rq->extents->add(rq->extents, off, next - off, type);
        }
        if (rc < 0 || (rq->flags & REQ_F_ONE) != 0) {
            return rc;
        }
        off = next;
    }
    return 0;
}
