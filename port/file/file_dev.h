/* SPDX-License-Identifier: BSD-3-Clause */
/* file_dev.h - the open file or block device behind a file port, and what was learned
 * about it. Private to port_file.c and the file_*.c beside it. Thread-safe but for
 * open and close. */
#ifndef BATON_FILE_DEV_H
#define BATON_FILE_DEV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "file_direct.h"
#include "port_file.h"

/* The atomics are relaxed: each stands alone, goes from 0 to its value once, and a
 * thread that sees it late only makes the same discovery again. */
struct file_dev {
    int fd; /* with O_DIRECT when is_direct */
    bool is_block;
    bool is_direct;
    bool zero_is_offloaded;      /* block device: zeroing is a command of the device */
    bool is_memory;              /* tmpfs: there is no disk to wait for */
    bool writes_behind;          /* a network file system: any write may be told of what
                                  * became of an earlier one, and of its space */
    uint64_t size;               /* when it was opened */
    uint32_t block;              /* block device: logical block; file: 1 */
    struct file_direct direct;   /* is_direct only */
    _Atomic int lost;            /* < 0: what was acknowledged may be gone */
    atomic_bool no_nowait;       /* preadv2 does not know RWF_NOWAIT here */
    atomic_bool no_nowait_write; /* pwritev2 does not */
    atomic_bool no_dsync;        /* pwritev2 does not know RWF_DSYNC here */
    atomic_bool no_punch;        /* no FALLOC_FL_PUNCH_HOLE */
    atomic_bool no_zero_range;   /* no FALLOC_FL_ZERO_RANGE */
    atomic_bool no_realloc; /* no plain fallocate() to fill a hole that was punched */
    atomic_bool no_discard; /* no BLKDISCARD */
};

/* Errors are those of port_file_open(). On failure dev is closed. */
int file_dev_open(struct file_dev *dev, const char *path,
                  const struct port_file_opts *opts, struct err *e);
void file_dev_close(struct file_dev *dev);

int file_dev_read(struct file_dev *dev, void *buf, uint32_t len, uint64_t off);
int file_dev_write(struct file_dev *dev, const void *buf, uint32_t len, uint64_t off,
                   bool is_durable);

/* From the medium, past the page cache. An error when that is not to be had; a file
 * system in memory has no medium. */
int file_dev_read_uncached(struct file_dev *dev, void *buf, uint32_t len, uint64_t off);

/* Make every finished write durable. Once it has failed it fails for ever: the kernel
 * reports a lost page once and then forgets it, and a disk's cache does the same. So it
 * does once a durable write was told what may be another one's loss. */
int file_dev_sync(struct file_dev *dev);

/* Something that was to be written here and was acknowledged is lost: file_dev_sync()
 * fails with rc from now on, or goes on failing as it does. Returns rc. */
int file_dev_note_lost(struct file_dev *dev, int rc);

/* Drop what this host's page cache holds of the device. */
int file_dev_forget(struct file_dev *dev);

#endif
