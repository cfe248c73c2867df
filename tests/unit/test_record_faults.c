/* SPDX-License-Identifier: BSD-3-Clause */
/* Disks that fail at any step, kills at any moment, and a full file system. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <check.h>

#include "record_rig.h"
#include "record_store.h"
#include "suite.h"

/* Counts the steps that change the directory; from the nth on they fail. */
struct faulty_io {
    struct record_io io;
    unsigned count, fail_at; /* 0: never */
    bool is_lasting;         /* all later ones fail, too */
    bool tears;              /* a failing write has written half */
    char log[64];            /* one letter for each step that was tried */
    uint64_t wall_s;         /* goes on by a second each time it is asked */
};

static int
step(struct record_io *io, char letter)
{
    struct faulty_io *f = (struct faulty_io *)io; /* io is its first member */

    if (f->count < sizeof f->log - 1) {
        f->log[f->count] = letter;
    }
    f->count++;
    if (f->fail_at == 0 || f->count < f->fail_at) {
        return 0;
    }
    return f->count == f->fail_at || f->is_lasting ? -ENOSPC : 0;
}

static int
faulty_create(struct record_io *io, int dir_fd, const char *name)
{
    int rc = step(io, 'c');

    return rc < 0 ? rc : record_io_system.create(io, dir_fd, name);
}

static ssize_t
faulty_write(struct record_io *io, int fd, const char *buf, size_t len)
{
    int rc = step(io, 'w');

    if (rc < 0 && ((struct faulty_io *)io)->tears) {
        ck_assert_int_gt(write(fd, buf, len / 2), 0);
    }
    return rc < 0 ? rc : record_io_system.write(io, fd, buf, len);
}

static int
faulty_fsync(struct record_io *io, int fd)
{
    struct stat st;
    int rc;

    ck_assert_int_eq(fstat(fd, &st), 0);
    rc = step(io, S_ISDIR(st.st_mode) ? 'D' : 'F');
    return rc < 0 ? rc : record_io_system.fsync(io, fd);
}

static int
faulty_rename(struct record_io *io, int dir_fd, const char *from, const char *to)
{
    int rc = step(io, 'r');

    return rc < 0 ? rc : record_io_system.rename(io, dir_fd, from, to);
}

static int
faulty_unlink(struct record_io *io, int dir_fd, const char *name)
{
    int rc = step(io, 'u');

    return rc < 0 ? rc : record_io_system.unlink(io, dir_fd, name);
}

static uint64_t
faulty_wall_s(struct record_io *io)
{
    return ((struct faulty_io *)io)->wall_s++;
}

static struct faulty_io
make_faulty(bool is_lasting)
{
    return (struct faulty_io){
        .io = {.create = faulty_create,
               .write = faulty_write,
               .fsync = faulty_fsync,
               .rename = faulty_rename,
               .unlink = faulty_unlink,
               .wall_s = faulty_wall_s},
        .is_lasting = is_lasting,
        .tears = true,
        .wall_s = (uint64_t)time(NULL) + 3600, /* the other opens ask the true one */
    };
}

static void
check_epochs(struct record_dir *d, unsigned nr, uint64_t epoch)
{
    static const char *const names[] = {"vda", "vdb", "vdc"};

    ck_assert_uint_le(nr, sizeof names / sizeof names[0]);
    for (unsigned i = 0; i < nr; i++) {
        ck_assert_uint_eq(load(d, names[i]).epoch, epoch);
    }
}

/* c create, w write, F fsync of the file, r rename, D fsync of the folder, u unlink. A
 * power cut cannot be had in a test, but its cure is this order. */
START_TEST(what_must_last_is_synced_in_the_right_order)
{
    struct faulty_io f = make_faulty(false);
    struct record r[2] = {make_record("vda", 1), make_record("vdb", 1)};
    struct record_dir *d = NULL;

    ck_assert_int_eq(record_dir_open_with(dir_path, &f.io, NULL, &d), 0);
    ck_assert_str_eq(f.log, "D" /* the new folder in its parent */ "cwFrD");
    f = make_faulty(false);
    commit(d, r, 1);
    ck_assert_str_eq(f.log, "cwFrD");
    f = make_faulty(false);
    commit(d, r, 2);
    ck_assert_str_eq(f.log, "cwFrD");
    f = make_faulty(false);
    ck_assert_int_eq(record_settle(d, NULL), 0);
    ck_assert_str_eq(f.log, "cwFr"
                            "cwFr"
                            "D"
                            "uD");
    record_dir_close(d);
}
END_TEST

/* Fail the nth step of a commit of nr records over a directory where an earlier commit
 * of as many still has to be spread, then look with the same service and with the next.
 * Returns false when the run met no fault. */
static bool
commit_with_fault(unsigned nr, unsigned n, bool is_lasting, uint64_t epoch)
{
    struct faulty_io f = make_faulty(is_lasting);
    struct record r[3] = {make_record("vda", epoch), make_record("vdb", epoch),
                          make_record("vdc", epoch)};
    struct record_dir *d = NULL;
    bool is_committed;
    int rc;

    ck_assert_int_eq(record_dir_open_with(dir_path, &f.io, NULL, &d), 0);
    commit(d, r, nr);
    for (unsigned i = 0; i < 3; i++) {
        r[i].epoch = epoch + 1;
    }
    f.count = 0;
    f.fail_at = n;
    rc = record_commit(d, r, nr, NULL, &is_committed);
    ck_assert(rc == 0 || rc == (is_committed ? -EIO : -ENOSPC));
    ck_assert(rc != 0 || is_committed);
    check_epochs(d, nr, is_committed ? epoch + 1 : epoch);
    record_dir_close(d);
    d = open_dir();
    check_epochs(d, nr, is_committed ? epoch + 1 : epoch);
    ck_assert(!has_file("group.json"));
    record_dir_close(d);
    return f.count >= n;
}

START_TEST(a_commit_that_fails_at_any_step_is_all_or_nothing)
{
    unsigned nr = 1 + (unsigned)_i % 3, n = 1;
    uint64_t epoch = 1;

    while (commit_with_fault(nr, n, _i >= 3, epoch)) {
        n++;
        epoch += 2;
    }
    ck_assert_uint_gt(n, nr == 1 ? 5 : 10); /* it did meet steps */
}
END_TEST

/* The next service may fail, too, while it cleans up behind the last. */
START_TEST(an_open_that_fails_at_any_step_loses_nothing)
{
    struct faulty_io f = make_faulty(_i == 1);
    struct record r[2] = {make_record("vda", 1), make_record("vdb", 1)};
    uint64_t epoch;
    int rc = -1;

    for (epoch = 1; rc < 0; epoch++) {
        struct record_dir *d = open_dir();

        r[0].epoch = r[1].epoch = epoch;
        commit(d, r, 2);
        record_dir_close(d);
        write_file("disk/.tmp-x", "x", 1);
        f.count = 0;
        f.fail_at = (unsigned)epoch;
        rc = record_dir_open_with(dir_path, &f.io, NULL, &d);
        if (rc == 0) {
            check_epochs(d, 2, epoch);
            record_dir_close(d);
            rc = f.count >= f.fail_at ? -1 : 0; /* an ignored fault is no end */
            f.wall_s += 3600; /* the next open, by the true clock, counts one on */
        }
        d = open_dir();
        check_epochs(d, 2, epoch);
        record_dir_close(d);
    }
    ck_assert_uint_gt(epoch, 10);
}
END_TEST

/* Opens over f, which can write nothing. */
static struct record_dir *
open_unwritten(struct faulty_io *f)
{
    struct record_dir *d = NULL;
    struct err e = {.msg = ""};
    char why[RECORD_UNWRITTEN_LEN];

    f->count = 0;
    f->fail_at = 1;
    ck_assert_msg(record_dir_open_with(dir_path, &f->io, &e, &d) == 0, "%s", e.msg);
    ck_assert(record_dir_is_unwritten(d, why));
    ck_assert_ptr_nonnull(strstr(why, "No space left"));
    return d;
}

START_TEST(lives_that_cannot_be_written_down_are_newer_than_all_before)
{
    struct faulty_io f = make_faulty(true);
    struct record r[2] = {make_record("vda", 3), make_record("vdb", 3)};
    struct record_dir *d = open_dir();
    uint64_t last = record_dir_incarnation(d);
    char why[RECORD_UNWRITTEN_LEN];

    commit(d, r, 2);
    record_dir_close(d);
    for (unsigned i = 0; i < 3; i++) {
        d = open_unwritten(&f);
        ck_assert_uint_gt(record_dir_incarnation(d), last);
        last = record_dir_incarnation(d);
        check_epochs(d, 2, 3);
        record_dir_close(d);
    }
    f.fail_at = 0;
    ck_assert_int_eq(record_dir_open_with(dir_path, &f.io, NULL, &d), 0);
    ck_assert_uint_gt(record_dir_incarnation(d), last);
    ck_assert(!record_dir_is_unwritten(d, why));
    record_dir_close(d);
}
END_TEST

START_TEST(an_incarnation_is_written_before_the_first_commit)
{
    struct faulty_io f = make_faulty(true);
    struct record r = make_record("vda", 3);
    struct record_dir *d = open_dir();
    char why[RECORD_UNWRITTEN_LEN];
    bool is_committed;
    uint64_t mine;

    record_dir_close(d);
    d = open_unwritten(&f);
    mine = record_dir_incarnation(d);
    ck_assert_int_eq(record_commit(d, &r, 1, NULL, &is_committed), -ENOSPC);
    f = make_faulty(false); /* there is room again */
    commit(d, &r, 1);
    ck_assert_str_eq(f.log, "cwFrD"   /* service */
                            "cwFrD"); /* the record */
    ck_assert(!record_dir_is_unwritten(d, why));
    record_dir_close(d);
    f.wall_s = 0; /* a clock that went back is no matter then */
    ck_assert_int_eq(record_dir_open_with(dir_path, &f.io, NULL, &d), 0);
    ck_assert_uint_eq(record_dir_incarnation(d), mine + 1);
    record_dir_close(d);
}
END_TEST

START_TEST(a_settle_that_fails_at_any_step_loses_nothing)
{
    struct faulty_io f = make_faulty(_i == 1);
    struct record r[2] = {make_record("vda", 1), make_record("vdb", 1)};
    struct record_dir *d = NULL;
    uint64_t epoch = 0;

    ck_assert_int_eq(record_dir_open_with(dir_path, &f.io, NULL, &d), 0);
    do {
        epoch++;
        r[0].epoch = r[1].epoch = epoch;
        f.fail_at = 0;
        commit(d, r, 2);
        f.count = 0;
        f.fail_at = (unsigned)epoch;
        (void)record_settle(d, NULL); /* fails or not, this must hold: */
        check_epochs(d, 2, epoch);
    } while (f.count >= f.fail_at);
    ck_assert_uint_gt(epoch, 8);
    record_dir_close(d);
}
END_TEST

/* Commit groups of ever higher epochs, one byte to fd for each that is done. */
static void
commit_for_ever(int fd)
{
    struct record r[2] = {make_record("vda", 1), make_record("vdb", 1)};
    struct record_dir *d = open_dir();

    if (record_load(d, "vda", NULL, &r[0]) == 0) {
        r[1].epoch = r[0].epoch;
    }
    for (;;) {
        r[0].epoch = ++r[1].epoch;
        commit(d, r, 2);
        if (write(fd, "c", 1) != 1) {
            _exit(1);
        }
    }
}

/* Let a child commit at least once, kill it at some later moment, and return how many
 * commits it had finished. */
static uint64_t
kill_a_committer(unsigned *seed)
{
    struct timespec moment = {.tv_nsec = rand_r(seed) % 3000000};
    uint64_t nr = 0;
    int fds[2], status;
    ssize_t n;
    char buf[64];
    pid_t pid;

    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        commit_for_ever(fds[1]);
    }
    ck_assert_int_eq(close(fds[1]), 0);
    ck_assert_int_eq(read(fds[0], buf, 1), 1);
    (void)nanosleep(&moment, NULL); /* not to wait for anything: any moment will do */
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
    while ((n = read(fds[0], buf, sizeof buf)) > 0) {
        nr += (uint64_t)n;
    }
    ck_assert_int_eq(close(fds[0]), 0);
    return nr + 1;
}

START_TEST(a_kill_at_any_moment_leaves_a_whole_group)
{
    unsigned seed = 99 + (unsigned)_i;
    uint64_t epoch = 1;

    for (int i = 0; i < 10; i++) {
        uint64_t nr = kill_a_committer(&seed), now;
        struct record_dir *d = open_dir();

        now = load(d, "vda").epoch;
        ck_assert_uint_ge(now, epoch + nr);     /* what it had said is there */
        ck_assert_uint_le(now, epoch + nr + 1); /* and at most one that it had not */
        check_epochs(d, 2, now);
        ck_assert(!has_file("group.json"));
        ck_assert_int_eq(record_store_has(d->disk_fd, ".tmp-vda.json"), 0);
        record_dir_close(d);
        epoch = now;
    }
}
END_TEST

/* Put a file system of 256 KiB at dir_path, seen by this process alone. */
static bool
mount_small(void)
{
    return unshare(CLONE_NEWNS) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mkdir(dir_path, 0700) == 0 &&
           mount("none", dir_path, "tmpfs", 0, "size=256k,mode=0700") == 0;
}

static void
fill_up(int fd)
{
    static const char zeroes[4096];

    while (write(fd, zeroes, sizeof zeroes) > 0) {
    }
    ck_assert_int_eq(errno, ENOSPC);
}

static void
check_full(struct record_dir *d, unsigned nr)
{
    struct record r[2] = {make_record("vda", 2), make_record("vdb", 2)};
    struct err e = {.msg = ""};
    bool is_committed = true;

    ck_assert_int_eq(record_commit(d, r, nr, &e, &is_committed), -ENOSPC);
    ck_assert(!is_committed);
    ck_assert_ptr_nonnull(strstr(e.msg, dir_path));
    check_epochs(d, 2, 1);
}

START_TEST(a_full_file_system_changes_nothing_and_can_be_helped)
{
    struct record r[2] = {make_record("vda", 1), make_record("vdb", 1)};
    struct record_dir *d;
    char path[200];
    int fd;

    if (!mount_small()) {
        (void)fprintf(stderr, "SKIPPED: a full file system: cannot mount a tmpfs: %s\n",
                      strerrordesc_np(errno));
        return;
    }
    d = open_dir();
    commit(d, r, 2);
    ck_assert_int_eq(record_settle(d, NULL), 0);
    (void)snprintf(path, sizeof path, "%s/filler", dir_path);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    fill_up(fd);
    check_full(d, 1);
    check_full(d, 2);
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    ck_assert_int_eq(close(fd), 0);
    r[0].epoch = r[1].epoch = 2;
    commit(d, r, 2);
    check_epochs(d, 2, 2);
    record_dir_close(d);
    ck_assert_int_eq(umount(dir_path), 0);
}
END_TEST

SUITE("record_faults") = {
    CASE("faults", .setup = rig_set_up, .teardown = rig_tear_down),
    TEST(what_must_last_is_synced_in_the_right_order),
    LOOP(a_commit_that_fails_at_any_step_is_all_or_nothing, 6),
    LOOP(an_open_that_fails_at_any_step_loses_nothing, 2),
    TEST(lives_that_cannot_be_written_down_are_newer_than_all_before),
    TEST(an_incarnation_is_written_before_the_first_commit),
    LOOP(a_settle_that_fails_at_any_step_loses_nothing, 2),
    LOOP(a_kill_at_any_moment_leaves_a_whole_group, 10),
    TEST(a_full_file_system_changes_nothing_and_can_be_helped),
};
