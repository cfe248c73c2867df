/* SPDX-License-Identifier: BSD-3-Clause */
/* Random histories against a reference: what a channel that keeps copies shows is the
 * last acknowledged change of each sector, whoever owns the device and whatever
 * vanished meanwhile; and so is what the device holds when it comes to us.
 *
 * An owner elsewhere is a disk with a volatile cache: with its machine all is lost that
 * was not flushed, but what the cache has written back by itself. An owner on our
 * machine has the page cache, which goes only with us. A seed makes one history; the
 * moment at which an owner dies beside a change that is under way is the machine's, and
 * must not matter. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <check.h>

#include "../channel_fixture.h"
#include "../kept_owner.h"
#include "port_channel.h"
#include "port_nbd.h"
#include "suite.h"

#define HERE "here"
#define SECTOR 512U
#define NR_SECTORS 48U
#define MAX_SECTORS 8U /* of one change */
#define NR_SEEDS 4
#define NR_STEPS 50
#define SMALL_ROOM (16U << 10) /* so that the channel flushes by itself */

static struct {
    uint32_t seed;
    char expected[NR_SECTORS];
    unsigned nr_lives; /* of machines elsewhere */
    unsigned long long epoch;
    char instance[CHANNEL_INSTANCE_MAX]; /* of the owner */
} m;

struct change {
    struct req rq;
    char buf[MAX_SECTORS * SECTOR];
    int rc;
};

static uint32_t
any_below(uint32_t n)
{
    m.seed = m.seed * 1664525U + 1013904223U;
    return (m.seed >> 8) % n;
}

static void
start_any_owner(const char *flushed_by)
{
    bool is_here = any_below(3) == 0;
    char desc[256], file[100];
    const char *const args[] = {"--filter=exportname",
                                is_here ? "file" : BATON_CUT_PLUGIN,
                                desc,
                                file,
                                is_here ? NULL : "writeback=40",
                                NULL};

    if (is_here) {
        (void)snprintf(m.instance, sizeof m.instance, HERE);
    } else { /* a machine that died is another one when it comes back */
        (void)snprintf(m.instance, sizeof m.instance, "elsewhere.%u", ++m.nr_lives);
    }
    (void)snprintf(file, sizeof file, "%s=%s", is_here ? "file" : "medium",
                   server.file);
    (void)snprintf(desc, sizeof desc,
                   "exportdesc=fixed:" CHANNEL_OWNER_PREFIX
                   "instance=%s;epoch=%llu;flushed-by=%s",
                   m.instance, m.epoch, flushed_by);
    nbdkit_server_start(&server, args);
}

static void
make_any_change(struct change *c)
{
    static const enum req_op ops[] = {REQ_WRITE, REQ_WRITE, REQ_WRITE, REQ_ZERO,
                                      REQ_TRIM};
    unsigned first = any_below(NR_SECTORS), nr = 1 + any_below(MAX_SECTORS);
    char value = (char)(1 + any_below(120));

    nr = first + nr > NR_SECTORS ? NR_SECTORS - first : nr;
    memset(c->buf, value, sizeof c->buf);
    c->rq = (struct req){.op = ops[any_below(5)],
                         .flags = any_below(4) == 0 ? REQ_F_FUA : 0,
                         .off = (uint64_t)first * SECTOR,
                         .len = nr * SECTOR,
                         .buf = c->buf};
    /* What is trimmed reads as zeroes at these servers. */
    memset(m.expected + first, c->rq.op == REQ_WRITE ? value : 0, nr);
}

static void *
submit(void *change)
{
    struct change *c = change;

    c->rc = port_submit(port, &c->rq);
    return NULL;
}

/* By the giver, so the channel does not hear of it. */
static void
flush_past_the_channel(void)
{
    const struct req rq = {.op = REQ_FLUSH};
    struct port *past;

    ck_assert_int_eq(
        port_nbd_open(&(struct port_nbd_opts){.uri = server.uri, .connections = 1},
                      NULL, &past),
        0);
    ck_assert_int_eq(port_submit(past, &rq), 0);
    port_close(past);
}

/* The device is given on, or the owner's machine dies: perhaps beside a change. */
static void
change_owner(void)
{
    bool is_given = any_below(3) == 0, is_busy = !is_given && any_below(2) == 0;
    char flushed_by[CHANNEL_INSTANCE_MAX] = "-";
    struct change c = {.rc = 0};
    pthread_t thread = 0;

    if (is_given) {
        flush_past_the_channel();
        (void)snprintf(flushed_by, sizeof flushed_by, "%s", m.instance);
    }
    if (is_busy) {
        make_any_change(&c);
        ck_assert_int_eq(pthread_create(&thread, NULL, submit, &c), 0);
    }
    nbdkit_server_kill(&server);
    m.epoch++;
    start_any_owner(flushed_by);
    if (is_busy) {
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        ck_assert_int_eq(c.rc, 0);
    }
}

static void
compare(struct port *p, uint32_t seed)
{
    char buf[NR_SECTORS * SECTOR];
    const struct req rq = {.op = REQ_READ, .len = sizeof buf, .buf = buf};

    ck_assert_int_eq(port_submit(p, &rq), 0);
    for (unsigned i = 0; i < sizeof buf; i++) {
        ck_assert_msg(buf[i] == m.expected[i / SECTOR],
                      "seed %u: byte %u is %d, not %d; epoch %llu, owner %s", seed, i,
                      buf[i], m.expected[i / SECTOR], m.epoch, m.instance);
    }
}

static void
any_step(uint32_t seed)
{
    uint32_t what = any_below(100);
    struct change c;

    if (what < 70) {
        make_any_change(&c);
        ck_assert_int_eq(port_submit(port, &c.rq), 0);
    } else if (what < 76) {
        ck_assert_int_eq(do_io(REQ_FLUSH, NULL, 0, 0), 0);
    } else if (what < 86) {
        compare(port, seed);
    } else {
        change_owner();
    }
}

static void
begin(void)
{
    memset(m.expected, 0, sizeof m.expected);
    (void)unlink(server.file);
    ck_assert_int_eq(close(open(server.file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
    ck_assert_int_eq(truncate(server.file, 4 * MIB), 0);
    m.epoch = 2;
    policy.here = HERE;
    policy.keep_bytes = any_below(2) == 0 ? SMALL_ROOM : 0;
    start_any_owner("-");
    new_channel(2, server.address, NULL);
}

static void
end(uint32_t seed)
{
    struct port *a = take_device(m.epoch + 1);

    compare(a, seed);
    port_close(a);
    port_close(port);
}

START_TEST(last_acknowledged_change_is_what_is_read_in_any_history)
{
    nbdkit_server_init(&server);
    for (uint32_t seed = 1; seed <= NR_SEEDS; seed++) {
        m.seed = seed;
        begin();
        for (unsigned i = 0; i < NR_STEPS; i++) {
            any_step(seed);
        }
        end(seed);
    }
    nbdkit_server_done(&server);
}
END_TEST

SUITE("channel_kept_model") = {
    CASE("channel_kept_model"),
    TEST(last_acknowledged_change_is_what_is_read_in_any_history),
};
