/* SPDX-License-Identifier: BSD-3-Clause */
/* record_json.h - what the files of a state directory say, as text: written by
 * record_format_*, read by record_parse_*. Does no I/O.
 *
 * A file is {"baton": 1, "sha256": HEX, "body": BODY}. The body is of one of three
 * kinds, which have no members in common that could make one pass for another: disk
 * {"kind": "disk", "stamp": N, "disk": DISK} group    {"kind": "group", "stamp": N,
 * "disks": [DISK, ...]} service  {"kind": "service", "id": UUID, "incarnation": N}
 * stamp orders what one service wrote: a group never overrides a disk file of a later
 * stamp. Reading is strict: a member too many, one too few or of another type is
 * damage.
 */
#ifndef BATON_RECORD_JSON_H
#define BATON_RECORD_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record.h"

#define RECORD_FILE_MAX (4U * 1024 * 1024)     /* a full group is below 2 MiB */
#define RECORD_MAX_INCARNATION (INT32_MAX - 1) /* a stamp must fit in JSON */

struct record_service {
    char id[37];
    uint64_t incarnation;
};

/* 0, or -EINVAL with what is wrong with r. Strings that are not terminated, not UTF-8,
 * or numbers that JSON cannot carry are among it. */
int record_check(const struct record *r, struct err *e);

/* The text of a file, to be freed. What is written has passed record_check(). NULL: no
 * memory. */
char *record_format_disk(const struct record *r, uint64_t stamp);
char *record_format_group(const struct record *records, unsigned nr, uint64_t stamp);
char *record_format_service(const struct record_service *s);

/* Read one back. 0; -EBADMSG with a sentence, nothing is written then; -ENOMEM. */
int record_parse_disk(const char *text, size_t len, struct err *e,
                      struct record *ret_record, uint64_t *ret_stamp);
/* records has room for GROUP_MAX_DISKS; what is in it after an error is undefined. */
int record_parse_group(const char *text, size_t len, struct err *e,
                       struct record *records, unsigned *ret_nr, uint64_t *ret_stamp);
int record_parse_service(const char *text, size_t len, struct err *e,
                         struct record_service *ret_service);

#endif
