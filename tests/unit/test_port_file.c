/* SPDX-License-Identifier: BSD-3-Clause */
/* What is special about files; what holds for every port is in the contract suite. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <check.h>

#include "port_file.h"
#include "suite.h"

#define SIZE (1U << 20)

static char path[32];
static int fd = -1; /* another descriptor of the file at path */
static struct port *p;
static struct err e;

static void
setup(void)
{
    (void)snprintf(path, sizeof path, "port-file-XXXXXX");
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, SIZE), 0);
    p = NULL;
    e.msg[0] = '\0';
}

static void
teardown(void)
{
    port_close(p);
    ck_assert_int_eq(close(fd), 0);
    ck_assert_int_eq(unlink(path), 0);
}

static int
open_cached(enum file_cache cache)
{
    const struct port_file_opts opts = {.cache = cache};

    return port_file_open(path, &opts, &e, &p);
}

static void
open_owned(enum file_cache cache)
{
    ck_assert_msg(open_cached(cache) == 0, "%s", e.msg);
    ck_assert_msg(port_own(p, &e) == 0, "%s", e.msg);
}

static int
submit(enum req_op op, uint32_t flags, uint64_t off, uint32_t len, void *buf)
{
    const struct req rq = {
        .op = op, .flags = flags, .off = off, .len = len, .buf = buf};

    ck_assert_int_eq(port_check(&p->info, &rq), 0);
    return port_submit(p, &rq);
}

static void
fill(uint64_t off, uint32_t len, int c)
{
    unsigned char *buf = malloc(len);

    memset(buf, c, len);
    ck_assert_int_eq(submit(REQ_WRITE, 0, off, len, buf), 0);
    free(buf);
}

static bool
says(const char *text)
{
    return strstr(e.msg, text) != NULL;
}

START_TEST(a_missing_file_is_named)
{
    const struct port_file_opts opts = {.cache = FILE_CACHE_WRITEBACK};

    ck_assert_int_eq(port_file_open("no/such/file", &opts, &e, &p), -ENOENT);
    ck_assert_msg(says("no/such/file: No such file"), "%s", e.msg);
}
END_TEST

START_TEST(what_is_neither_file_nor_block_device_is_refused)
{
    const struct port_file_opts opts = {.readonly = true};

    ck_assert_int_eq(port_file_open(".", &opts, &e, &p), -EINVAL);
    ck_assert_int_eq(port_file_open("/dev/null", &opts, &e, &p), -EINVAL);
    ck_assert_msg(says("/dev/null is neither"), "%s", e.msg);
}
END_TEST

START_TEST(cache_none_refuses_an_odd_size_and_says_what_to_use)
{
    ck_assert_int_eq(ftruncate(fd, SIZE + 100), 0);
    ck_assert_int_eq(open_cached(FILE_CACHE_NONE), -EINVAL);
    ck_assert_msg(says("use cache=writeback") && says(path), "%s", e.msg);
    ck_assert_int_eq(open_cached(FILE_CACHE_WRITEBACK), 0);
}
END_TEST

START_TEST(cache_none_refuses_a_file_system_without_direct_io)
{
    const struct port_file_opts opts = {.cache = FILE_CACHE_NONE, .readonly = true};

    ck_assert_int_eq(port_file_open("/proc/self/status", &opts, &e, &p), -EINVAL);
    ck_assert_msg(says("use cache=writeback"), "%s", e.msg);
}
END_TEST

START_TEST(an_empty_file_is_a_device_of_no_bytes)
{
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    open_owned(FILE_CACHE_WRITEBACK);
    ck_assert_uint_eq(p->info.size, 0);
    ck_assert_int_eq(submit(REQ_FLUSH, 0, 0, 0, NULL), 0);
}
END_TEST

START_TEST(a_readonly_port_cannot_write)
{
    const struct port_file_opts opts = {.readonly = true};
    const struct req rq = {.op = REQ_WRITE, .len = 512};

    ck_assert_int_eq(port_file_open(path, &opts, &e, &p), 0);
    ck_assert_int_eq(port_check(&p->info, &rq), -EPERM);
}
END_TEST

START_TEST(a_file_that_became_shorter_gives_an_error_not_a_short_read)
{
    static const enum file_cache caches[] = {FILE_CACHE_WRITEBACK, FILE_CACHE_NONE};
    static unsigned char buf[65536];

    open_owned(caches[_i]);
    ck_assert_int_eq(ftruncate(fd, SIZE / 2 + 100), 0);
    ck_assert_int_eq(submit(REQ_READ, 0, SIZE / 2 - 8192, 8192, buf), 0);
    ck_assert_int_eq(submit(REQ_READ, 0, SIZE / 2 - 8192, 16384, buf), -EIO);
    ck_assert_int_eq(submit(REQ_READ, 0, SIZE - 4096, 4096, buf), -EIO);
    ck_assert_int_eq(submit(REQ_READ, REQ_F_UNCACHED, SIZE - 4096, 4096, buf), -EIO);
}
END_TEST

static int
ignore_extent(struct extent_sink *s, uint64_t off, uint64_t len, uint32_t type)
{
    (void)s;
    (void)off;
    (void)len;
    (void)type;
    return 0;
}

START_TEST(the_end_of_a_file_that_became_shorter_is_not_a_hole)
{
    struct extent_sink sink = {.add = ignore_extent};
    const struct req rq = {.op = REQ_EXTENTS, .len = SIZE, .extents = &sink};

    open_owned(FILE_CACHE_WRITEBACK);
    ck_assert_int_eq(port_submit(p, &rq), 0);
    ck_assert_int_eq(ftruncate(fd, SIZE / 2), 0);
    ck_assert_int_eq(port_submit(p, &rq), -EIO);
}
END_TEST

START_TEST(a_second_port_is_refused_until_the_first_lets_go)
{
    const struct port_file_opts opts = {.cache = FILE_CACHE_WRITEBACK};
    struct port *second = NULL;

    open_owned(FILE_CACHE_WRITEBACK);
    ck_assert_int_eq(port_file_open(path, &opts, &e, &second), 0);
    ck_assert_int_eq(port_own(second, &e), -EBUSY);
    ck_assert_msg(says(path) && says("is in use by test_port_file (pid"), "%s", e.msg);
    ck_assert_int_eq(submit(REQ_FLUSH, 0, 0, 0, NULL), 0);
    port_disown(p);
    ck_assert_int_eq(port_own(second, &e), 0);
    port_close(second);
}
END_TEST

START_TEST(a_file_that_has_shrunk_is_not_owned_and_not_locked)
{
    struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    ck_assert_int_eq(open_cached(FILE_CACHE_WRITEBACK), 0);
    ck_assert_int_eq(ftruncate(fd, SIZE / 2), 0);
    ck_assert_int_eq(port_own(p, &e), -EINVAL);
    ck_assert_msg(says("its size is 524288 bytes now"), "%s", e.msg);
    ck_assert_int_eq(fcntl(fd, F_OFD_GETLK, &fl), 0);
    ck_assert_int_eq(fl.l_type, F_UNLCK);
}
END_TEST

START_TEST(a_file_that_has_grown_is_owned_and_says_so)
{
    ck_assert_int_eq(open_cached(FILE_CACHE_WRITEBACK), 0);
    ck_assert_uint_eq(port_size_now(p), SIZE);
    ck_assert_int_eq(ftruncate(fd, SIZE * 2), 0);
    ck_assert_int_eq(port_own(p, &e), 0);
    ck_assert_uint_eq(port_size_now(p), SIZE * 2);
    ck_assert_uint_eq(p->info.size, SIZE);
}
END_TEST

/* Is the block at off in this host's page cache? */
static bool
is_cached(off_t off)
{
    unsigned char in_core = 0;
    void *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, off);

    ck_assert_ptr_ne(map, MAP_FAILED);
    ck_assert_int_eq(mincore(map, 4096, &in_core), 0);
    ck_assert_int_eq(munmap(map, 4096), 0);
    return (in_core & 1) != 0;
}

START_TEST(owning_drops_the_cache_unless_it_is_trusted)
{
    open_owned(FILE_CACHE_WRITEBACK);
    fill(0, SIZE, 0x21);
    ck_assert_int_eq(submit(REQ_FLUSH, 0, 0, 0, NULL), 0);
    port_disown(p);
    ck_assert_int_eq(port_own(p, &e), 0);
    ck_assert(is_cached(0) && is_cached(SIZE - 4096));
    port_disown(p);
    port_file_trust_cache(p, false);
    ck_assert_int_eq(port_own(p, &e), 0);
    ck_assert(!is_cached(0) && !is_cached(SIZE - 4096));
}
END_TEST

static blkcnt_t
blocks(void)
{
    struct stat st;

    ck_assert_int_eq(fsync(fd), 0);
    ck_assert_int_eq(fstat(fd, &st), 0);
    return st.st_blocks;
}

START_TEST(zero_keeps_the_space_and_may_trim_gives_it_back)
{
    blkcnt_t full;

    open_owned(FILE_CACHE_WRITEBACK);
    fill(0, SIZE, 0x22);
    full = blocks();
    ck_assert_int_eq(submit(REQ_ZERO, 0, 0, SIZE, NULL), 0);
    ck_assert_int_ge(blocks(), full);
    ck_assert_int_eq(submit(REQ_ZERO, REQ_F_MAY_TRIM, 0, SIZE, NULL), 0);
    ck_assert_int_lt(blocks(), full / 2);
}
END_TEST

/* Pages of the file that are not on the medium yet; -1: the kernel cannot tell (it has
 * cachestat(2) since 6.5). */
static long
nr_dirty_pages(void)
{
    struct {
        uint64_t off, len;
    } range = {0, 0};
    struct {
        uint64_t cached, dirty, writeback, evicted, recently_evicted;
    } stat;
    const long nr_cachestat = 451; /* on every architecture; not in older headers */

    if (syscall(nr_cachestat, fd, &range, &stat, 0) < 0) {
        return -1;
    }
    return (long)(stat.dirty + stat.writeback);
}

START_TEST(writethrough_and_fua_reach_the_medium_before_the_reply)
{
    static const struct {
        enum file_cache cache;
        enum req_op op;
        uint32_t flags;
    } ways[] = {{FILE_CACHE_WRITETHROUGH, REQ_WRITE, 0},
                {FILE_CACHE_WRITEBACK, REQ_WRITE, REQ_F_FUA},
                {FILE_CACHE_WRITETHROUGH, REQ_TRIM, 0},
                {FILE_CACHE_WRITEBACK, REQ_ZERO, REQ_F_FUA},
                {FILE_CACHE_WRITEBACK, REQ_FLUSH, 0}};
    bool is_flush = ways[_i].op == REQ_FLUSH;
    static char buf[5000];

    if (nr_dirty_pages() < 0) {
        printf("skipped: no cachestat on this kernel\n");
        return;
    }
    ck_assert_int_eq(open_cached(FILE_CACHE_WRITEBACK), 0);
    ck_assert_int_eq(pwrite(fd, buf, sizeof buf, 100000), (ssize_t)sizeof buf);
    ck_assert_int_gt(nr_dirty_pages(), 0); /* or the test would show nothing */
    ck_assert_int_eq(ways[_i].op == REQ_WRITE ? fdatasync(fd) : 0, 0);
    port_close(p);
    open_owned(ways[_i].cache);
    ck_assert_int_eq(submit(ways[_i].op, ways[_i].flags, 0, is_flush ? 0 : sizeof buf,
                            is_flush ? NULL : buf),
                     0);
    ck_assert_int_eq(nr_dirty_pages(), 0);
}
END_TEST

/* Where file systems have such names: not on overlayfs, of which tests may run. */
START_TEST(a_name_that_lasts_is_that_of_one_file)
{
    const struct port_file_opts opts = {.cache = FILE_CACHE_WRITEBACK};
    char id[128] = "", other[128] = "", copy[64];
    struct port *q = NULL;
    int copy_fd;

    ck_assert_int_eq(open_cached(FILE_CACHE_WRITEBACK), 0);
    if (port_file_lasting(p, id, sizeof id) == 0) {
        printf("skipped: files have no names that last here\n");
        return;
    }
    ck_assert_int_eq(strncmp(id, "inode:", 6), 0);
    ck_assert_ptr_null(strchr(id, '@')); /* nothing of this boot */
    ck_assert_int_eq(port_file_open(path, &opts, &e, &q), 0);
    ck_assert_int_gt(port_file_lasting(q, other, sizeof other), 0);
    ck_assert_str_eq(id, other);
    port_close(q);
    (void)snprintf(copy, sizeof copy, "port-file-XXXXXX");
    copy_fd = mkstemp(copy);
    ck_assert_int_ge(copy_fd, 0);
    ck_assert_int_eq(ftruncate(copy_fd, SIZE), 0);
    ck_assert_int_eq(port_file_open(copy, &opts, &e, &q), 0);
    ck_assert_int_eq(unlink(copy), 0);
    ck_assert_int_gt(port_file_lasting(q, other, sizeof other), 0);
    ck_assert_str_ne(id, other);
    port_close(q);
    (void)close(copy_fd);
}
END_TEST

START_TEST(identity_is_that_of_the_inode_and_differs_between_files)
{
    const struct port_file_opts opts = {.cache = FILE_CACHE_WRITEBACK};
    char id[128], other[128], want[64];
    struct port *q = NULL;
    struct stat st;

    ck_assert_int_eq(open_cached(FILE_CACHE_WRITEBACK), 0);
    ck_assert_int_eq(fstat(fd, &st), 0);
    (void)snprintf(want, sizeof want, ":%llu@", (unsigned long long)st.st_ino);
    ck_assert_int_gt(port_identify(p, id, sizeof id), 36);
    ck_assert(strncmp(id, "file:", 5) == 0 && strstr(id, want) != NULL);
    ck_assert_int_eq(port_file_open(path, &opts, &e, &q), 0);
    ck_assert_int_gt(port_identify(q, other, sizeof other), 0);
    ck_assert_str_eq(id, other);
    port_close(q);
    q = NULL;
    ck_assert_int_eq(port_file_open("/proc/self/exe",
                                    &(struct port_file_opts){.readonly = true}, &e, &q),
                     0);
    ck_assert_int_gt(port_identify(q, other, sizeof other), 0);
    ck_assert_str_ne(id, other);
    port_close(q);
}
END_TEST

SUITE("port_file") = {
    CASE("a file of 1 MiB", .setup = setup, .teardown = teardown),
    LOOP(a_file_that_became_shorter_gives_an_error_not_a_short_read, 2),
    LOOP(writethrough_and_fua_reach_the_medium_before_the_reply, 5),
    TEST(a_missing_file_is_named),
    TEST(what_is_neither_file_nor_block_device_is_refused),
    TEST(cache_none_refuses_an_odd_size_and_says_what_to_use),
    TEST(cache_none_refuses_a_file_system_without_direct_io),
    TEST(an_empty_file_is_a_device_of_no_bytes),
    TEST(a_readonly_port_cannot_write),
    TEST(the_end_of_a_file_that_became_shorter_is_not_a_hole),
    TEST(a_second_port_is_refused_until_the_first_lets_go),
    TEST(a_file_that_has_shrunk_is_not_owned_and_not_locked),
    TEST(a_file_that_has_grown_is_owned_and_says_so),
    TEST(owning_drops_the_cache_unless_it_is_trusted),
    TEST(zero_keeps_the_space_and_may_trim_gives_it_back),
    TEST(identity_is_that_of_the_inode_and_differs_between_files),
    TEST(a_name_that_lasts_is_that_of_one_file),
};
