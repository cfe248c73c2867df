/* SPDX-License-Identifier: BSD-3-Clause */
/* record_dir.h - the inside of a state directory, which record_open.c opens and closes,
 * record.c reads and tidies, and record_draft.c commits to. */
#ifndef BATON_RECORD_DIR_H
#define BATON_RECORD_DIR_H

#include <sys/queue.h>

#include "lock.h"
#include "record.h"
#include "record_json.h"
#include "record_store.h"

#define RECORD_SERVICE_FILE "service"
#define RECORD_GROUP_FILE "group.json"
#define RECORD_FILE_NAME_SIZE (NAME_MAX_LEN + sizeof ".json")

struct record_draft {
    unsigned nr;
    struct record *records;
    /* Guarded by the lock of the directory once the draft is in its list. */
    uint64_t stamp;
    char *text;
    bool is_stale; /* another commit, with a later stamp, spoke of one of its disks */
    /* The file that the commit replaces, or -1: the rename would also give back its
     * space, which takes as long as the fsync, were it not open. */
    int replaced_fd;
    LIST_ENTRY(record_draft) link;
};

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

/* The name of a disk's file within disk/. buf has RECORD_FILE_NAME_SIZE bytes. */
void record_dir_file_name(const char *name, char *buf);

/* Write down what d->service says, durably. */
int record_dir_write_service(struct record_dir *d, struct err *e);

/* Write the incarnation if that was not possible at the start: nothing else may be
 * written before it. */
int record_dir_begin_locked(struct record_dir *d, struct err *e) LK_REQUIRES(d->lock);

/* dr is in neither list; its temporary file is the caller's to remove. */
void record_dir_free_draft(struct record_draft *dr);

/* Free the drafts that were committed, and the space of the files they replaced. */
void record_dir_free_committed(struct record_dir *d);

/* record_dir_open() over io, which outlives it. */
int record_dir_open_with(const char *path, struct record_io *io, struct err *e,
                         struct record_dir **ret_dir);

/* Take over what group.json says, if it is there: nothing is written. */
int record_load_group(struct record_dir *d, struct err *e);

/* record_settle() with the lock held. */
int record_settle_locked(struct record_dir *d, struct err *e) LK_REQUIRES(d->lock);

#endif
