/* SPDX-License-Identifier: BSD-3-Clause */
/* What is done where the kernel or the file system lacks something; and alignment. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "cleanup.h"
#include "file_dev.h"
#include "file_direct.h"
#include "file_io.h"
#include "file_zero.h"
#include "may_block.h"
#include "suite.h"

#define SIZE (4U << 20)

static struct file_dev dev;

/* A file in memory: it can punch holes, and has no ZERO_RANGE. */
static void
setup(void)
{
    dev = (struct file_dev){
        .fd = memfd_create("dev", MFD_CLOEXEC), .size = SIZE, .block = 1};
    ck_assert_int_ge(dev.fd, 0);
    ck_assert_int_eq(ftruncate(dev.fd, SIZE), 0);
}

static void
teardown(void)
{
    file_dev_close(&dev);
}

static void
fill(uint64_t off, uint32_t len, int c)
{
    char *buf = malloc(len);

    ck_assert_ptr_nonnull(buf);
    memset(buf, c, len);
    ck_assert_int_eq(file_dev_write(&dev, buf, len, off, false), 0);
    free(buf);
}

static bool
is_filled(uint64_t off, uint32_t len, int c)
{
    char *buf = malloc(len);
    uint32_t i = 0;

    ck_assert_ptr_nonnull(buf);
    ck_assert_int_eq(file_dev_read(&dev, buf, len, off), 0);
    while (i < len && buf[i] == c) {
        i++;
    }
    free(buf);
    return i == len;
}

START_TEST(zero_punches_and_fills_where_there_is_no_zero_range)
{
    fill(0, SIZE, 0x31);
    ck_assert_int_eq(file_zero_range(&dev, 100, 100000, 0), 0);
    ck_assert(is_filled(0, 100, 0x31) && is_filled(100, 100000, 0));
    ck_assert(is_filled(100100, 100, 0x31));
    ck_assert(atomic_load(&dev.no_zero_range) && !atomic_load(&dev.no_punch));
}
END_TEST

static void
lack_everything(void)
{
    atomic_store(&dev.no_punch, true);
    atomic_store(&dev.no_zero_range, true);
    atomic_store(&dev.no_realloc, true);
}

START_TEST(zero_writes_where_there_is_nothing_else)
{
    lack_everything();
    fill(0, SIZE, 0x32);
    ck_assert_int_eq(file_zero_range(&dev, 100, 200000, REQ_F_MAY_TRIM), 0);
    ck_assert(is_filled(0, 100, 0x32) && is_filled(100, 200000, 0));
    ck_assert(is_filled(200100, 100, 0x32));
}
END_TEST

START_TEST(fast_zero_is_refused_where_it_would_write)
{
    lack_everything();
    fill(0, 4096, 0x33);
    ck_assert_int_eq(file_zero_range(&dev, 0, 4096, REQ_F_FAST), -ENOTSUP);
    ck_assert_int_eq(file_zero_range(&dev, 0, 4096, REQ_F_FAST | REQ_F_MAY_TRIM),
                     -ENOTSUP);
    ck_assert(is_filled(0, 4096, 0x33));
}
END_TEST

START_TEST(trim_succeeds_where_nothing_can_be_trimmed)
{
    lack_everything();
    fill(0, 4096, 0x34);
    ck_assert_int_eq(file_zero_trim(&dev, 0, 4096), 0);
    ck_assert(is_filled(0, 4096, 0x34));
}
END_TEST

START_TEST(zero_writes_the_ragged_ends_that_a_block_device_refuses)
{
    dev.block = 512;
    fill(0, SIZE, 0x35);
    ck_assert_int_eq(file_zero_range(&dev, 500, 5000, 0), 0);
    ck_assert(is_filled(0, 500, 0x35) && is_filled(500, 5000, 0));
    ck_assert(is_filled(5500, 500, 0x35));
    ck_assert_int_eq(file_zero_range(&dev, 8193, 100, 0), 0);
    ck_assert(is_filled(8193, 100, 0) && is_filled(8293, 100, 0x35));
    ck_assert_int_eq(file_zero_trim(&dev, 9000, 100), 0); /* no whole block: nothing */
    ck_assert(is_filled(9000, 100, 0x35));
}
END_TEST

START_TEST(a_durable_write_syncs_where_the_kernel_lacks_rwf_dsync)
{
    atomic_store(&dev.no_dsync, true);
    ck_assert_int_eq(file_dev_write(&dev, "abc", 3, 5, true), 0);
    ck_assert(is_filled(6, 1, 'b'));
}
END_TEST

START_TEST(a_sync_that_failed_once_fails_for_ever)
{
    AUTO_FD int good = TAKE_FD(dev.fd);
    int ends[2];

    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    dev.fd = ends[0]; /* a pipe cannot be synced */
    ck_assert_int_eq(file_dev_sync(&dev), -EINVAL);
    ck_assert_int_eq(dup2(good, ends[0]), ends[0]);
    ck_assert_int_eq(file_io_sync(dev.fd), 0);
    ck_assert_int_eq(file_dev_sync(&dev), -EINVAL);
    ck_assert_int_eq(close(ends[1]), 0);
}
END_TEST

/* The kernel of a process that has called this has no O_DIRECT, and does not drop what
 * is cached. */
static void
forbid_direct_and_advice(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fadvise64, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_DIRECT, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = sizeof code / sizeof code[0], .filter = code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0) {
        _exit(77);
    }
}

START_TEST(what_may_come_from_the_cache_is_no_uncached_read)
{
    char buf[100];
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        forbid_direct_and_advice();
        _exit(file_dev_read_uncached(&dev, buf, sizeof buf, 10) == -EPERM ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}
END_TEST

/* Does every byte have the number of its block? */
static bool
is_numbered(const char *buf, uint32_t len, uint64_t off)
{
    uint32_t i = 0;

    while (i < len && buf[i] == (char)((off + i) / 4096 % 100)) {
        i++;
    }
    return i == len;
}

START_TEST(a_direct_read_takes_any_offset_length_and_address)
{
    static const uint32_t lens[] = {1, 511, 512, 4097, (1U << 20) - 1, 3U << 20};
    const struct file_direct d = {.block = 4096, .mem_align = 512};
    static char buf[(3U << 20) + 8];

    for (uint32_t off = 0; off < SIZE; off += 4096) {
        fill(off, 4096, (int)(off / 4096 % 100));
    }
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        uint64_t off = 4096 * (i + 1) - 3;

        ck_assert_int_eq(file_direct_read(dev.fd, &d, buf + 1, lens[i], off), 0);
        ck_assert(is_numbered(buf + 1, lens[i], off));
    }
}
END_TEST

START_TEST(a_direct_read_stops_at_the_last_byte_of_an_odd_file)
{
    const struct file_direct d = {.block = 4096, .mem_align = 4096};
    char buf[100];

    ck_assert_int_eq(ftruncate(dev.fd, 10000), 0);
    fill(9900, 100, 0x36);
    ck_assert_int_eq(file_direct_read(dev.fd, &d, buf, 100, 9900), 0);
    ck_assert_int_eq(buf[99], 0x36);
    ck_assert_int_eq(file_direct_read(dev.fd, &d, buf, 100, 9901), -EIO);
}
END_TEST

START_TEST(a_direct_write_of_a_crooked_buffer_is_copied_in_pieces)
{
    const struct file_direct d = {.block = 512, .mem_align = 512};
    uint32_t len = (2U << 20) + 512;
    char *buf = malloc(len + 1);

    ck_assert_ptr_nonnull(buf);
    memset(buf, 0x37, len + 1);
    ck_assert_int_eq(file_direct_write(dev.fd, &d, buf + 1, len, 512, 0), 0);
    ck_assert(is_filled(0, 512, 0) && is_filled(512, len, 0x37));
    ck_assert(is_filled(512 + len, 512, 0));
    free(buf);
}
END_TEST

/* The guard's, called by whatever may block. */
static unsigned nr_said;

void
baton_guard_may_block(void)
{
    nr_said++;
}

static unsigned
said_by_reading(uint64_t off, uint32_t len, int c)
{
    nr_said = 0;
    ck_assert(is_filled(off, len, c));
    return nr_said;
}

START_TEST(a_read_says_that_it_may_block_unless_the_cache_has_it)
{
    char name[] = "cached.XXXXXX";

    file_dev_close(&dev);
    dev.fd = mkstemp(name);
    ck_assert_int_ge(dev.fd, 0);
    ck_assert_int_eq(unlink(name), 0);
    fill(0, SIZE, 'c');
    ck_assert_uint_eq(said_by_reading(4096, 4096, 'c'),
                      atomic_load(&dev.no_nowait) ? 1 : 0);
    ck_assert_int_eq(file_dev_sync(&dev), 0);
    ck_assert_int_eq(file_dev_forget(&dev), 0);
    ck_assert_uint_eq(said_by_reading(4096, 1U << 20, 'c'), 1);
}
END_TEST

START_TEST(a_read_that_cannot_tell_says_that_it_may_block)
{
    fill(0, 4096, 'm');
    atomic_store(&dev.no_nowait, true);
    ck_assert_uint_eq(said_by_reading(0, 4096, 'm'), 1);
    dev.is_memory = true;
    ck_assert_uint_eq(said_by_reading(0, 4096, 'm'), 0);
}
END_TEST

START_TEST(a_line_is_read_without_white_space_at_its_ends)
{
    char line[8] = "old", name[32];

    ck_assert_int_eq(ftruncate(dev.fd, 0), 0);
    ck_assert_int_eq(file_dev_write(&dev, "  ab c \nxyz", 11, 0, false), 0);
    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", dev.fd);
    ck_assert_int_eq(file_io_read_line(name, line, sizeof line), 4);
    ck_assert_str_eq(line, "ab c");
    ck_assert_int_eq(file_io_read_line("/no/such/file", line, sizeof line), 0);
    ck_assert_str_eq(line, "");
}
END_TEST

SUITE("file_dev") = {
    CASE("a file in memory", .setup = setup, .teardown = teardown),
    TEST(zero_punches_and_fills_where_there_is_no_zero_range),
    TEST(zero_writes_where_there_is_nothing_else),
    TEST(fast_zero_is_refused_where_it_would_write),
    TEST(trim_succeeds_where_nothing_can_be_trimmed),
    TEST(zero_writes_the_ragged_ends_that_a_block_device_refuses),
    TEST(a_durable_write_syncs_where_the_kernel_lacks_rwf_dsync),
    TEST(a_sync_that_failed_once_fails_for_ever),
    TEST(what_may_come_from_the_cache_is_no_uncached_read),
    TEST(a_direct_read_takes_any_offset_length_and_address),
    TEST(a_direct_read_stops_at_the_last_byte_of_an_odd_file),
    TEST(a_direct_write_of_a_crooked_buffer_is_copied_in_pieces),
    TEST(a_read_says_that_it_may_block_unless_the_cache_has_it),
    TEST(a_read_that_cannot_tell_says_that_it_may_block),
    TEST(a_line_is_read_without_white_space_at_its_ends),
};
