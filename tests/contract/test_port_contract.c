/* SPDX-License-Identifier: BSD-3-Clause */
/* What every port must do with the bytes it is given, with ownership, and under faults.
 * Zero, trim and extents are in test_port_ranges.c. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "port_rows.h"
#include "suite.h"

#define NR_WRITERS 4

START_TEST(info_keeps_the_promises_of_the_header)
{
    struct port *p = open_row(_i);
    const struct port_info *info = &p->info;

    ck_assert(info->min_block >= 1 && info->min_block <= 65536);
    ck_assert_uint_eq(info->min_block & (info->min_block - 1), 0);
    ck_assert(info->pref_block >= 512 && info->pref_block <= 32 * MIB);
    ck_assert_uint_eq(info->pref_block & (info->pref_block - 1), 0);
    ck_assert_uint_ge(info->pref_block, info->min_block);
    ck_assert_uint_ge(info->max_block, 32 * MIB);
    ck_assert(info->max_block == UINT32_MAX || info->max_block % info->min_block == 0);
    ck_assert_uint_eq(info->size % info->min_block, 0);
    close_row(p);
}
END_TEST

START_TEST(a_new_device_reads_as_zeroes)
{
    struct port *p = open_row(_i);

    ck_assert(is_filled(p, 0, 256 * KIB, 0, 0));
    close_row(p);
}
END_TEST

START_TEST(what_was_written_at_odd_offsets_is_read_back)
{
    struct port *p = open_row(_i);
    uint32_t unit = p->info.min_block, offs[] = {0, 1, 3, 4095, 65535 / unit, 65537};
    uint32_t lens[] = {1, 2, 513, 8191, 70001};
    const uint32_t room = 70001 * unit < 3 * MIB ? 70001 * unit : 3 * MIB;
    unsigned char *out = new_buf(room + 1), *in = new_buf(room + 3);

    for (uint32_t i = 0; i < room; i++) {
        out[i + 1] = (unsigned char)(i * 7 + i / 251);
    }
    for (size_t o = 0; o < sizeof offs / sizeof offs[0]; o++) {
        for (size_t l = 0; l < sizeof lens / sizeof lens[0]; l++) {
            uint64_t off = (uint64_t)offs[o] * unit % (32 * MIB);
            uint32_t len = lens[l] * unit < room ? lens[l] * unit : room;

            memset(in, 0, room);
            ck_assert_int_eq(submit(p, REQ_WRITE, 0, off, len, out + 1), 0);
            ck_assert_int_eq(submit(p, REQ_READ, 0, off, len, in + 3), 0);
            ck_assert_int_eq(memcmp(in + 3, out + 1, len), 0);
        }
    }
    free(out);
    free(in);
    close_row(p);
}
END_TEST

START_TEST(a_durable_write_is_read_back)
{
    struct port *p = open_row(_i);

    write_fill(p, p->info.min_block, 64 * KIB, 0x41, REQ_F_FUA);
    ck_assert(is_filled(p, p->info.min_block, 64 * KIB, 0x41, 0));
    close_row(p);
}
END_TEST

START_TEST(an_uncached_read_sees_a_flushed_write)
{
    struct port *p = open_row(_i);
    uint32_t unit = p->info.min_block;

    write_fill(p, 7 * unit, 64 * KIB + unit, 0x42, 0);
    ck_assert_int_eq(submit(p, REQ_FLUSH, 0, 0, 0, NULL), 0);
    ck_assert(is_filled(p, 7 * unit, 64 * KIB + unit, 0x42, REQ_F_UNCACHED));
    ck_assert(is_filled(p, 0, 7 * unit, 0, REQ_F_UNCACHED));
    close_row(p);
}
END_TEST

START_TEST(an_uncached_read_works_before_the_port_is_owned)
{
    struct port *p = rows[_i].open(rows[_i].size);
    uint32_t unit = p->info.min_block;

    ck_assert(is_filled(p, unit, 8 * unit, 0, REQ_F_UNCACHED));
    ck_assert(is_filled(p, p->info.size - unit, unit, 0, REQ_F_UNCACHED));
    free_row(p);
}
END_TEST

START_TEST(flush_and_cache_succeed_and_change_nothing)
{
    struct port *p = open_row(_i);

    write_fill(p, 0, 64 * KIB, 0x45, 0);
    ck_assert_int_eq(submit(p, REQ_FLUSH, 0, 0, 0, NULL), 0);
    ck_assert_int_eq(submit(p, REQ_CACHE, 0, 0, 64 * KIB, NULL), 0);
    ck_assert(is_filled(p, 0, 64 * KIB, 0x45, 0));
    close_row(p);
}
END_TEST

START_TEST(the_tail_of_the_device_is_written_zeroed_and_read)
{
    struct port *p = open_row(_i);
    uint32_t unit = p->info.min_block, len = 5 * unit;
    uint64_t tail = p->info.size - len;

    write_fill(p, tail, len, 0x46, 0);
    ck_assert(is_filled(p, tail, len, 0x46, 0));
    ck_assert(is_filled(p, tail, len, 0x46, REQ_F_UNCACHED));
    ck_assert_int_eq(submit(p, REQ_ZERO, 0, tail + unit, len - unit, NULL), 0);
    ck_assert(is_filled(p, tail, unit, 0x46, 0));
    ck_assert(is_filled(p, tail + unit, len - unit, 0, 0));
    ck_assert_int_eq(submit(p, REQ_WRITE, 0, tail + unit, len, NULL), -ENOSPC);
    ck_assert_int_eq(submit(p, REQ_READ, 0, tail + unit, len, NULL), -EINVAL);
    close_row(p);
}
END_TEST

START_TEST(a_request_of_32_mib_works)
{
    struct port *p = open_row(_i);
    uint32_t unit = p->info.min_block;

    write_fill(p, unit, 32 * MIB, 0x47, 0);
    ck_assert(is_filled(p, unit, 32 * MIB, 0x47, 0));
    ck_assert(is_filled(p, 0, unit, 0, 0));
    ck_assert(is_filled(p, unit + 32 * MIB, unit, 0, 0));
    close_row(p);
}
END_TEST

struct writer {
    pthread_t thread;
    struct port *p;
    uint64_t off; /* its own megabyte */
    int fill, rc;
};

/* Asserts belong to the test's own thread, so this only collects. */
static void *
write_and_read_back(void *arg)
{
    struct writer *w = arg;
    unsigned char buf[16 * KIB], back[16 * KIB];

    memset(buf, w->fill, sizeof buf);
    for (uint32_t done = 0; done < MIB && w->rc == 0; done += sizeof buf) {
        w->rc = submit(w->p, REQ_WRITE, 0, w->off + done, sizeof buf, buf);
        if (w->rc == 0) {
            w->rc = submit(w->p, REQ_READ, 0, w->off + done, sizeof back, back);
        }
        if (w->rc == 0 && memcmp(buf, back, sizeof buf) != 0) {
            w->rc = -EILSEQ;
        }
        if (w->rc == 0 && done % (256 * KIB) == 0) {
            w->rc = submit(w->p, REQ_FLUSH, 0, 0, 0, NULL);
        }
    }
    return NULL;
}

START_TEST(concurrent_writers_of_disjoint_ranges_do_not_disturb_each_other)
{
    struct port *p = open_row(_i);
    struct writer w[NR_WRITERS];

    for (int i = 0; i < NR_WRITERS; i++) {
        w[i] = (struct writer){.p = p, .off = (uint64_t)i * MIB, .fill = 0x50 + i};
        ck_assert_int_eq(pthread_create(&w[i].thread, NULL, write_and_read_back, &w[i]),
                         0);
    }
    for (int i = 0; i < NR_WRITERS; i++) {
        ck_assert_int_eq(pthread_join(w[i].thread, NULL), 0);
        ck_assert_int_eq(w[i].rc, 0);
    }
    for (int i = 0; i < NR_WRITERS; i++) {
        ck_assert(is_filled(p, w[i].off, MIB, w[i].fill, 0));
    }
    close_row(p);
}
END_TEST

START_TEST(a_port_can_be_owned_again_and_keeps_what_was_written)
{
    struct port *p = open_row(_i);

    write_fill(p, 0, 64 * KIB, 0x48, 0);
    ck_assert_int_eq(submit(p, REQ_FLUSH, 0, 0, 0, NULL), 0);
    port_disown(p);
    ck_assert_int_eq(port_own(p, NULL), 0);
    ck_assert(is_filled(p, 0, 64 * KIB, 0x48, 0));
    close_row(p);
}
END_TEST

START_TEST(identity_does_not_change)
{
    struct port *p = rows[_i].open(rows[_i].size);
    char before[256], after[256], tiny[4];

    ck_assert_int_eq(port_identify(p, before, sizeof before), (int)strlen(before));
    ck_assert_int_eq(port_own(p, NULL), 0);
    ck_assert_int_eq(port_identify(p, after, sizeof after), (int)strlen(after));
    ck_assert_str_eq(before, after);
    ck_assert_int_eq(port_identify(p, tiny, sizeof tiny), 0);
    close_row(p);
}
END_TEST

/* Six requests; each write that is acknowledged must be there afterwards. Returns how
 * many requests failed. */
static int
run_under_faults(struct port *p, int round)
{
    int rc[6], failed = 0, fill = 0x60 + round;
    uint32_t len = 16 * KIB;
    unsigned char buf[16 * KIB];

    memset(buf, fill, sizeof buf);
    rc[0] = submit(p, REQ_WRITE, 0, 0, len, buf);
    rc[1] = submit(p, REQ_WRITE, REQ_F_FUA, len, len, buf);
    rc[2] = submit(p, REQ_ZERO, 0, 2 * len, len, NULL);
    rc[3] = submit(p, REQ_TRIM, 0, 3 * len, len, NULL);
    rc[4] = submit(p, REQ_FLUSH, 0, 0, 0, NULL);
    rc[5] = submit(p, REQ_WRITE, 0, 4 * len, len, buf);
    port_fault_fail_nth(p, 0, 0, false);
    ck_assert(rc[0] < 0 || is_filled(p, 0, len, fill, 0));
    ck_assert(rc[1] < 0 || is_filled(p, len, len, fill, 0));
    ck_assert(rc[2] < 0 || is_filled(p, 2 * len, len, 0, 0));
    ck_assert(rc[5] < 0 || is_filled(p, 4 * len, len, fill, 0));
    for (int i = 0; i < 6; i++) {
        ck_assert(rc[i] == 0 || rc[i] == -EIO);
        failed += rc[i] < 0;
    }
    return failed;
}

START_TEST(what_was_acknowledged_survives_the_nth_fault)
{
    struct port *inner = open_row(_i), *p = NULL;
    int failed, n = 0;

    ck_assert_int_eq(port_fault_new(inner, &p), 0);
    do {
        n++;
        port_fault_fail_nth(p, (uint64_t)n, -EIO, false);
        failed = run_under_faults(p, n);
        ck_assert_int_le(failed, 1);
        port_fault_fail_nth(p, (uint64_t)n, -EIO, true);
        ck_assert_int_ge(run_under_faults(p, n + 32), failed);
    } while (failed > 0);
    ck_assert_int_ge(n, 6); /* every request was the failing one once */
    close_row(p);
}
END_TEST

SUITE("port contract") = {
    /* The time is for sanitizers and for a disk that flushes slowly. */
    CASE("every port", .timeout_s = 60, .times_of_each = nr_rows),
    TEST(info_keeps_the_promises_of_the_header),
    TEST(a_new_device_reads_as_zeroes),
    TEST(what_was_written_at_odd_offsets_is_read_back),
    TEST(a_durable_write_is_read_back),
    TEST(an_uncached_read_sees_a_flushed_write),
    TEST(an_uncached_read_works_before_the_port_is_owned),
    TEST(flush_and_cache_succeed_and_change_nothing),
    TEST(the_tail_of_the_device_is_written_zeroed_and_read),
    TEST(a_request_of_32_mib_works),
    TEST(concurrent_writers_of_disjoint_ranges_do_not_disturb_each_other),
    TEST(a_port_can_be_owned_again_and_keeps_what_was_written),
    TEST(identity_does_not_change),
    TEST(what_was_acknowledged_survives_the_nth_fault),
};
