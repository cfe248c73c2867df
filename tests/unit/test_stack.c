/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include <check.h>

#include "port_fault.h"
#include "port_mem.h"
#include "stack.h"
#include "suite.h"

#define MIB (UINT64_C(1) << 20)

static struct stack_spec spec;
static struct port *bottom; /* a fault port over memory */
static struct err e;

static void
setup(void)
{
    struct port *mem;

    spec = (struct stack_spec){.nr_layers = 0};
    e.msg[0] = '\0';
    ck_assert_int_eq(port_mem_new(8 * MIB, &mem), 0);
    ck_assert_int_eq(port_fault_new(mem, &bottom), 0);
}

static void
teardown(void)
{
    stack_spec_done(&spec);
    port_close(bottom);
}

static void
add(const char *text)
{
    ck_assert_msg(stack_spec_add(&spec, text, &e) == 0, "%s", e.msg);
}

static void
refuses(const char *text, const char *sentence_has)
{
    unsigned before = spec.nr_layers;

    e.msg[0] = '\0';
    ck_assert_int_eq(stack_spec_add(&spec, text, &e), -EINVAL);
    ck_assert_msg(strstr(e.msg, sentence_has) != NULL, "%s", e.msg);
    ck_assert_uint_eq(spec.nr_layers, before);
}

START_TEST(parameters_are_parsed_and_a_double_colon_is_one)
{
    add("limit:iops=500:bps=1M");
    add("slice:label=a::b=c");
    ck_assert_uint_eq(spec.nr_layers, 2);
    ck_assert_str_eq(spec.layers[0].name, "limit");
    ck_assert_uint_eq(spec.layers[0].nr_params, 2);
    ck_assert_str_eq(spec.layers[0].params[1].key, "bps");
    ck_assert_str_eq(spec.layers[0].params[1].value, "1M");
    ck_assert_str_eq(spec.layers[1].params[0].value, "a:b=c");
}
END_TEST

START_TEST(bad_text_is_refused_with_a_sentence_and_changes_nothing)
{
    refuses("", "stats, slice, limit");
    refuses("mirror:to=x", "no layer \"mirror\"; allowed: stats, slice, limit");
    refuses("limit", "iops or bps is missing");
    refuses("limit:iops", "\"iops\" is not of the form key=value");
    refuses("limit:", "\"\" is not of the form");
    refuses("limit:=5", "is not of the form");
    refuses("limit:iops=", "iops has no value");
    refuses("limit:iops=5:iops=6", "iops is given twice");
    refuses("limit:iops=5K", "iops=5K: must be a whole number from 1 to");
    refuses("limit:iops=-1", "must be a whole number");
    refuses("limit:iops=0", "must be a whole number");
    refuses("limit:bps=0", "must be more than 0");
    refuses("limit:bps=5X", "must be a number of bytes");
    refuses("limit:bps=5MB", "must be a number of bytes");
    refuses("limit:bps=99999999T", "below 2^64");
    refuses("limit:bps=99999999999999999999", "below 2^64");
    refuses("limit:iops=1:burst=0", "burst=0: must be a whole number from 1 to 3600");
    refuses("slice:colour=blue", "allowed: partition=NUMBER | label=TEXT");
    refuses("slice", "exactly one place");
    refuses("slice:partition=1:label=x", "exactly one place");
    refuses("slice:partition=0", "from 1 to");
    refuses("slice:offset=1M", "size is missing");
    refuses("slice:offset=1M:size=0", "must be more than 0");
    refuses("stats:x=y", "unknown parameter \"x\"; allowed: none");
    refuses("limit:a=1:b=1:c=1:d=1:e=1:f=1:g=1:h=1:i=1", "more than 8 parameters");
}
END_TEST

START_TEST(ninth_layer_is_refused)
{
    int i;

    for (i = 0; i < STACK_MAX_LAYERS; i++) {
        add("limit:iops=5");
    }
    refuses("limit:iops=5", "more than 8 layers");
}
END_TEST

START_TEST(first_layer_of_the_spec_is_the_lowest)
{
    struct stack *s;
    char c = 'x', in = 0;
    struct req rq = {.op = REQ_WRITE, .len = 1, .buf = &c};

    add("slice:offset=4M:size=4M");
    add("slice:offset=1M:size=1M");
    ck_assert_int_eq(stack_open(&spec, bottom, &e, &s), 0);
    ck_assert_uint_eq(stack_top(s)->info.size, MIB);
    ck_assert_int_eq(port_submit(stack_top(s), &rq), 0);
    rq = (struct req){.op = REQ_READ, .off = 5 * MIB, .len = 1, .buf = &in};
    ck_assert_int_eq(port_submit(bottom, &rq), 0);
    ck_assert_int_eq(in, 'x');
    stack_close(s);
}
END_TEST

START_TEST(stack_without_layers_counts_requests_errors_and_bytes)
{
    struct stack *s;
    struct layer_latency l;
    char buf[512] = "";
    struct req rq = {.op = REQ_WRITE, .len = sizeof buf, .buf = buf};
    int i;

    ck_assert_int_eq(stack_open(&spec, bottom, &e, &s), 0);
    for (i = 0; i < 10; i++) {
        port_fault_fail_nth(bottom, i == 3, -EIO, false);
        ck_assert_int_eq(port_submit(stack_top(s), &rq), i == 3 ? -EIO : 0);
    }
    stack_latency(s, REQ_WRITE, &l);
    ck_assert_uint_eq(l.count, 10);
    ck_assert_uint_eq(l.errors, 1);
    ck_assert_uint_eq(l.bytes, 9 * sizeof buf);
    ck_assert_uint_gt(l.p50_ns, 0);
    ck_assert(l.p50_ns <= l.p99_ns && l.p99_ns <= l.p999_ns && l.p999_ns <= l.max_ns);
    stack_latency(s, REQ_READ, &l);
    ck_assert_uint_eq(l.count, 0);
    stack_close(s);
}
END_TEST

START_TEST(latency_includes_the_time_below)
{
    struct stack *s;
    struct layer_latency l;
    struct req rq = {.op = REQ_FLUSH};

    ck_assert_int_eq(stack_open(&spec, bottom, &e, &s), 0);
    port_fault_delay(bottom, 2000000);
    ck_assert_int_eq(port_submit(stack_top(s), &rq), 0);
    stack_latency(s, REQ_FLUSH, &l);
    ck_assert_uint_ge(l.max_ns, 2000000);
    ck_assert_uint_ge(l.p50_ns, 2000000);
    stack_close(s);
}
END_TEST

START_TEST(request_that_nobody_performed_is_not_counted)
{
    struct stack *s;
    struct layer_latency l;
    struct req rq = {.op = REQ_FLUSH};

    ck_assert_int_eq(stack_open(&spec, bottom, &e, &s), 0);
    port_fault_fail_nth(bottom, 1, -ESTALE, false);
    ck_assert_int_eq(port_submit(stack_top(s), &rq), -ESTALE);
    stack_latency(s, REQ_FLUSH, &l);
    ck_assert_uint_eq(l.count, 0);
    ck_assert_uint_eq(l.errors, 0);
    stack_close(s);
}
END_TEST

/* An MBR with one partition: sector 2048, 2048 sectors. */
static void
write_mbr(void)
{
    unsigned char sector[512] = {
        [446 + 4] = 0x83, [446 + 9] = 8, [446 + 13] = 8, [510] = 0x55, [511] = 0xaa};
    struct req rq = {.op = REQ_WRITE, .len = sizeof sector, .buf = sector};

    ck_assert_int_eq(port_submit(bottom, &rq), 0);
}

START_TEST(every_failing_read_unwinds_and_leaves_the_bottom_usable)
{
    struct stack *s = NULL;
    struct req rq = {.op = REQ_FLUSH};
    uint64_t n;
    int rc;

    write_mbr();
    add("limit:iops=1000000");
    add("slice:partition=1");
    add("slice:offset=0:size=64K");
    for (n = 1;; n++) {
        port_fault_fail_nth(bottom, n, -EIO, true);
        rc = stack_open(&spec, bottom, &e, &s);
        if (!port_fault_hit(bottom)) {
            break;
        }
        ck_assert_int_eq(rc, -EIO);
        ck_assert_ptr_null(s);
        ck_assert_msg(strstr(e.msg, "layer slice: cannot read the partition table") ==
                          e.msg,
                      "%s", e.msg);
        port_fault_fail_nth(bottom, 0, 0, false);
        ck_assert_int_eq(port_submit(bottom, &rq), 0);
    }
    ck_assert_int_eq(rc, 0);
    ck_assert_uint_gt(n, 2); /* both ends of the device were read */
    ck_assert_uint_eq(stack_top(s)->info.size, 65536);
    stack_close(s);
}
END_TEST

START_TEST(failing_upper_layer_closes_the_lower_ones)
{
    struct stack *s = NULL;

    add("slice:offset=1M:size=1M");
    add("limit:iops=5");
    add("slice:offset=1M:size=1M");
    ck_assert_int_eq(stack_open(&spec, bottom, &e, &s), -EINVAL); /* leaks: ASan */
    ck_assert_ptr_null(s);
    ck_assert_msg(strstr(e.msg, "past the end of the device of 1048576 bytes") != NULL,
                  "%s", e.msg);
}
END_TEST

START_TEST(closing_nothing_is_allowed)
{
    stack_close(NULL);
    stack_spec_done(&spec);
    stack_spec_done(&spec);
}
END_TEST

SUITE("stack") = {
    CASE("stack", .setup = setup, .teardown = teardown),
    TEST(parameters_are_parsed_and_a_double_colon_is_one),
    TEST(bad_text_is_refused_with_a_sentence_and_changes_nothing),
    TEST(ninth_layer_is_refused),
    TEST(first_layer_of_the_spec_is_the_lowest),
    TEST(stack_without_layers_counts_requests_errors_and_bytes),
    TEST(latency_includes_the_time_below),
    TEST(request_that_nobody_performed_is_not_counted),
    TEST(every_failing_read_unwinds_and_leaves_the_bottom_usable),
    TEST(failing_upper_layer_closes_the_lower_ones),
    TEST(closing_nothing_is_allowed),
};
