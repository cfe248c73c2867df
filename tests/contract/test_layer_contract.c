/* SPDX-License-Identifier: BSD-3-Clause */
/* What every layer promises, whatever it does besides. A new layer adds one line. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <check.h>

#include "layers.h"
#include "port_mem.h"
#include "stack.h"
#include "suite.h"

#define MIB (UINT64_C(1) << 20)
#define BELOW_SIZE (8 * MIB)

static const struct layer_case {
    const char *text;
    uint64_t start; /* of the layer's byte 0 on what is below */
    uint64_t size;
} cases[] = {
    {"stats", 0, BELOW_SIZE},
    {"limit:iops=1000000000", 0, BELOW_SIZE},
    {"limit:bps=1T:burst=60", 0, BELOW_SIZE},
    {"slice:offset=1M:size=2M", MIB, 2 * MIB},
    {"slice:offset=4M:size=4M", 4 * MIB, 4 * MIB},
};
#define NR_CASES ((int)(sizeof cases / sizeof cases[0]))

/* Remembers the last request, and fails it if told so. */
struct recorder {
    struct port port;
    struct port *inner;
    bool records; /* off while several threads use it */
    struct req last;
    int rc;
};

static struct recorder below;
static struct port *layer;

static int
recorder_submit(struct port *p, const struct req *rq)
{
    struct recorder *r = (struct recorder *)p;

    if (r->records) {
        r->last = *rq;
    }
    return r->rc < 0 ? r->rc : port_submit(r->inner, rq);
}

static const struct port_ops recorder_ops = {.name = "recorder",
                                             .submit = recorder_submit};

static void
open_case(int i)
{
    struct stack_spec spec = {.nr_layers = 0};
    struct layer_param params[LAYER_MAX_PARAMS];
    struct err e = {""};
    unsigned k;

    below = (struct recorder){.records = true};
    ck_assert_int_eq(port_mem_new(BELOW_SIZE, &below.inner), 0);
    below.port = (struct port){&recorder_ops, below.inner->info};
    ck_assert_msg(stack_spec_add(&spec, cases[i].text, &e) == 0, "%s", e.msg);
    for (k = 0; k < spec.layers[0].nr_params; k++) {
        params[k] = (struct layer_param){spec.layers[0].params[k].key,
                                         spec.layers[0].params[k].value};
    }
    ck_assert_int_eq(
        layer_find(spec.layers[0].name)->open(&below.port, params, k, &e, &layer), 0);
    stack_spec_done(&spec);
}

static void
close_case(void)
{
    port_close(layer);
    port_close(below.inner);
}

START_TEST(data_passes_unchanged)
{
    unsigned char out[10000], in[10000], there[10000];
    struct req rq = {.op = REQ_WRITE, .off = 12345, .len = sizeof out, .buf = out};
    size_t i;

    open_case(_i);
    for (i = 0; i < sizeof out; i++) {
        out[i] = (unsigned char)(i * 7 + 1);
    }
    ck_assert_int_eq(port_submit(layer, &rq), 0);
    rq.op = REQ_READ;
    rq.buf = in;
    ck_assert_int_eq(port_submit(layer, &rq), 0);
    ck_assert_mem_eq(in, out, sizeof out);
    rq.off += cases[_i].start;
    rq.buf = there;
    ck_assert_int_eq(port_submit(below.inner, &rq), 0);
    ck_assert_mem_eq(there, out, sizeof out);
    close_case();
}
END_TEST

START_TEST(first_and_last_byte_are_reachable)
{
    char c = 'x';
    struct req rq = {.op = REQ_WRITE, .len = 1, .buf = &c};

    open_case(_i);
    ck_assert_int_eq(port_submit(layer, &rq), 0);
    ck_assert_uint_eq(below.last.off, cases[_i].start);
    rq.off = cases[_i].size - 1;
    ck_assert_int_eq(port_submit(layer, &rq), 0);
    ck_assert_uint_eq(below.last.off, cases[_i].start + cases[_i].size - 1);
    close_case();
}
END_TEST

START_TEST(size_and_capabilities_are_right)
{
    open_case(_i);
    ck_assert_uint_eq(layer->info.size, cases[_i].size);
    ck_assert_uint_eq(layer->info.caps, below.port.info.caps);
    ck_assert_uint_eq(layer->info.min_block, below.port.info.min_block);
    ck_assert_uint_eq(layer->info.max_block, below.port.info.max_block);
    ck_assert_uint_ge(layer->info.pref_block, 512);
    ck_assert_uint_eq(cases[_i].start % layer->info.pref_block, 0);
    close_case();
}
END_TEST

static int
take_any(struct extent_sink *s, uint64_t off, uint64_t len, uint32_t type)
{
    (void)s, (void)off, (void)len, (void)type; /* only its being called counts */
    return 0;
}

/* A request of each operation, valid on every layer. */
static struct req
sample(enum req_op op, void *buf, struct extent_sink *sink)
{
    struct req rq = {.op = op, .off = 4096, .len = 512};

    switch (op) {
    case REQ_FLUSH:
        rq.off = rq.len = 0;
        break;
    case REQ_READ:
    case REQ_WRITE:
        rq.buf = buf;
        break;
    case REQ_EXTENTS:
        rq.extents = sink;
        break;
    case REQ_TRIM:
    case REQ_ZERO:
    case REQ_CACHE:
        break;
    }
    return rq;
}

START_TEST(errors_of_below_pass_through_unchanged)
{
    static const int errors[] = {-EIO, -ESTALE, -ENOSPC, -ENOTSUP, -ENOMEM, -EPERM};
    struct extent_sink sink = {take_any};
    char buf[512] = "";
    unsigned op, k;

    open_case(_i);
    for (op = 0; op < REQ_NR_OPS; op++) {
        struct req rq = sample((enum req_op)op, buf, &sink);

        for (k = 0; k < sizeof errors / sizeof errors[0]; k++) {
            below.rc = errors[k];
            ck_assert_int_eq(port_submit(layer, &rq), errors[k]);
        }
        below.rc = 0;
        ck_assert_int_eq(port_submit(layer, &rq), 0);
    }
    close_case();
}
END_TEST

START_TEST(operation_origin_flags_length_and_buffer_are_preserved)
{
    struct extent_sink sink = {take_any};
    char buf[512] = "", session;
    unsigned op, flags, tried = 0;

    open_case(_i);
    for (op = 0; op < REQ_NR_OPS; op++) {
        for (flags = 0; flags < 32; flags++) {
            struct req rq = sample((enum req_op)op, buf, &sink);

            rq.flags = flags;
            rq.origin = (flags & 1) != 0 ? &session : NULL;
            if (port_check(&layer->info, &rq) < 0) {
                continue;
            }
            ck_assert_int_eq(port_submit(layer, &rq), 0);
            ck_assert_uint_eq(below.last.op, op);
            ck_assert_uint_eq(below.last.flags, flags);
            ck_assert_ptr_eq(below.last.origin, rq.origin);
            ck_assert_uint_eq(below.last.len, rq.len);
            ck_assert_ptr_eq(below.last.buf, rq.buf);
            tried++;
        }
    }
    ck_assert_uint_eq(tried,
                      2 + 2 + 1 + 2 + 8 + 1 + 2); /* every allowed set of flags */
    close_case();
}
END_TEST

struct covering_sink {
    struct extent_sink sink;
    uint64_t next, end;
};

static int
cover(struct extent_sink *s, uint64_t off, uint64_t len, uint32_t type)
{
    struct covering_sink *c = (struct covering_sink *)s;

    (void)type; /* the place is what this is about */
    ck_assert(c->next == 0 ? off <= 4096 : off == c->next);
    c->next = off + len;
    c->end = c->next;
    return 0;
}

START_TEST(extents_cover_the_range_in_the_layers_own_offsets)
{
    char buf[512] = "x";
    struct req write = {.op = REQ_WRITE, .off = 65536, .len = 512, .buf = buf};
    struct covering_sink c = {.sink.add = cover};
    struct req rq = {.op = REQ_EXTENTS, .off = 4096, .extents = &c.sink};

    open_case(_i);
    rq.len = (uint32_t)cases[_i].size - 4096;
    ck_assert_int_eq(port_submit(layer, &write), 0);
    ck_assert_int_eq(port_submit(layer, &rq), 0);
    ck_assert_uint_eq(c.end, cases[_i].size); /* not beyond: there is nothing */
    close_case();
}
END_TEST

START_TEST(closing_leaves_what_is_below_open)
{
    char buf[512];
    struct req rq = {.op = REQ_READ, .len = sizeof buf, .buf = buf};

    open_case(_i);
    port_close(layer); /* recorder_ops has no close: calling it would crash */
    ck_assert_int_eq(port_submit(&below.port, &rq), 0);
    port_close(below.inner);
}
END_TEST

static void *
write_and_read_back(void *arg)
{
    uint64_t base = (uintptr_t)arg * 256 * 1024;
    unsigned char out[4096], in[4096];
    unsigned i;

    for (i = 0; i < 500; i++) {
        struct req rq = {.off = base + i % 64 * 4096, .len = sizeof out};

        memset(out, (int)(i + base / 4096), sizeof out);
        rq.op = REQ_WRITE;
        rq.buf = out;
        ck_assert_int_eq(port_submit(layer, &rq), 0);
        rq.op = REQ_READ;
        rq.buf = in;
        ck_assert_int_eq(port_submit(layer, &rq), 0);
        ck_assert_mem_eq(in, out, sizeof out);
    }
    return NULL;
}

START_TEST(four_threads_use_it_at_the_same_time)
{
    pthread_t threads[4];
    uintptr_t i;

    open_case(_i);
    below.records = false;
    for (i = 0; i < 4; i++) {
        ck_assert_int_eq(
            pthread_create(&threads[i], NULL, write_and_read_back, (void *)i), 0);
    }
    for (i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    close_case();
}
END_TEST

START_TEST(every_layer_type_is_tested_here)
{
    const char *name = layer_types[_i]->name;
    int i, n = 0;

    for (i = 0; i < NR_CASES; i++) {
        n += strncmp(cases[i].text, name, strlen(name)) == 0;
    }
    ck_assert_int_gt(n, 0);
    ck_assert_ptr_eq(layer_find(name), layer_types[_i]);
}
END_TEST

START_TEST(unknown_parameter_is_refused_by_naming_the_allowed_ones)
{
    const struct layer_param param = {"colour", "blue"};
    struct err e = {""};

    ck_assert_int_eq(layer_types[_i]->check(&param, 1, &e), -EINVAL);
    ck_assert_ptr_nonnull(strstr(e.msg, "\"colour\""));
    ck_assert_ptr_nonnull(strstr(e.msg, layer_types[_i]->params));
}
END_TEST

SUITE("layer contract") = {
    CASE("layers"),
    LOOP(data_passes_unchanged, NR_CASES),
    LOOP(first_and_last_byte_are_reachable, NR_CASES),
    LOOP(size_and_capabilities_are_right, NR_CASES),
    LOOP(errors_of_below_pass_through_unchanged, NR_CASES),
    LOOP(operation_origin_flags_length_and_buffer_are_preserved, NR_CASES),
    LOOP(extents_cover_the_range_in_the_layers_own_offsets, NR_CASES),
    LOOP(closing_leaves_what_is_below_open, NR_CASES),
    LOOP(four_threads_use_it_at_the_same_time, NR_CASES),
    LOOP(every_layer_type_is_tested_here, LAYER_NR_TYPES),
    LOOP(unknown_parameter_is_refused_by_naming_the_allowed_ones, LAYER_NR_TYPES),
};
