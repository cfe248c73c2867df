/* SPDX-License-Identifier: BSD-3-Clause */
/* identity.h - is the device that the next owner would open the same device?
 *
 * Handing a disk to a service whose device is another one would be the worst thing that
 * could happen, and nobody would see it. So both sides describe what they have: size
 * and limits, what the system knows of the device, and hashes of some blocks, read past
 * every cache. The present owner judges, because only it can tell a block that differs
 * from a block that a VM is just writing: it reads its own before and after. */
#ifndef BATON_IDENTITY_H
#define BATON_IDENTITY_H

#include <stdbool.h>

#include <jansson.h>

#include "port.h"

#define IDENTITY_SAMPLES 16
#define IDENTITY_HASH_LEN 65 /* hex SHA-256 and NUL */
#define IDENTITY_DEVICE_LEN 192

struct identity {
    struct port_info info;
    uint64_t device_size; /* which may be more than the disk's; 0: as info says */
    char device_id[IDENTITY_DEVICE_LEN]; /* "" when the system knows nothing; see
                                            port_identify() */
    char samples[IDENTITY_SAMPLES][IDENTITY_HASH_LEN];
};

/* The kernel's boot id: two services with the same one share a page cache. "" when it
 * cannot be read. buf has 37 bytes. */
void identity_boot_id(char *buf);

/* Describe the device of p, which is that of a disk or may be; blocks. disk is what the
 * disk's clients were promised: both sides sample what its size and blocks say. -errno
 * of a read, -ENOMEM, -EINVAL: it is too small. */
int identity_take(struct port *p, const struct port_info *disk, struct err *e,
                  struct identity *ret_id);

/* The same; before each sample check() is asked whether to go on, and its error ends
 * it. */
int identity_take_while(struct port *p, const struct port_info *disk,
                        int (*check)(void *opaque, struct err *e), void *opaque,
                        struct err *e, struct identity *ret_id);

/* Can `theirs` be the device of `mine`, which was looked at before and after theirs?
 * 0, or -EINVAL and e says what differs: another size, too, unless the system knows
 * both by one name (a device that has grown is seen by one host before the other).
 * -EILSEQ: contents differ; if it is so each time one looks it is another device, but
 * once it may be a block that was written and zeroed again between the looks. */
int identity_compare(const struct identity *before, const struct identity *after,
                     const struct identity *theirs, struct err *e);

/* The same, when nobody may have written since `parked` was looked at, and the device
 * may have been moved to another machine or another place on this one. Its numbers
 * there prove nothing then, unless is_here: it is still where it was. -EINVAL. */
int identity_compare_parked(const struct identity *parked, bool is_here,
                            const struct identity *theirs, struct err *e);

/* Do these two, of port_identify(), prove two devices? */
bool identity_proves_two(const char *a, const char *b);

/* Are they one file or block device of one kernel, so that what either side writes to
 * its page cache is seen, and flushed, by the other? False when that is not known. */
bool identity_shares_cache(const struct identity *mine, const struct identity *theirs);

json_t *identity_to_json(const struct identity *id);
/* -EBADMSG and a sentence for anything that is not an identity. */
int identity_from_json(const json_t *j, struct err *e, struct identity *ret_id);

json_t *identity_info_to_json(const struct port_info *info);
int identity_info_from_json(const json_t *j, struct err *e, struct port_info *ret_info);

#endif
