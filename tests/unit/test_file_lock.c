/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks of open file descriptions exclude each other also inside one process. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "err.h"
#include "file_lock.h"
#include "suite.h"

static char path[] = "file-lock-XXXXXX";
static int a = -1, b = -1; /* two descriptions of one file */

static void
setup(void)
{
    (void)snprintf(path, sizeof path, "file-lock-XXXXXX");
    a = mkstemp(path);
    ck_assert_int_ge(a, 0);
    b = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(b, 0);
    ck_assert_int_eq(unlink(path), 0);
}

static void
teardown(void)
{
    ck_assert_int_eq(close(a), 0);
    ck_assert_int_eq(close(b), 0);
}

/* Does somebody other than fd have a lock on the byte? */
static bool
is_locked(int fd, off_t byte)
{
    struct flock fl = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    ck_assert_int_eq(fcntl(fd, F_OFD_GETLK, &fl), 0);
    return fl.l_type != F_UNLCK;
}

static const struct pair {
    enum file_lock_mode first, second;
    int rc;
} pairs[] = {
    {FILE_LOCK_WRITER, FILE_LOCK_WRITER, -EBUSY},
    {FILE_LOCK_WRITER, FILE_LOCK_READER, -EBUSY},
    {FILE_LOCK_WRITER, FILE_LOCK_SHARER, 0},
    {FILE_LOCK_READER, FILE_LOCK_WRITER, -EBUSY},
    {FILE_LOCK_READER, FILE_LOCK_READER, 0},
    {FILE_LOCK_READER, FILE_LOCK_SHARER, 0},
    {FILE_LOCK_SHARER, FILE_LOCK_WRITER, 0},
    {FILE_LOCK_SHARER, FILE_LOCK_READER, 0},
    {FILE_LOCK_SHARER, FILE_LOCK_SHARER, 0},
};

START_TEST(two_holders_get_along_as_the_table_says)
{
    ck_assert_int_eq(file_lock_take(a, pairs[_i].first, NULL), 0);
    ck_assert_int_eq(file_lock_take(b, pairs[_i].second, NULL), pairs[_i].rc);
}
END_TEST

START_TEST(a_writer_locks_the_bytes_that_qemu_looks_at)
{
    static const off_t locked[] = {100, 101, 103, 201, 202, 203},
                       unlocked[] = {99, 102, 104, 200, 204};

    ck_assert_int_eq(file_lock_take(a, FILE_LOCK_WRITER, NULL), 0);
    for (size_t i = 0; i < sizeof locked / sizeof locked[0]; i++) {
        ck_assert_msg(is_locked(b, locked[i]), "%lld", (long long)locked[i]);
    }
    for (size_t i = 0; i < sizeof unlocked / sizeof unlocked[0]; i++) {
        ck_assert_msg(!is_locked(b, unlocked[i]), "%lld", (long long)unlocked[i]);
    }
}
END_TEST

START_TEST(who_is_refused_holds_no_lock)
{
    ck_assert_int_eq(file_lock_take(a, FILE_LOCK_WRITER, NULL), 0);
    ck_assert_int_eq(file_lock_take(b, FILE_LOCK_WRITER, NULL), -EBUSY);
    for (off_t byte = 90; byte < 220; byte++) {
        ck_assert(!is_locked(a, byte));
    }
}
END_TEST

START_TEST(a_lock_that_was_dropped_can_be_taken_by_another)
{
    ck_assert_int_eq(file_lock_take(a, FILE_LOCK_WRITER, NULL), 0);
    file_lock_drop(a);
    ck_assert_int_eq(file_lock_take(b, FILE_LOCK_WRITER, NULL), 0);
}
END_TEST

START_TEST(the_refusal_names_the_process_that_holds_the_lock)
{
    char who[64];
    struct err e = {""};

    ck_assert_int_eq(file_lock_take(a, FILE_LOCK_WRITER, NULL), 0);
    ck_assert_int_eq(file_lock_take(b, FILE_LOCK_WRITER, &e), -EBUSY);
    (void)snprintf(who, sizeof who, "in use by test_file_lock (pid %d)", (int)getpid());
    ck_assert_msg(strstr(e.msg, who) != NULL, "%s", e.msg);
    ck_assert_msg(strstr(e.msg, "a read lock on byte 201") != NULL, "%s", e.msg);
}
END_TEST

START_TEST(the_refusal_knows_the_kind_and_the_range_of_a_foreign_lock)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct err e = {""};

    ck_assert_int_eq(fcntl(a, F_OFD_SETLK, &whole), 0);
    ck_assert_int_eq(file_lock_take(b, FILE_LOCK_READER, &e), -EBUSY);
    ck_assert_msg(strstr(e.msg, "a write lock on byte 100") != NULL, "%s", e.msg);
}
END_TEST

START_TEST(a_lock_ends_with_its_descriptor)
{
    int c = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    ck_assert_int_eq(file_lock_take(a, FILE_LOCK_WRITER, NULL), 0);
    ck_assert_int_eq(dup2(c, a), a);
    ck_assert_int_eq(close(c), 0);
    ck_assert_int_eq(file_lock_take(b, FILE_LOCK_WRITER, NULL), 0);
}
END_TEST

SUITE("file_lock") = {
    CASE("two descriptions of one file", .setup = setup, .teardown = teardown),
    EACH(two_holders_get_along_as_the_table_says, pairs),
    TEST(a_writer_locks_the_bytes_that_qemu_looks_at),
    TEST(who_is_refused_holds_no_lock),
    TEST(a_lock_that_was_dropped_can_be_taken_by_another),
    TEST(the_refusal_names_the_process_that_holds_the_lock),
    TEST(the_refusal_knows_the_kind_and_the_range_of_a_foreign_lock),
    TEST(a_lock_ends_with_its_descriptor),
};
