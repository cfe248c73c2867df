/* SPDX-License-Identifier: BSD-3-Clause */
#include "file_io.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cleanup.h"

int
file_io_read(int fd, void *buf, uint32_t len, uint64_t off, uint32_t need)
{
    uint32_t done = 0;
    ssize_t n;

    while (done < need) {
        n = pread(fd, (char *)buf + done, len - done, (off_t)(off + done));
        if (n > 0) {
            done += (uint32_t)n;
        } else if (n == 0) {
            return -EIO; /* somebody made the file shorter */
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

int
file_io_read_now(int fd, void *buf, uint32_t len, uint64_t off)
{
    struct iovec iov = {.iov_base = buf, .iov_len = len};
    ssize_t n = preadv2(fd, &iov, 1, (off_t)off, RWF_NOWAIT);

    return n < 0 ? -errno : (int)n;
}

int
file_io_write_now(int fd, const void *buf, uint32_t len, uint64_t off)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len};
    ssize_t n = pwritev2(fd, &iov, 1, (off_t)off, RWF_NOWAIT);

    return n < 0 ? -errno : (int)n;
}

static ssize_t
write_once(int fd, const void *buf, size_t len, uint64_t off, int rwf)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len};

    if (rwf == 0) {
        return pwrite(fd, buf, len, (off_t)off);
    }
    return pwritev2(fd, &iov, 1, (off_t)off, rwf);
}

int
file_io_write(int fd, const void *buf, uint32_t len, uint64_t off, int rwf)
{
    uint32_t done = 0;
    ssize_t n;

    while (done < len) {
        n = write_once(fd, (const char *)buf + done, len - done, off + done, rwf);
        if (n > 0) {
            done += (uint32_t)n;
        } else if (n == 0) {
            return -ENOSPC; /* the end of a block device */
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

int
file_io_sync(int fd)
{
    while (fdatasync(fd) < 0) {
        if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

int
file_io_fallocate(int fd, int mode, uint64_t off, uint64_t len)
{
    while (fallocate(fd, mode, (off_t)off, (off_t)len) < 0) {
        if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

bool
file_io_is_unsupported(int rc)
{
    return rc == -EOPNOTSUPP || rc == -ENOSYS || rc == -ENODEV || rc == -ENOTTY;
}

int
file_io_read_line(const char *path, char *line, size_t size)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, line, size - 1) : -1;
    size_t len, skip = 0;

    line[n > 0 ? n : 0] = '\0';
    len = strcspn(line, "\n");
    while (len > 0 && isspace((unsigned char)line[len - 1])) {
        len--;
    }
    while (skip < len && isspace((unsigned char)line[skip])) {
        skip++;
    }
    memmove(line, line + skip, len - skip);
    line[len - skip] = '\0';
    return (int)(len - skip);
}
