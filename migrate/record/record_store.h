/* SPDX-License-Identifier: BSD-3-Clause */
/* record_store.h - small files that are replaced as a whole or not at all. Everything
 * that changes the state directory goes through a struct record_io, so that a test can
 * make any one step fail. Sentences do not name the file: callers know its full name.
 */
#ifndef BATON_RECORD_STORE_H
#define BATON_RECORD_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

/* Each returns what its system call does, or -errno. Names are within the folder. */
struct record_io {
    int (*create)(struct record_io *io, int dir_fd, const char *name); /* an fd */
    ssize_t (*write)(struct record_io *io, int fd, const char *buf, size_t len);
    int (*fsync)(struct record_io *io, int fd);
    int (*rename)(struct record_io *io, int dir_fd, const char *from, const char *to);
    int (*unlink)(struct record_io *io, int dir_fd, const char *name);
    uint64_t (*wall_s)(struct record_io *io); /* seconds since 1970 */
};

extern struct record_io record_io_system; /* the system calls; constant */

/* The whole file, to be freed. -ENOENT; -EBADMSG: not a regular file, or too long for
 * one of ours; -errno. */
int record_store_read(int dir_fd, const char *name, struct err *e, char **ret_text,
                      size_t *ret_len);

#define RECORD_STORE_TMP ".tmp-" /* what temporary files begin with */

/* Write text to a temporary file, durably. After an error it is not there. */
int record_store_write_tmp(struct record_io *io, int dir_fd, const char *tmp,
                           const char *text, struct err *e);

/* Put a temporary file in place of the file, durably: rename, fsync of the folder. On
 * an error *ret_is_renamed tells whether the new content is what a reader finds now
 * (then only its survival of a power cut is in doubt) or still the old, and the
 * temporary file is gone. */
int record_store_rename_tmp(struct record_io *io, int dir_fd, const char *tmp,
                            const char *name, struct err *e, bool *ret_is_renamed);

/* Both, but for the fsync of the folder, which the caller owes. */
int record_store_put(struct record_io *io, int dir_fd, const char *name,
                     const char *text, struct err *e);

/* Both. */
int record_store_replace(struct record_io *io, int dir_fd, const char *name,
                         const char *text, struct err *e, bool *ret_is_renamed);

/* Remove what an interrupted record_store_replace() left in the folder. */
int record_store_clean(struct record_io *io, int dir_fd, struct err *e);

/* Is rc what a folder says that is full or read-only, and else as good as ever? */
bool record_store_is_unwritable(int rc);

/* Is there a file whose name ends in suffix? 1, 0 or -errno. */
int record_store_has(int dir_fd, const char *suffix);

#endif
