/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "record_rig.h"
#include "record_store.h"
#include "suite.h"

static struct record_dir *dir;

/* Counts what the commit itself costs. */
static unsigned nr_writes, nr_fsyncs;

static ssize_t
counted_write(struct record_io *io, int fd, const char *buf, size_t len)
{
    nr_writes++;
    return record_io_system.write(io, fd, buf, len);
}

static int
counted_fsync(struct record_io *io, int fd)
{
    nr_fsyncs++;
    return record_io_system.fsync(io, fd);
}

static struct record_io counted;

static void
reopen(void)
{
    struct err e = {.msg = ""};

    record_dir_close(dir);
    ck_assert_msg(record_dir_open_with(dir_path, &counted, &e, &dir) == 0, "%s", e.msg);
}

static void
set_up(void)
{
    counted = record_io_system;
    counted.write = counted_write;
    counted.fsync = counted_fsync;
    rig_set_up();
    dir = NULL;
    reopen();
}

static void
tear_down(void)
{
    record_dir_close(dir);
    rig_tear_down();
}

static struct record
parked(const char *name, uint64_t epoch)
{
    struct record r = make_record(name, epoch);

    r.role = ROLE_PARKED;
    return r;
}

static struct record_draft *
draft(const struct record *records, unsigned nr)
{
    struct record_draft *dr = NULL;
    struct err e = {.msg = ""};

    ck_assert_msg(record_draft_new(dir, records, nr, &e, &dr) == 0, "%s", e.msg);
    return dr;
}

static void
commit_draft(struct record_draft *dr)
{
    struct err e = {.msg = ""};
    bool is_committed = false;

    ck_assert_msg(record_draft_commit(dir, dr, &e, &is_committed) == 0, "%s", e.msg);
    ck_assert(is_committed);
}

static uint64_t
epoch_of(const char *name)
{
    return load(dir, name).epoch;
}

static unsigned
count_in(const char *path, bool (*matches)(const char *path, const char *name))
{
    unsigned n = 0;
    struct dirent *entry;
    DIR *d = opendir(path);

    ck_assert_ptr_nonnull(d);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is ours alone */
    while ((entry = readdir(d)) != NULL) {
        n += matches(path, entry->d_name);
    }
    (void)closedir(d);
    return n;
}

static bool
is_temporary(const char *path, const char *name)
{
    (void)path;
    return strncmp(name, RECORD_STORE_TMP, strlen(RECORD_STORE_TMP)) == 0;
}

static unsigned
nr_temporary(void)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/disk", dir_path);
    return count_in(path, is_temporary);
}

START_TEST(a_draft_means_nothing_until_it_is_committed)
{
    struct record old = parked("vda", 1), next = parked("vda", 2);
    struct record_draft *dr;

    commit(dir, &old, 1);
    dr = draft(&next, 1);
    ck_assert_uint_eq(epoch_of("vda"), 1);
    commit_draft(dr);
    ck_assert_uint_eq(epoch_of("vda"), 2);
    reopen();
    ck_assert_uint_eq(epoch_of("vda"), 2);
}
END_TEST

START_TEST(a_crash_before_the_commit_leaves_the_old_record_and_no_file)
{
    struct record old = parked("vda", 1), next = parked("vda", 2);
    struct record_draft *dr;

    commit(dir, &old, 1);
    dr = draft(&next, 1);
    ck_assert_uint_eq(nr_temporary(), 1);
    /* What a killed process leaves is what a second view of the folder finds. */
    ck_assert_int_eq(record_store_clean(&record_io_system, dir->disk_fd, NULL), 0);
    ck_assert_uint_eq(nr_temporary(), 0);
    record_draft_drop(dir, dr);
    reopen();
    ck_assert_uint_eq(epoch_of("vda"), 1);
}
END_TEST

START_TEST(the_commit_of_a_draft_is_a_rename_and_one_fsync)
{
    struct record r[2] = {parked("vda", 1), parked("vdb", 1)};
    struct record_draft *dr = draft(r, 1 + (unsigned)_i);

    nr_writes = nr_fsyncs = 0;
    commit_draft(dr);
    ck_assert_uint_eq(nr_writes, 0);
    ck_assert_uint_eq(nr_fsyncs, 1);
    ck_assert_uint_eq(nr_temporary(), 0);
}
END_TEST

/* Is it a file of ours that is open and has no name any more? */
static bool
is_nameless(const char *path, const char *name)
{
    char link[300], target[300];
    ssize_t len;

    (void)snprintf(link, sizeof link, "%s/%s", path, name);
    len = readlink(link, target, sizeof target - 1);
    target[len > 0 ? len : 0] = '\0';
    return strncmp(target, folder, strlen(folder)) == 0 &&
           strstr(target, " (deleted)") != NULL;
}

static unsigned
nr_nameless(void)
{
    return count_in("/proc/self/fd", is_nameless);
}

/* The file system frees the space of a file when nobody has it open any more, and
 * whoever lets go waits for that. */
START_TEST(a_commit_does_not_wait_until_the_old_file_is_freed)
{
    struct record old = parked("vda", 1), next = parked("vda", 2);
    struct record_draft *dr;

    commit(dir, &old, 1);
    dr = draft(&next, 1);
    ck_assert_uint_eq(nr_nameless(), 0);
    commit_draft(dr);
    ck_assert_uint_eq(nr_nameless(), 1);
    ck_assert_int_eq(record_settle(dir, NULL), 0);
    ck_assert_uint_eq(nr_nameless(), 0);
    commit_draft(draft(&old, 1));
    ck_assert_uint_eq(nr_nameless(), 1);
    commit(dir, &next, 1); /* who is not in a hurry cleans up */
    ck_assert_uint_eq(nr_nameless(), 0);
}
END_TEST

START_TEST(a_dropped_draft_leaves_no_file)
{
    struct record r = parked("vda", 1);

    record_draft_drop(dir, draft(&r, 1));
    record_draft_drop(dir, NULL);
    ck_assert_uint_eq(nr_temporary(), 0);
    ck_assert_int_eq(record_load(dir, "vda", NULL, &r), -ENOENT);
}
END_TEST

/* A group's file only wins over files with an older stamp. */
START_TEST(a_group_draft_that_is_older_than_another_commit_still_wins_when_committed)
{
    struct record r[2] = {parked("vda", 3), parked("vdb", 3)},
                  between = parked("vda", 2);
    struct record_draft *dr = draft(r, 2);

    commit(dir, &between, 1);
    commit_draft(dr);
    ck_assert_uint_eq(epoch_of("vda"), 3);
    ck_assert_int_eq(record_settle(dir, NULL), 0);
    ck_assert_uint_eq(epoch_of("vda"), 3);
    reopen();
    ck_assert_uint_eq(epoch_of("vda"), 3);
    ck_assert_uint_eq(epoch_of("vdb"), 3);
}
END_TEST

START_TEST(a_draft_knows_what_it_says)
{
    struct record r[2] = {parked("vda", 1), parked("vdb", 1)}, other = parked("vda", 2);
    struct record_draft *dr = draft(r, 1);

    ck_assert(record_draft_is_of(dr, r, 1));
    ck_assert(!record_draft_is_of(dr, &other, 1));
    ck_assert(!record_draft_is_of(dr, r, 2));
    record_draft_drop(dir, dr);
}
END_TEST

SUITE("record_draft") = {
    CASE("record_draft", .setup = set_up, .teardown = tear_down),
    TEST(a_draft_means_nothing_until_it_is_committed),
    TEST(a_crash_before_the_commit_leaves_the_old_record_and_no_file),
    LOOP(the_commit_of_a_draft_is_a_rename_and_one_fsync, 2),
    TEST(a_commit_does_not_wait_until_the_old_file_is_freed),
    TEST(a_dropped_draft_leaves_no_file),
    TEST(a_group_draft_that_is_older_than_another_commit_still_wins_when_committed),
    TEST(a_draft_knows_what_it_says),
};
