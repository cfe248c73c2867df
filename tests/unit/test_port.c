/* SPDX-License-Identifier: BSD-3-Clause */
/* The checked wrappers, over a port that writes down what reaches it. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <check.h>

#include "may_block.h"
#include "port.h"
#include "suite.h"

#define ALL_CAPS                                                                       \
    (PORT_CAN_WRITE | PORT_CAN_FLUSH | PORT_CAN_FUA | PORT_CAN_TRIM | PORT_CAN_ZERO |  \
     PORT_CAN_FAST_ZERO | PORT_CAN_EXTENTS | PORT_CAN_CACHE)
#define MAX_CALLS 64

struct spy {
    struct port port;
    struct req calls[MAX_CALLS];
    int nr;
    int fail_at;   /* index of the call that fails; -1: none */
    int fail_with; /* 0: -EIO */
};

/* The guard's: requests that may block, as far as the wrapper knows. */
static unsigned nr_may_block;

void
baton_guard_may_block(void)
{
    nr_may_block++;
}

static int
spy_submit(struct port *p, const struct req *rq)
{
    struct spy *s = (struct spy *)p;

    ck_assert_int_lt(s->nr, MAX_CALLS);
    s->calls[s->nr] = *rq;
    if (s->nr++ != s->fail_at) {
        return 0;
    }
    return s->fail_with != 0 ? s->fail_with : -EIO;
}

static void
spy_close(struct port *p)
{
    ((struct spy *)p)->nr = -1;
}

static const struct port_ops spy_ops = {
    .name = "spy", .submit = spy_submit, .close = spy_close};

static struct spy
new_spy(uint32_t caps)
{
    return (struct spy){.port = {.ops = &spy_ops,
                                 .info = {.size = 10 << 20,
                                          .min_block = 512,
                                          .pref_block = 4096,
                                          .max_block = 1 << 20,
                                          .caps = caps}},
                        .fail_at = -1};
}

static const struct check_row {
    enum req_op op;
    uint32_t flags;
    uint64_t off;
    uint32_t len;
    uint32_t caps;
    int rc;
} check_rows[] = {
    {REQ_READ, 0, 0, 512, 0, 0},
    {REQ_READ, REQ_F_UNCACHED, 0, 512, 0, 0},
    {REQ_READ, REQ_F_FUA, 0, 512, 0, -EINVAL},
    {REQ_READ, 1U << 9, 0, 512, 0, -EINVAL},
    {REQ_READ, 0, 0, 0, 0, -EINVAL},
    {REQ_READ, 0, 1, 512, 0, -EINVAL},
    {REQ_READ, 0, 512, 511, 0, -EINVAL},
    {REQ_READ, 0, (10 << 20) - 512, 512, 0, 0},
    {REQ_READ, 0, (10 << 20) - 512, 1024, 0, -EINVAL},
    {REQ_READ, 0, 10 << 20, 512, 0, -EINVAL},
    {REQ_READ, 0, UINT64_MAX - 511, 512, 0, -EINVAL},
    {REQ_READ, 0, 0, 1 << 20, 0, 0},
    {REQ_READ, 0, 0, (1 << 20) + 512, 0, -EINVAL},
    {REQ_WRITE, REQ_F_FUA, 0, 512, PORT_CAN_WRITE, 0},
    {REQ_WRITE, 0, 0, 512, 0, -EPERM},
    {REQ_WRITE, REQ_F_MAY_TRIM, 0, 512, PORT_CAN_WRITE, -EINVAL},
    {REQ_WRITE, 0, (10 << 20) - 512, 1024, PORT_CAN_WRITE, -ENOSPC},
    {REQ_WRITE, 0, 0, (1 << 20) + 512, PORT_CAN_WRITE, -EINVAL},
    {REQ_TRIM, REQ_F_FUA, 0, 2 << 20, PORT_CAN_WRITE, 0},
    {REQ_TRIM, 0, 0, 512, 0, -EPERM},
    {REQ_TRIM, 0, 10 << 20, 512, PORT_CAN_WRITE, -EINVAL},
    {REQ_ZERO, REQ_F_FUA | REQ_F_MAY_TRIM | REQ_F_FAST, 0, 2 << 20, PORT_CAN_WRITE, 0},
    {REQ_ZERO, 0, 0, 512, 0, -EPERM},
    {REQ_ZERO, REQ_F_ONE, 0, 512, PORT_CAN_WRITE, -EINVAL},
    {REQ_ZERO, 0, 10 << 20, 512, PORT_CAN_WRITE, -ENOSPC},
    {REQ_FLUSH, 0, 0, 0, 0, 0},
    {REQ_FLUSH, 0, 0, 512, 0, -EINVAL},
    {REQ_FLUSH, 0, 512, 0, 0, -EINVAL},
    {REQ_FLUSH, REQ_F_FUA, 0, 0, 0, -EINVAL},
    {REQ_CACHE, 0, 0, 2 << 20, 0, 0},
    {REQ_CACHE, REQ_F_FAST, 0, 512, 0, -EINVAL},
    {REQ_EXTENTS, REQ_F_ONE, 0, 2 << 20, 0, 0},
    {REQ_EXTENTS, REQ_F_UNCACHED, 0, 512, 0, -EINVAL},
    {REQ_EXTENTS, 0, 10 << 20, 512, 0, -EINVAL},
    {(enum req_op)REQ_NR_OPS, 0, 0, 512, 0, -EINVAL},
};

START_TEST(check_accepts_and_refuses_as_the_table_says)
{
    const struct check_row *r = &check_rows[_i];
    struct spy s = new_spy(r->caps);
    const struct req rq = {
        .op = r->op, .flags = r->flags, .off = r->off, .len = r->len};

    ck_assert_int_eq(port_check(&s.port.info, &rq), r->rc);
}
END_TEST

/* Member by member: what is between them is not part of a request. */
static bool
is_same(const struct req *a, const struct req *b)
{
    return a->op == b->op && a->flags == b->flags && a->len == b->len &&
           a->off == b->off && a->buf == b->buf && a->extents == b->extents &&
           a->origin == b->origin;
}

START_TEST(who_does_not_say_when_it_may_block_may_always)
{
    static const struct port_ops telling_ops = {
        .name = "telling", .says_may_block = true, .submit = spy_submit};
    char buf[512];
    struct req rq = {.op = REQ_READ, .len = sizeof buf, .buf = buf};
    struct spy s = new_spy(ALL_CAPS);

    nr_may_block = 0;
    ck_assert_int_eq(port_submit(&s.port, &rq), 0);
    ck_assert_uint_eq(nr_may_block, 1);
    s.port.ops = &telling_ops;
    ck_assert_int_eq(port_submit(&s.port, &rq), 0);
    ck_assert_uint_eq(nr_may_block, 1);
}
END_TEST

START_TEST(a_capable_port_gets_every_request_unchanged)
{
    struct spy s = new_spy(ALL_CAPS);
    const struct req rqs[] = {{.op = REQ_READ, .len = 512},
                              {.op = REQ_WRITE, .len = 512, .flags = REQ_F_FUA},
                              {.op = REQ_FLUSH},
                              {.op = REQ_TRIM, .len = 512, .flags = REQ_F_FUA},
                              {.op = REQ_ZERO, .len = 512, .flags = REQ_F_FAST},
                              {.op = REQ_CACHE, .len = 512},
                              {.op = REQ_EXTENTS, .len = 512, .flags = REQ_F_ONE}};

    for (int i = 0; i < REQ_NR_OPS; i++) {
        ck_assert_int_eq(port_submit(&s.port, &rqs[i]), 0);
        ck_assert(is_same(&s.calls[i], &rqs[i]));
    }
    ck_assert_int_eq(s.nr, REQ_NR_OPS);
}
END_TEST

START_TEST(durable_is_a_write_and_a_flush_where_there_is_no_fua)
{
    struct spy s = new_spy(ALL_CAPS & ~PORT_CAN_FUA);
    const struct req rq = {
        .op = REQ_WRITE, .flags = REQ_F_FUA, .len = 512, .origin = &s};

    ck_assert_int_eq(port_submit(&s.port, &rq), 0);
    ck_assert_int_eq(s.nr, 2);
    ck_assert_int_eq(s.calls[0].op, REQ_WRITE);
    ck_assert_uint_eq(s.calls[0].flags, 0);
    ck_assert_int_eq(s.calls[1].op, REQ_FLUSH);
    ck_assert_ptr_eq(s.calls[1].origin, &s);
}
END_TEST

START_TEST(a_write_that_fails_is_not_flushed)
{
    struct spy s = new_spy(ALL_CAPS & ~PORT_CAN_FUA);
    const struct req rq = {.op = REQ_WRITE, .flags = REQ_F_FUA, .len = 512};

    s.fail_at = 0;
    ck_assert_int_eq(port_submit(&s.port, &rq), -EIO);
    ck_assert_int_eq(s.nr, 1);
}
END_TEST

START_TEST(a_flush_that_fails_fails_the_durable_write)
{
    struct spy s = new_spy(ALL_CAPS & ~PORT_CAN_FUA);
    const struct req rq = {.op = REQ_WRITE, .flags = REQ_F_FUA, .len = 512};

    s.fail_at = 1;
    ck_assert_int_eq(port_submit(&s.port, &rq), -EIO);
}
END_TEST

START_TEST(hints_that_a_port_lacks_succeed_without_reaching_it)
{
    struct spy s = new_spy(PORT_CAN_WRITE);
    const struct req rqs[] = {{.op = REQ_FLUSH},
                              {.op = REQ_TRIM, .len = 512, .flags = REQ_F_FUA},
                              {.op = REQ_CACHE, .len = 512}};

    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(port_submit(&s.port, &rqs[i]), 0);
    }
    ck_assert_int_eq(s.nr, 0);
}
END_TEST

/* Do the calls write zeroes to exactly [off, off + len)? */
static void
check_zeroes_written(const struct spy *s, int nr, uint64_t off, uint32_t len)
{
    uint64_t next = off;

    for (int i = 0; i < nr; i++) {
        const char *buf = s->calls[i].buf;

        ck_assert_int_eq(s->calls[i].op, REQ_WRITE);
        ck_assert_uint_eq(s->calls[i].off, next);
        for (uint32_t b = 0; b < s->calls[i].len; b++) {
            ck_assert_int_eq(buf[b], 0);
        }
        next += s->calls[i].len;
    }
    ck_assert_uint_eq(next, off + len);
}

START_TEST(zero_is_written_where_it_is_not_native)
{
    struct spy s = new_spy(PORT_CAN_WRITE | PORT_CAN_FUA);
    const struct req rq = {
        .op = REQ_ZERO, .flags = REQ_F_FUA, .off = 512, .len = 200 << 10};

    ck_assert_int_eq(port_submit(&s.port, &rq), 0);
    check_zeroes_written(&s, s.nr, 512, 200 << 10);
    ck_assert_uint_eq(s.calls[s.nr - 1].flags, REQ_F_FUA);
}
END_TEST

START_TEST(a_durable_zero_that_is_written_is_flushed_once)
{
    struct spy s = new_spy(PORT_CAN_WRITE | PORT_CAN_FUA | PORT_CAN_FLUSH);
    const struct req rq = {.op = REQ_ZERO, .flags = REQ_F_FUA, .len = 200 << 10};

    ck_assert_int_eq(port_submit(&s.port, &rq), 0);
    check_zeroes_written(&s, s.nr - 1, 0, 200 << 10);
    ck_assert_uint_eq(s.calls[0].flags, 0);
    ck_assert_int_eq(s.calls[s.nr - 1].op, REQ_FLUSH);
}
END_TEST

/* -ESTALE says that nothing was performed. */
START_TEST(a_port_that_gives_back_the_second_of_several_has_failed)
{
    const struct req rqs[] = {
        {.op = REQ_WRITE, .flags = REQ_F_FUA, .len = 512},
        {.op = REQ_ZERO, .len = 200 << 10},
        {.op = REQ_ZERO, .flags = REQ_F_FUA, .len = 512},
    };

    for (int i = 0; i < 3; i++) {
        struct spy s = new_spy(PORT_CAN_WRITE | PORT_CAN_FLUSH);

        s.fail_with = -ESTALE;
        s.fail_at = 1;
        ck_assert_int_eq(port_submit(&s.port, &rqs[i]), -EIO);
        s.nr = s.fail_at = 0;
        ck_assert_int_eq(port_submit(&s.port, &rqs[i]), -ESTALE);
    }
}
END_TEST

START_TEST(zeroes_are_written_in_pieces_the_port_takes)
{
    struct spy s = new_spy(PORT_CAN_WRITE);
    const struct req rq = {.op = REQ_ZERO, .len = 10240};

    s.port.info.max_block = 1024;
    ck_assert_int_eq(port_submit(&s.port, &rq), 0);
    ck_assert_int_eq(s.nr, 10);
    check_zeroes_written(&s, s.nr, 0, 10240);
}
END_TEST

START_TEST(fast_zero_is_refused_where_it_would_not_be_fast)
{
    struct spy none = new_spy(PORT_CAN_WRITE),
               slow = new_spy(ALL_CAPS & ~PORT_CAN_FAST_ZERO);
    const struct req rq = {.op = REQ_ZERO, .flags = REQ_F_FAST | REQ_F_FUA, .len = 512};

    ck_assert_int_eq(port_submit(&none.port, &rq), -ENOTSUP);
    ck_assert_int_eq(port_submit(&slow.port, &rq), -ENOTSUP);
    ck_assert_int_eq(none.nr + slow.nr, 0);
}
END_TEST

struct last_extent {
    struct extent_sink sink;
    uint64_t off, len;
    uint32_t type;
};

static int
keep_extent(struct extent_sink *sink, uint64_t off, uint64_t len, uint32_t type)
{
    struct last_extent *l = (struct last_extent *)sink;

    l->off = off;
    l->len = len;
    l->type = type;
    return 0;
}

START_TEST(extents_are_one_run_of_data_where_nothing_is_known)
{
    struct last_extent last = {.sink = {.add = keep_extent}, .type = EXTENT_HOLE};
    struct spy s = new_spy(0);
    const struct req rq = {
        .op = REQ_EXTENTS, .off = 1024, .len = 4096, .extents = &last.sink};

    ck_assert_int_eq(port_submit(&s.port, &rq), 0);
    ck_assert_uint_eq(last.off, 1024);
    ck_assert_uint_eq(last.len, 4096);
    ck_assert_uint_eq(last.type, 0);
}
END_TEST

START_TEST(what_a_port_leaves_out_has_a_default)
{
    struct spy s = new_spy(0);
    char id[4] = "old";

    ck_assert_int_eq(port_own(&s.port, NULL), 0);
    port_disown(&s.port);
    ck_assert_int_eq(port_identify(&s.port, id, sizeof id), 0);
    ck_assert_str_eq(id, "");
    port_close(NULL);
    port_close(&s.port);
    ck_assert_int_eq(s.nr, -1);
}
END_TEST

START_TEST(requests_conflict_when_they_overlap_and_one_changes)
{
    const struct req w = {.op = REQ_WRITE, .off = 1024, .len = 512},
                     z = {.op = REQ_ZERO, .off = 1535, .len = 1},
                     t = {.op = REQ_TRIM, .off = 0, .len = 1025},
                     r = {.op = REQ_READ, .off = 1024, .len = 512},
                     after = {.op = REQ_WRITE, .off = 1536, .len = 512},
                     flush = {.op = REQ_FLUSH};

    ck_assert(req_conflicts(&w, &z) && req_conflicts(&z, &w));
    ck_assert(req_conflicts(&w, &t) && req_conflicts(&r, &w) && req_conflicts(&t, &r));
    ck_assert(!req_conflicts(&r, &r));
    ck_assert(!req_conflicts(&w, &after) && !req_conflicts(&after, &w));
    ck_assert(!req_conflicts(&w, &flush) && !req_conflicts(&flush, &t));
}
END_TEST

START_TEST(a_port_replaces_only_one_that_promised_no_more)
{
    const uint32_t safe = ALL_CAPS | PORT_CAN_MULTI_CONN;
    const struct port_info had = new_spy(safe).port.info;
    struct port_info next = had;
    struct err e = {""};

    next.caps = PORT_CAN_WRITE | PORT_CAN_FLUSH | PORT_CAN_MULTI_CONN;
    next.min_block = 1;
    next.max_block = UINT32_MAX;
    ck_assert_int_eq(port_info_can_replace(&had, &next, &e), 0);
    for (int i = 0; i < 6; i++) {
        next = had;
        next.size -= i == 0 ? 512 : 0;
        next.min_block *= i == 1 ? 2 : 1;
        next.max_block /= i == 2 ? 2 : 1;
        next.caps &= i == 3 ? ~PORT_CAN_WRITE : ~0U;
        next.caps &= i == 4 ? ~PORT_CAN_FLUSH : ~0U;
        next.caps &= i == 5 ? ~PORT_CAN_MULTI_CONN : ~0U;
        e.msg[0] = '\0';
        ck_assert_int_eq(port_info_can_replace(&had, &next, &e), -EINVAL);
        ck_assert_str_ne(e.msg, "");
    }
}
END_TEST

START_TEST(every_operation_has_its_name)
{
    ck_assert_str_eq(req_op_name(REQ_READ), "read");
    ck_assert_str_eq(req_op_name(REQ_EXTENTS), "extents");
}
END_TEST

SUITE("port") = {
    CASE("wrappers"),
    EACH(check_accepts_and_refuses_as_the_table_says, check_rows),
    TEST(who_does_not_say_when_it_may_block_may_always),
    TEST(a_capable_port_gets_every_request_unchanged),
    TEST(durable_is_a_write_and_a_flush_where_there_is_no_fua),
    TEST(a_write_that_fails_is_not_flushed),
    TEST(a_flush_that_fails_fails_the_durable_write),
    TEST(hints_that_a_port_lacks_succeed_without_reaching_it),
    TEST(zero_is_written_where_it_is_not_native),
    TEST(a_durable_zero_that_is_written_is_flushed_once),
    TEST(a_port_that_gives_back_the_second_of_several_has_failed),
    TEST(zeroes_are_written_in_pieces_the_port_takes),
    TEST(fast_zero_is_refused_where_it_would_not_be_fast),
    TEST(extents_are_one_run_of_data_where_nothing_is_known),
    TEST(what_a_port_leaves_out_has_a_default),
    TEST(requests_conflict_when_they_overlap_and_one_changes),
    TEST(a_port_replaces_only_one_that_promised_no_more),
    TEST(every_operation_has_its_name),
};
