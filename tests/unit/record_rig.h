/* SPDX-License-Identifier: BSD-3-Clause */
/* record_rig.h - a state directory in a folder of the test's own, and records to put
 * into it. */
#ifndef BATON_TESTS_RECORD_RIG_H
#define BATON_TESTS_RECORD_RIG_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>

#include "cleanup.h"
#include "err.h"
#include "record.h"
#include "record_dir.h"
#include "record_json.h"

#define UUID "0123abcd-4567-89ef-0123-456789abcdef"

static char folder[64];
static char dir_path[96]; /* <folder>/state */

static inline void
rig_set_up(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/baton-record-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(dir_path, sizeof dir_path, "%s/state", folder);
}

static inline int
rig_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void
rig_tear_down(void)
{
    ck_assert_int_eq(nftw(folder, rig_remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT),
                     0);
}

static inline struct record
make_record(const char *name, uint64_t epoch)
{
    struct record r = {
        .uuid = UUID,
        .vm = "web",
        .role = ROLE_GIVEN,
        .epoch = epoch,
        .info = {.size = 1 << 20,
                 .min_block = 512,
                 .pref_block = 4096,
                 .max_block = UINT32_MAX,
                 .caps = PORT_CAN_WRITE | PORT_CAN_FLUSH},
        .peer_name = "b",
        .peer_control = "unix:/run/b.ctl",
        .flushed_by = "b.7",
        .right = "0123456789abcdef0123456789abcdef",
        .nr_channels = 2,
        .channels = {"unix:/run/b.nbd", "vsock:3:10809"},
    };

    (void)snprintf(r.name, sizeof r.name, "%s", name);
    return r;
}

static inline struct record_dir *
open_dir(void)
{
    struct record_dir *d = NULL;
    struct err e = {.msg = ""};

    ck_assert_msg(record_dir_open(dir_path, &e, &d) == 0, "%s", e.msg);
    return d;
}

static inline void
commit(struct record_dir *d, const struct record *records, unsigned nr)
{
    struct err e = {.msg = ""};
    bool is_committed = false;

    ck_assert_msg(record_commit(d, records, nr, &e, &is_committed) == 0, "%s", e.msg);
    ck_assert(is_committed);
}

static inline struct record
load(struct record_dir *d, const char *name)
{
    struct err e = {.msg = ""};
    struct record r;

    ck_assert_msg(record_load(d, name, &e, &r) == 0, "%s", e.msg);
    return r;
}

static inline bool
has_file(const char *name)
{
    char path[200];

    (void)snprintf(path, sizeof path, "%s/%s", dir_path, name);
    return access(path, F_OK) == 0;
}

static inline void
write_file(const char *name, const char *text, size_t len)
{
    char path[200];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/%s", dir_path, name);
    f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, len, f), len);
    ck_assert_int_eq(fclose(f), 0);
}

static inline void
write_group(const struct record *records, unsigned nr, uint64_t stamp)
{
    AUTO_FREE char *text = record_format_group(records, nr, stamp);

    ck_assert_ptr_nonnull(text);
    write_file("group.json", text, strlen(text));
}

#endif
