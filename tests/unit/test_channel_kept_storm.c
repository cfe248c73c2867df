/* SPDX-License-Identifier: BSD-3-Clause */
/* Many threads change and read the same few sectors through one channel that keeps
 * copies, while its owner dies again and again: with its machine, or alone, beside
 * requests, and in the midst of being sent again what was kept. Unlike in
 * test_channel_kept_model nothing waits for anything, so what is asked is less: a read
 * returns no value that an acknowledged change had replaced before the read began, and
 * neither does the device when it comes to us. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "../channel_fixture.h"
#include "../kept_owner.h"
#include "port_channel.h"
#include "suite.h"

#define SECTOR 512U
#define NR_SECTORS 24U
#define MAX_SECTORS 6U /* of one change */
#define MAX_CHANGES 20000U
#define NR_DEATHS 12
#define SMALL_ROOM (16U << 10) /* so that the channel flushes by itself */

/* What a sector holds is the number of the change that made it so; 0: zeroes, from the
 * beginning or by any change that zeroes. */
struct change {
    unsigned first, nr;
    bool is_zero;
    uint64_t began;
    _Atomic bool is_begun;  /* what is above is there */
    _Atomic uint64_t ended; /* 0: it is under way */
};

static struct {
    unsigned seed;
    struct change changes[MAX_CHANGES]; /* from 1 on */
    _Atomic unsigned nr_changes;
    _Atomic uint64_t now; /* a step each time that somebody looks at it */
    _Atomic bool is_over;
    _Atomic unsigned nr_bad;
    unsigned nr_lives;
} s;

static uint64_t
now(void)
{
    return atomic_fetch_add(&s.now, 1) + 1;
}

static bool
has_sector(const struct change *c, unsigned sector)
{
    return atomic_load(&c->is_begun) && sector >= c->first && sector < c->first + c->nr;
}

/* Was all that `from` changed replaced before `until`? */
static bool
is_replaced(uint64_t from, unsigned sector, uint64_t until, unsigned nr)
{
    for (unsigned i = 1; i <= nr; i++) {
        const struct change *c = &s.changes[i];
        uint64_t ended = atomic_load(&c->ended);

        if (ended != 0 && has_sector(c, sector) && ended < until && c->began > from) {
            return true;
        }
    }
    return false;
}

/* A read that began then has found this value. */
static void
judge(uint32_t value, unsigned sector, uint64_t began, const char *who)
{
    unsigned nr = atomic_load(&s.nr_changes);
    bool is_good = false;

    nr = nr < MAX_CHANGES - 1 ? nr : MAX_CHANGES - 1;
    if (value != 0) {
        const struct change *c = value <= nr ? &s.changes[value] : NULL;
        uint64_t ended = c != NULL ? atomic_load(&c->ended) : 0;

        is_good = c != NULL && has_sector(c, sector) && !c->is_zero &&
                  (ended == 0 || !is_replaced(ended, sector, began, nr));
    } else {
        is_good = !is_replaced(0, sector, began, nr);
        for (unsigned i = 1; i <= nr && !is_good; i++) {
            const struct change *c = &s.changes[i];
            uint64_t ended = atomic_load(&c->ended);

            is_good = has_sector(c, sector) && c->is_zero &&
                      (ended == 0 || !is_replaced(ended, sector, began, nr));
        }
    }
    if (!is_good) {
        (void)fprintf(stderr, "seed %u: %s: sector %u holds %u, which was replaced\n",
                      s.seed, who, sector, value);
        atomic_fetch_add(&s.nr_bad, 1);
    }
}

static void
judge_all(const char *buf, unsigned first, unsigned nr, uint64_t began, const char *who)
{
    for (unsigned i = 0; i < nr; i++) {
        uint32_t value;

        memcpy(&value, buf + (size_t)i * SECTOR, sizeof value);
        judge(value, first + i, began, who);
    }
}

static void
look(unsigned first, unsigned nr)
{
    char buf[MAX_SECTORS * SECTOR];
    uint64_t began = now();

    if (do_io(REQ_READ, buf, (uint64_t)first * SECTOR, nr * SECTOR) == 0) {
        judge_all(buf, first, nr, began, "a read");
    }
}

static void
alter(unsigned first, unsigned nr, bool is_zero, uint32_t flags)
{
    char buf[MAX_SECTORS * SECTOR] = "";
    uint32_t number = atomic_fetch_add(&s.nr_changes, 1) + 1;
    struct change *c = &s.changes[number];
    const struct req rq = {.op = is_zero ? REQ_ZERO : REQ_WRITE,
                           .flags = flags,
                           .off = (uint64_t)first * SECTOR,
                           .len = nr * SECTOR,
                           .buf = buf};

    if (number >= MAX_CHANGES) {
        atomic_store(&s.is_over, true);
        return;
    }
    for (unsigned i = 0; i < nr; i++) {
        memcpy(buf + (size_t)i * SECTOR, &number, sizeof number);
    }
    c->began = now();
    c->is_zero = is_zero;
    c->first = first;
    c->nr = nr;
    atomic_store(&c->is_begun, true);
    if (port_submit(port, &rq) == 0) {
        atomic_store(&c->ended, now());
    } else {
        atomic_fetch_add(&s.nr_bad, 1);
    }
}

static void *
work(void *number)
{
    unsigned seed = s.seed * 16 + (unsigned)(uintptr_t)number;

    while (!atomic_load(&s.is_over)) {
        unsigned first = (unsigned)rand_r(&seed) % NR_SECTORS;
        unsigned nr = 1 + (unsigned)rand_r(&seed) % MAX_SECTORS;
        unsigned what = (unsigned)rand_r(&seed) % 100;

        nr = first + nr > NR_SECTORS ? NR_SECTORS - first : nr;
        if (what < 25) {
            look(first, nr);
        } else if (what < 30) {
            (void)do_io(REQ_FLUSH, NULL, 0, 0);
        } else {
            alter(first, nr, what < 45, what % 5 == 0 ? REQ_F_FUA : 0);
        }
    }
    return NULL;
}

/* Each is another life of a machine or of a service. */
static void
start_next_owner(bool forgets)
{
    char desc[256], file[100];
    const char *const args[] = {"--filter=exportname",
                                forgets ? BATON_CUT_PLUGIN : "file",
                                desc,
                                file,
                                forgets ? "writeback=40" : NULL,
                                NULL};

    (void)snprintf(file, sizeof file, "%s=%s", forgets ? "medium" : "file",
                   server.file);
    (void)snprintf(desc, sizeof desc,
                   "exportdesc=fixed:" CHANNEL_OWNER_PREFIX
                   "instance=life.%u;epoch=2;flushed-by=-",
                   ++s.nr_lives);
    nbdkit_server_start(&server, args);
}

static void
await_changes(unsigned nr)
{
    nr += atomic_load(&s.nr_changes);
    while (atomic_load(&s.nr_changes) < nr && !atomic_load(&s.is_over)) {
    }
}

static void
kill_owners(void)
{
    unsigned seed = s.seed;

    for (unsigned i = 0; i < NR_DEATHS; i++) {
        struct port_channel_status status;
        uint64_t before;

        await_changes((unsigned)rand_r(&seed) % 200);
        nbdkit_server_kill(&server);
        start_next_owner(rand_r(&seed) % 2 == 0);
        if (rand_r(&seed) % 2 == 0) { /* dies while it is sent again what is kept */
            port_channel_status(port, &status);
            before = status.reconnects;
            while (status.reconnects == before) {
                port_channel_status(port, &status);
            }
            nbdkit_server_kill(&server);
            start_next_owner(rand_r(&seed) % 2 == 0);
        }
    }
    await_changes(100);
    atomic_store(&s.is_over, true);
}

static void
take(void)
{
    char buf[NR_SECTORS * SECTOR];
    const struct req rq = {.op = REQ_READ, .len = sizeof buf, .buf = buf};
    struct port *a = take_device(3);

    ck_assert_int_eq(port_submit(a, &rq), 0);
    judge_all(buf, 0, NR_SECTORS, now(), "our device");
    port_close(a);
}

START_TEST(no_value_comes_back_that_was_replaced)
{
    pthread_t threads[NR_THREADS];
    int fd;

    kept_begin();
    memset(&s, 0, sizeof s);
    s.seed = (unsigned)_i + 1;
    fd = open(server.file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ck_assert_int_eq(ftruncate(fd, 4 * MIB), 0);
    close(fd);
    policy.keep_bytes = _i % 2 == 0 ? SMALL_ROOM : 0;
    start_next_owner(true);
    new_channel(4, server.address, NULL);
    start_threads(threads, work);
    kill_owners();
    ck_assert_int_eq(join_threads(threads), 0);
    take();
    ck_assert_uint_eq(atomic_load(&s.nr_bad), 0);
    close_all();
}
END_TEST

SUITE("channel_kept_storm") = {
    CASE("channel_kept_storm", .timeout_s = 60),
    LOOP(no_value_comes_back_that_was_replaced, 4),
};
