/* SPDX-License-Identifier: BSD-3-Clause */
/* file_lock.h - who may touch a file or block device, said in the byte locks that
 * QEMU's file-posix driver uses: so QEMU and its tools are kept out, and keep us out.
 *
 * Permission i that a holder uses is a read lock on byte 100 + i; permission i that it
 * does not let others use is a read lock on byte 200 + i. Read locks never conflict
 * with each other: after taking its own, everyone tests the opposite bytes. Of two who
 * come at the same moment both may be refused, never both admitted. The locks are open
 * file description locks: they end with the last copy of the descriptor. */
#ifndef BATON_FILE_LOCK_H
#define BATON_FILE_LOCK_H

#include <stdint.h>

#include "err.h"

enum file_lock_mode {
    FILE_LOCK_WRITER, /* reads, writes, resizes; lets others only read */
    FILE_LOCK_READER, /* reads; lets nobody write or resize */
    FILE_LOCK_SHARER, /* reads; lets others do anything */
};

/* 0; -EBUSY: somebody holds what contradicts mode, e names who as far as it can be
 * seen; other -errno of fcntl(2). On failure fd holds no lock. fd is readable. */
int file_lock_take(int fd, enum file_lock_mode mode, struct err *e);
void file_lock_drop(int fd);

/* Would file_lock_take() succeed now? The same results; takes nothing, so that nobody
 * is refused because of the question. fd holds no lock. */
int file_lock_probe(int fd, enum file_lock_mode mode, struct err *e);

#endif
