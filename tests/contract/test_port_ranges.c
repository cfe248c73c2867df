/* SPDX-License-Identifier: BSD-3-Clause */
/* What every port must do with ranges: zero, trim and extents. */
#include <errno.h>

#include <check.h>

#include "port_rows.h"
#include "suite.h"

/* Fill three neighbours, let op do its work on the middle one, look at the outer. */
static int
change_middle(struct port *p, enum req_op op, uint32_t flags, uint64_t off,
              uint32_t len)
{
    uint32_t unit = p->info.min_block;
    int rc;

    write_fill(p, off - unit, len + 2 * unit, 0x43, 0);
    rc = submit(p, op, flags, off, len, NULL);
    ck_assert(is_filled(p, off - unit, unit, 0x43, 0));
    ck_assert(is_filled(p, off + len, unit, 0x43, 0));
    return rc;
}

START_TEST(zero_makes_zeroes_and_keeps_its_neighbours)
{
    static const uint32_t flags[] = {0, REQ_F_MAY_TRIM, REQ_F_FUA, REQ_F_FAST,
                                     REQ_F_MAY_TRIM | REQ_F_FAST | REQ_F_FUA};
    struct port *p = open_row(_i);
    uint32_t unit = p->info.min_block, lens[] = {unit, 4096 + unit, 200 * KIB};

    for (size_t f = 0; f < sizeof flags / sizeof flags[0]; f++) {
        for (size_t l = 0; l < sizeof lens / sizeof lens[0]; l++) {
            int rc = change_middle(p, REQ_ZERO, flags[f], 9 * unit, lens[l]);

            if (rc == -ENOTSUP && (flags[f] & REQ_F_FAST) != 0) {
                continue;
            }
            ck_assert_int_eq(rc, 0);
            ck_assert(is_filled(p, 9 * unit, lens[l], 0, 0));
        }
    }
    close_row(p);
}
END_TEST

START_TEST(trim_keeps_its_neighbours)
{
    struct port *p = open_row(_i);
    uint32_t unit = p->info.min_block;

    ck_assert_int_eq(change_middle(p, REQ_TRIM, 0, 9 * unit, unit), 0);
    ck_assert_int_eq(change_middle(p, REQ_TRIM, 0, 9 * unit, 200 * KIB), 0);
    ck_assert_int_eq(change_middle(p, REQ_TRIM, REQ_F_FUA, 5 * unit, 72 * KIB), 0);
    close_row(p);
}
END_TEST

/* Checks what it is given, and that what is said to be zero is. */
struct checking_sink {
    struct extent_sink sink; /* first */
    struct port *p;
    uint64_t asked;
    uint64_t next; /* where the next extent has to start; 0 before the first */
    unsigned nr;
    bool has_data;
};

static int
check_extent(struct extent_sink *s, uint64_t off, uint64_t len, uint32_t type)
{
    struct checking_sink *c = (struct checking_sink *)s;
    uint64_t from = off > c->asked ? off : c->asked;

    ck_assert_uint_gt(len, 0);
    ck_assert(c->nr == 0 ? off <= c->asked && off + len > c->asked : off == c->next);
    ck_assert_uint_eq(type & ~(EXTENT_HOLE | EXTENT_ZERO), 0);
    c->has_data = c->has_data || (type & EXTENT_ZERO) == 0;
    if ((type & EXTENT_ZERO) != 0 && from < c->p->info.size) {
        ck_assert(is_filled(c->p, from, c->p->info.min_block, 0, 0));
    }
    c->next = off + len;
    c->nr++;
    return 0;
}

static struct checking_sink
ask_extents(struct port *p, uint64_t off, uint32_t len, uint32_t flags)
{
    struct checking_sink c = {.sink = {.add = check_extent}, .p = p, .asked = off};
    const struct req rq = {
        .op = REQ_EXTENTS, .flags = flags, .off = off, .len = len, .extents = &c.sink};

    ck_assert_int_eq(port_check(&p->info, &rq), 0);
    ck_assert_int_eq(port_submit(p, &rq), 0);
    return c;
}

START_TEST(extents_cover_the_range_exactly_and_in_order)
{
    struct port *p = open_row(_i);
    struct checking_sink c;

    write_fill(p, 1 * MIB, 128 * KIB, 0x44, 0);
    write_fill(p, 3 * MIB, 64 * KIB, 0x44, 0);
    c = ask_extents(p, 0, 8 * MIB, 0);
    ck_assert_uint_ge(c.next, 8 * MIB);
    ck_assert(c.has_data);
    c = ask_extents(p, 1 * MIB + 4096, 64 * KIB, 0);
    ck_assert_uint_ge(c.next, 1 * MIB + 4096 + 64 * KIB);
    ck_assert(c.has_data);
    c = ask_extents(p, p->info.size - 8 * p->info.min_block, 8 * p->info.min_block, 0);
    ck_assert_uint_ge(c.next, p->info.size);
    close_row(p);
}
END_TEST

START_TEST(extents_with_one_stop_after_the_first)
{
    struct port *p = open_row(_i);

    write_fill(p, 1 * MIB, 128 * KIB, 0x44, 0);
    ck_assert_uint_eq(ask_extents(p, 0, 8 * MIB, REQ_F_ONE).nr, 1);
    close_row(p);
}
END_TEST

static int
refuse_extent(struct extent_sink *s, uint64_t off, uint64_t len, uint32_t type)
{
    (void)s;
    (void)off;
    (void)len;
    (void)type;
    return -ENOMEM;
}

START_TEST(an_error_of_the_sink_ends_extents)
{
    struct port *p = open_row(_i);
    struct extent_sink sink = {.add = refuse_extent};
    const struct req rq = {.op = REQ_EXTENTS, .len = 64 * KIB, .extents = &sink};

    ck_assert_int_eq(port_submit(p, &rq), -ENOMEM);
    close_row(p);
}
END_TEST

SUITE("port contract, ranges") = {
    /* The time is for sanitizers and for a disk that flushes slowly. */
    CASE("every port", .timeout_s = 60, .times_of_each = nr_rows),
    TEST(zero_makes_zeroes_and_keeps_its_neighbours),
    TEST(trim_keeps_its_neighbours),
    TEST(extents_cover_the_range_exactly_and_in_order),
    TEST(extents_with_one_stop_after_the_first),
    TEST(an_error_of_the_sink_ends_extents),
};
