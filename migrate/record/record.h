/* SPDX-License-Identifier: BSD-3-Clause */
/* record.h - a service's durable statements of its role (role_*) for each disk.
 *
 * State directory (mode 0700, locked by one service at a time):
 *   service              {"id": UUID, "incarnation": N}
 *   disk/<name>.json     one record
 *   group.json           records of several disks that were committed at once and have
 *                        not been spread to disk/ yet; it wins over them
 * Every file is JSON {"baton": 1, "sha256": HEX, "body": {...}} (sha256 of the compact,
 * key-sorted body), written to a temporary file, fsynced, renamed, and the folder
 * fsynced. A file that is torn, foreign, or of a later version is refused with a
 * sentence, never guessed at. */
#ifndef BATON_RECORD_H
#define BATON_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "channel_name.h"
#include "channel_owner.h"
#include "err.h"
#include "identity.h"
#include "name.h"
#include "port.h"

#define RECORD_MAX_URIS 8
#define RECORD_URI_LEN 512
#define GROUP_MAX_DISKS 64

enum role { ROLE_OWNER, ROLE_STANDBY, ROLE_GIVEN, ROLE_PARKED };
#define ROLE_NR 4
const char *role_name(enum role r);
int role_parse(const char *s, enum role *ret_role); /* 0 or -EINVAL */

struct record {
    char name[NAME_MAX_LEN + 1];
    char uuid[37]; /* lower case; "" for a standby that has not learned it */
    char vm[NAME_MAX_LEN + 1]; /* "" when none */
    enum role role;
    uint64_t
        epoch; /* of the ownership this speaks of; 0 for a standby that knows none */
    /* The owner that flushed and gave it to us at this epoch; "" when it was taken in
     * any other way. With has_parked: ourselves, when it was parked. given: ourselves,
     * or "" when that was left to the next owner. See disk_durability.h. */
    char flushed_by[CHANNEL_INSTANCE_MAX];
    /* owner: what channels to us have to prove; given: what the owner it names told us
     * (channel_name.h). "" in a record of an earlier program, until it is known. Never
     * shown. */
    char right[CHANNEL_RIGHT_SIZE];
    uint64_t handoff; /* given: the same number for disks that were given at once */
    /* given: not by us to this owner; it has said itself that it owns the disk at this
     * epoch (owner_follow.h). We are its client and have nothing to tell it. */
    bool is_learned;
    /* We promised not to own the disk of this uuid at this epoch or before. 0: no
     * promise. */
    uint64_t refused_epoch;
    char refused_uuid[37]; /* "" only without a promise */
    struct port_info
        info; /* what the disk's clients were promised; size 0 if unknown */
    /* The last epoch at which a person made a service the owner without the word of the
     * one before (baton recover --take), and when (seconds since 1970); 0: never. It
     * stays with the disk, through handoffs: what an owner of an epoch before it has
     * acknowledged and not flushed may be lost. */
    uint64_t forced_epoch;
    uint64_t taken_at;
    /* standby: we were the owner at this epoch until somebody took the disk, and its
     * epoch is theirs. The disk stays unserved here until it is handed over. */
    uint64_t superseded;
    /* given: to whom. owner: from whom it came ("" when it was made here). standby that
     * was superseded: by whom. */
    char peer_name[NAME_MAX_LEN + 1];
    char peer_control[RECORD_URI_LEN];
    /* parked: the device as it was then, since it may be gone now, and nobody writes to
     * it. given, with has_parked: it was parked here when it was given, and is again
     * should the next owner refuse. */
    bool has_parked;
    struct identity parked;
    unsigned nr_channels; /* given: where the owner's channel listens */
    char channels[RECORD_MAX_URIS][RECORD_URI_LEN];
};

struct record_dir;

/* Create path if needed (parents must exist), lock it, finish what a crash interrupted
 * (temporary files are removed, group.json is spread). -EBUSY: another service has it.
 * -EBADMSG: a file is damaged. Each open has a higher incarnation than any before,
 * which is written down.
 *
 * A folder that is full or read-only is enough for a service that need not write: what
 * a crash interrupted is finished in memory, and the incarnation is taken from the wall
 * clock. It is written before anything else is, when that is possible again. */
int record_dir_open(const char *path, struct err *e, struct record_dir **ret_dir);
void record_dir_close(struct record_dir *d); /* NULL is accepted */

const char *record_dir_service_id(const struct record_dir *d); /* UUID, for ever */
uint64_t record_dir_incarnation(const struct record_dir *d);   /* of this open, >= 1 */
/* The one before, if nothing can have been served since it ended; 0: not known. */
uint64_t record_dir_last_incarnation(const struct record_dir *d);

#define RECORD_UNWRITTEN_LEN 256
/* Could the folder not be written at the start, and not since? Then buf, of
 * RECORD_UNWRITTEN_LEN bytes, says why. */
bool record_dir_is_unwritten(struct record_dir *d, char *buf);

/* 0, -ENOENT (no record), -EBADMSG and a sentence with the file's name. */
int record_load(struct record_dir *d, const char *name, struct err *e,
                struct record *ret_record);

/* When the record of name was written last, in seconds since 1970; 0: not known. */
uint64_t record_time(struct record_dir *d, const char *name);

/* Make all nr records (1..GROUP_MAX_DISKS) durable, all or none, and return. The first
 * durable rename is the commit point; on an error before it nothing changed. -EIO with
 * *ret_is_committed true: renamed, but the folder's fsync failed, so a power cut may
 * take it back; the caller goes on as committed and says so. Thread-safe, serialised.
 */
int record_commit(struct record_dir *d, const struct record *records, unsigned nr,
                  struct err *e, bool *ret_is_committed);

/* A commit in two parts, for a caller that must be quick at the second: a draft is the
 * file that record_commit() would rename, written and fsynced under another name. It
 * means nothing until it is committed, and an open of the directory removes it. */
struct record_draft;

/* Errors as those of record_commit() before its rename. */
int record_draft_new(struct record_dir *d, const struct record *records, unsigned nr,
                     struct err *e, struct record_draft **ret_draft);

/* Would a commit of these records say the same? */
bool record_draft_is_of(const struct record_draft *dr, const struct record *records,
                        unsigned nr);

/* As record_commit(): a rename and one fsync, unless another commit has spoken of these
 * disks since the draft was made (then it is written anew). The draft is gone in any
 * case. */
int record_draft_commit(struct record_dir *d, struct record_draft *dr, struct err *e,
                        bool *ret_is_committed);
void record_draft_drop(struct record_dir *d,
                       struct record_draft *dr); /* NULL is fine */

/* What commits left for later: group.json is spread (the next commit would do it, too),
 * the space of the files that drafts replaced is given back. */
int record_settle(struct record_dir *d, struct err *e);

#endif
