/* SPDX-License-Identifier: BSD-3-Clause */
/* file_io.h - the system calls of a file or block device, with their short results,
 * interruptions and missing features made up for. Thread-safe. */
#ifndef BATON_FILE_IO_H
#define BATON_FILE_IO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Read up to len bytes at off and at least need of them. -EIO: the file ends before. */
int file_io_read(int fd, void *buf, uint32_t len, uint64_t off, uint32_t need);

/* Read at off what needs no waiting. Returns how many bytes, which may be fewer than
 * len, or -errno: -EAGAIN when it is none. */
int file_io_read_now(int fd, void *buf, uint32_t len, uint64_t off);

/* The same for writing. */
int file_io_write_now(int fd, const void *buf, uint32_t len, uint64_t off);

/* Write all of it. rwf: flags of pwritev2(2), 0 for a plain pwrite(2). */
int file_io_write(int fd, const void *buf, uint32_t len, uint64_t off, int rwf);

int file_io_sync(int fd);

int file_io_fallocate(int fd, int mode, uint64_t off, uint64_t len);

/* Does rc say that the kernel, the file system or the device cannot do this at all? */
bool file_io_is_unsupported(int rc);

/* One line of a small file, such as one in /sys, without white space at its ends.
 * Returns its length, 0 when it cannot be read. size > 1. */
int file_io_read_line(const char *path, char *line, size_t size);

#endif
