/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <check.h>

#include "clock.h"
#include "device_wait.h"
#include "suite.h"

static char folder[64], below[96], file[128];

static void
make_folder(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/appear.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(below, sizeof below, "%s/by-id", folder);
    (void)snprintf(file, sizeof file, "%s/disk", below);
}

static void
remove_folder(void)
{
    (void)unlink(file);
    (void)rmdir(below);
    (void)rmdir(folder);
}

static void
touch(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    (void)close(fd);
}

static void *
make_both(void *unused)
{
    ck_assert_int_eq(mkdir(below, 0700), 0);
    touch(file);
    return unused;
}

START_TEST(a_path_that_is_there_is_not_waited_for)
{
    ck_assert_int_eq(device_wait(folder, 0), 0);
}
END_TEST

START_TEST(a_path_that_does_not_appear_is_waited_for_until_the_deadline)
{
    const uint64_t deadline_ns = clock_deadline_ns(50 * NS_PER_MS);

    ck_assert_int_eq(device_wait(file, deadline_ns), -ENOENT);
    ck_assert(clock_now_ns() >= deadline_ns);
}
END_TEST

START_TEST(a_path_in_a_folder_that_appears_too_is_seen)
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, make_both, NULL), 0);
    ck_assert_int_eq(device_wait(file, clock_deadline_ns(20 * NS_PER_S)), 0);
    (void)pthread_join(thread, NULL);
}
END_TEST

START_TEST(a_link_counts_when_there_is_something_at_its_end)
{
    ck_assert_int_eq(mkdir(below, 0700), 0);
    ck_assert_int_eq(symlink("nothing", file), 0);
    ck_assert_int_eq(device_wait(file, clock_deadline_ns(50 * NS_PER_MS)), -ENOENT);
}
END_TEST

START_TEST(a_name_without_a_device_does_not_count)
{
    ck_assert_int_eq(mkdir(below, 0700), 0);
    if (mknod(file, S_IFBLK | 0600, makedev(240, 255)) != 0) {
        return; /* for root only */
    }
    ck_assert_int_eq(device_wait(file, clock_deadline_ns(50 * NS_PER_MS)), -ENOENT);
}
END_TEST

SUITE("appear") = {
    CASE("appear", .setup = make_folder, .teardown = remove_folder),
    TEST(a_path_that_is_there_is_not_waited_for),
    TEST(a_path_that_does_not_appear_is_waited_for_until_the_deadline),
    TEST(a_path_in_a_folder_that_appears_too_is_seen),
    TEST(a_link_counts_when_there_is_something_at_its_end),
    TEST(a_name_without_a_device_does_not_count),
};
