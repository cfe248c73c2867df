/* SPDX-License-Identifier: BSD-3-Clause */
#include "file_dev.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cleanup.h"
#include "file_io.h"
#include "may_block.h"

static int
open_fd(const char *path, const struct port_file_opts *opts, struct err *e)
{
    int mode = opts->readonly ? O_RDONLY : O_RDWR, fd;

    if (opts->cache == FILE_CACHE_NONE) {
        mode |= O_DIRECT;
    }
    fd =
        open(path, mode | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* never wait at a FIFO */
    if (fd >= 0) {
        return fd;
    }
    if (errno == EINVAL && opts->cache == FILE_CACHE_NONE) {
        return err_set(
            e, -EINVAL,
            "%s: its file system does not support cache=none (O_DIRECT); use "
            "cache=writeback",
            path);
    }
    return err_set(e, -errno, "%s: %s", path, err_text(NULL, -errno));
}

static int
learn_block_device(struct file_dev *dev, const struct stat *st,
                   const struct port_file_opts *opts, const char *path, struct err *e)
{
    char name[96], line[32];
    int block, is_readonly;

    if (ioctl(dev->fd, BLKGETSIZE64, &dev->size) < 0 ||
        ioctl(dev->fd, BLKSSZGET, &block) < 0 ||
        ioctl(dev->fd, BLKROGET, &is_readonly) < 0) {
        return err_set(e, -errno, "%s: cannot learn its size: %s", path,
                       err_text(NULL, -errno));
    }
    if (is_readonly && !opts->readonly) {
        return err_set(e, -EROFS, "%s: the block device is read-only", path);
    }
    dev->block = (uint32_t)block;
    (void)snprintf(name, sizeof name,
                   "/sys/dev/block/%u:%u/queue/write_zeroes_max_bytes",
                   major(st->st_rdev), minor(st->st_rdev));
    dev->zero_is_offloaded =
        file_io_read_line(name, line, sizeof line) > 0 && line[0] != '0';
    return 0;
}

/* These file systems take a write before they know that there is room for it, and tell
 * the next write or sync. Others reserve the room first. */
static bool
writes_behind(unsigned type)
{
    return type == NFS_SUPER_MAGIC || type == SMB_SUPER_MAGIC ||
           type == SMB2_SUPER_MAGIC || type == CIFS_SUPER_MAGIC ||
           type == CEPH_SUPER_MAGIC || type == AFS_SUPER_MAGIC || type == V9FS_MAGIC;
}

static int
learn(struct file_dev *dev, const struct port_file_opts *opts, const char *path,
      struct err *e)
{
    struct statfs sf;
    struct stat st;

    if (fstat(dev->fd, &st) < 0) {
        return err_set(e, -errno, "%s: %s", path, err_text(NULL, -errno));
    }
    if (S_ISBLK(st.st_mode)) {
        dev->is_block = true;
        return learn_block_device(dev, &st, opts, path, e);
    }
    if (!S_ISREG(st.st_mode)) {
        return err_set(e, -EINVAL, "%s is neither a regular file nor a block device",
                       path);
    }
    dev->size = (uint64_t)st.st_size;
    dev->block = 1;
    if (fstatfs(dev->fd, &sf) == 0) {
        dev->is_memory = sf.f_type == TMPFS_MAGIC;
        dev->writes_behind = writes_behind((unsigned)sf.f_type);
    }
    return 0;
}

static int
learn_direct(struct file_dev *dev, const char *path, struct err *e)
{
    int rc = file_direct_probe(dev->fd, dev->is_block, &dev->direct);

    if (rc == -EOPNOTSUPP) {
        return err_set(e, -EINVAL,
                       "%s: it does not support cache=none (O_DIRECT); use "
                       "cache=writeback",
                       path);
    }
    if (rc < 0) {
        return err_set(e, rc, "%s: cannot learn its block size: %s", path,
                       err_text(NULL, rc));
    }
    if (dev->size % dev->direct.block != 0) {
        return err_set(e, -EINVAL,
                       "%s: its size of %llu bytes is not a multiple of %u, as "
                       "cache=none needs; use cache=writeback",
                       path, (unsigned long long)dev->size, dev->direct.block);
    }
    return 0;
}

int
file_dev_open(struct file_dev *dev, const char *path, const struct port_file_opts *opts,
              struct err *e)
{
    int rc = 0;

    *dev = (struct file_dev){.fd = open_fd(path, opts, e),
                             .is_direct = opts->cache == FILE_CACHE_NONE};
    if (dev->fd < 0) {
        return dev->fd;
    }
    rc = learn(dev, opts, path, e);
    if (rc == 0 && dev->is_direct) {
        rc = learn_direct(dev, path, e);
    }
    if (rc < 0) {
        file_dev_close(dev);
    }
    return rc;
}

void
file_dev_close(struct file_dev *dev)
{
    if (dev->fd >= 0) {
        (void)close(dev->fd); /* durability was the business of flush */
    }
    dev->fd = -1;
}

int
file_dev_note_lost(struct file_dev *dev, int rc)
{
    int none = 0;

    assert(rc < 0);
    (void)atomic_compare_exchange_strong_explicit(
        &dev->lost, &none, rc, memory_order_relaxed, memory_order_relaxed);
    return rc;
}

int
file_dev_sync(struct file_dev *dev)
{
    int rc = atomic_load_explicit(&dev->lost, memory_order_relaxed);

    if (rc < 0) {
        return rc;
    }
    rc = file_io_sync(dev->fd);
    if (rc < 0) {
        return file_dev_note_lost(dev, rc);
    }
    /* What was noted while we synced may be of writes before. */
    return atomic_load_explicit(&dev->lost, memory_order_relaxed);
}

/* How much of it is in the page cache, and read now. */
static uint32_t
read_cached(struct file_dev *dev, void *buf, uint32_t len, uint64_t off)
{
    int rc;

    if (atomic_load_explicit(&dev->no_nowait, memory_order_relaxed)) {
        return 0;
    }
    rc = file_io_read_now(dev->fd, buf, len, off);
    if (file_io_is_unsupported(rc)) {
        atomic_store_explicit(&dev->no_nowait, true, memory_order_relaxed);
    }
    return rc > 0 ? (uint32_t)rc : 0; /* an error comes again, or it was none */
}

int
file_dev_read(struct file_dev *dev, void *buf, uint32_t len, uint64_t off)
{
    uint32_t done = 0;

    if (dev->is_direct) {
        may_block();
        return file_direct_read(dev->fd, &dev->direct, buf, len, off);
    }
    if (!dev->is_memory) {
        done = read_cached(dev, buf, len, off);
        if (done == len) {
            return 0;
        }
        may_block();
    }
    return file_io_read(dev->fd, (char *)buf + done, len - done, off + done,
                        len - done);
}

static int
write_flags(struct file_dev *dev, const void *buf, uint32_t len, uint64_t off, int rwf)
{
    if (dev->is_direct) {
        return file_direct_write(dev->fd, &dev->direct, buf, len, off, rwf);
    }
    return file_io_write(dev->fd, buf, len, off, rwf);
}

/* How much of it could be written without waiting, and is. */
static uint32_t
write_cached(struct file_dev *dev, const void *buf, uint32_t len, uint64_t off)
{
    int rc;

    if (dev->is_direct ||
        atomic_load_explicit(&dev->no_nowait_write, memory_order_relaxed)) {
        return 0;
    }
    rc = file_io_write_now(dev->fd, buf, len, off);
    if (file_io_is_unsupported(rc)) {
        atomic_store_explicit(&dev->no_nowait_write, true, memory_order_relaxed);
    }
    return rc > 0 ? (uint32_t)rc : 0; /* an error comes again, or it was none */
}

static int
write_plain(struct file_dev *dev, const void *buf, uint32_t len, uint64_t off)
{
    uint32_t done = 0;
    int rc;

    if (!dev->is_memory) {
        done = write_cached(dev, buf, len, off);
        if (done == len) {
            return 0;
        }
        may_block();
    }
    rc = write_flags(dev, (const char *)buf + done, len - done, off + done, 0);
    return rc < 0 && dev->writes_behind ? file_dev_note_lost(dev, rc) : rc;
}

/* A durable write has failed with rc, which may have been its sync: then rc is what
 * became of any write before it, and the kernel, having told us, tells nobody else. If
 * the same write succeeds without a sync it was. */
static int
tell_durable(struct file_dev *dev, const void *buf, uint32_t len, uint64_t off, int rc)
{
    bool is_of_sync = write_flags(dev, buf, len, off, 0) == 0;

    /* The cache takes what the medium then fails to; both fail in one way. */
    if (is_of_sync || dev->writes_behind || (rc == -EIO && !dev->is_direct)) {
        (void)file_dev_note_lost(dev, rc);
    }
    return rc;
}

int
file_dev_write(struct file_dev *dev, const void *buf, uint32_t len, uint64_t off,
               bool is_durable)
{
    int rc;

    if (!is_durable) {
        return write_plain(dev, buf, len, off);
    }
    may_block();
    if (!atomic_load_explicit(&dev->no_dsync, memory_order_relaxed)) {
        rc = write_flags(dev, buf, len, off, RWF_DSYNC);
        if (!file_io_is_unsupported(rc)) {
            return rc < 0 ? tell_durable(dev, buf, len, off, rc) : 0;
        }
        atomic_store_explicit(&dev->no_dsync, true, memory_order_relaxed);
    }
    rc = write_plain(dev, buf, len, off);
    return rc == 0 ? file_dev_sync(dev) : rc;
}

/* Have the cache forget the pages of a range; parts of pages it would keep. An error:
 * what is read there may be what this host has cached, so it is not to be compared with
 * what another one reads. Pages that somebody uses just now stay without one. */
static int
drop(struct file_dev *dev, uint64_t off, uint32_t len)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), start = off - off % page;
    uint64_t end = (off + len + page - 1) / page * page;

    return -posix_fadvise(dev->fd, (off_t)start, (off_t)(end - start),
                          POSIX_FADV_DONTNEED);
}

/* A file system without O_DIRECT: write back, drop and read again. */
static int
read_after_dropping(struct file_dev *dev, void *buf, uint32_t len, uint64_t off)
{
    int rc = file_dev_sync(dev);

    if (rc < 0) {
        return rc;
    }
    rc = drop(dev, off, len);
    return rc == 0 ? file_io_read(dev->fd, buf, len, off, len) : rc;
}

/* Opened anew each time: it is rare, and a service with 1,000 disks should not keep
 * 1,000 descriptors for it. Through /proc, so that it is the same file in any case. */
int
file_dev_read_uncached(struct file_dev *dev, void *buf, uint32_t len, uint64_t off)
{
    struct file_direct d;
    char name[64];

    if (dev->is_direct) {
        return file_dev_read(dev, buf, len, off);
    }
    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", dev->fd);
    AUTO_FD int fd = open(name, O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (fd < 0 || file_direct_probe(fd, dev->is_block, &d) < 0) {
        return read_after_dropping(dev, buf, len, off);
    }
    return file_direct_read(fd, &d, buf, len, off);
}

int
file_dev_forget(struct file_dev *dev)
{
    if (dev->is_block && ioctl(dev->fd, BLKFLSBUF, 0) == 0) {
        return 0;
    }
    return -posix_fadvise(dev->fd, 0, 0, POSIX_FADV_DONTNEED);
}
