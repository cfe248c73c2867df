/* SPDX-License-Identifier: BSD-3-Clause */
/* record_dir.h - the inside of a state directory: opened and closed by record_dir.c,
 * read and written by record.c. */
#ifndef BATON_RECORD_DIR_H
#define BATON_RECORD_DIR_H

#include <sys/queue.h>

#include "lock.h"
#include "record.h"
#include "record_json.h"
#include "record_store.h"

#define RECORD_GROUP_FILE "group.json"
#define RECORD_FILE_NAME_SIZE (NAME_MAX_LEN + sizeof ".json")

struct record_dir {
    struct record_io *io; /* borrowed */
    char *path;           /* for error messages */
    int fd, disk_fd;
    int lock_fd;                   /* holds the lock on the directory */
    struct record_service service; /* constant once open */
    uint64_t
        last; /* incarnation that was written; 0: this one was not. Constant, too */
    struct lk lock; /* serialises commits; held over file I/O, take no other lock */
    struct record_dir_locked {
        /* The incarnation is in no file yet, and why; "" when it is. */
        char unwritten[RECORD_UNWRITTEN_LEN];
        uint64_t serial;     /* of the last file written */
        unsigned nr_pending; /* records in group.json, not spread yet; win over disk/ */
        struct record *pending; /* nr_pending, or NULL */
        uint64_t pending_stamp;
        LIST_HEAD(, record_draft) drafts, committed; /* the latter to be freed */
    } locked_;
};

struct record_dir_locked *record_dir_locked(struct record_dir *d) LK_REQUIRES(d->lock);

/* record_dir_open() over io, which outlives it. */
int record_dir_open_with(const char *path, struct record_io *io, struct err *e,
                         struct record_dir **ret_dir);

/* buf has RECORD_FILE_NAME_SIZE bytes: the name of a disk's file within disk/. */
void record_file_name(const char *name, char *buf);

/* record_settle(), for who has the lock. */
int record_settle_locked(struct record_dir *d, struct err *e) LK_REQUIRES(d->lock);

/* Free the drafts that were committed, and the space of the files they replaced. */
void record_draft_free_committed(struct record_dir *d);

/* Write the incarnation if that was not possible at the start: nothing else may be
 * written before it. */
int record_dir_begin_locked(struct record_dir *d, struct err *e) LK_REQUIRES(d->lock);

/* Take over what group.json says, if it is there: nothing is written. */
int record_load_group(struct record_dir *d, struct err *e);

#endif
