/* SPDX-License-Identifier: BSD-3-Clause */
#include "group.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libnbd.h>

#include "cleanup.h"
#include "clock.h"
#include "link.h"
#include "stamp.h"

#define MAX_DISKS 64
#define LOOK_MS 50

enum slot_state { SLOT_IDLE, SLOT_SENT, SLOT_DONE, SLOT_LOST };

struct slot {
    enum slot_state state;
    int error;
    uint64_t start_ns;
    unsigned char block[STAMP_SECTOR];
};

struct group {
    const struct group_params *params;
    const struct order *o;
    struct order_chain *chains;
    struct group_report *report;
    struct slot *slots;
    struct nbd_handle *nbd[MAX_DISKS];
    int why[MAX_DISKS]; /* 0, or the end was noticed: link_judge()'s answer */
    char why_text[MAX_DISKS][256];
};

static void
fill_block(const struct group *g, unsigned slot, unsigned disk, uint64_t n, void *block)
{
    const struct stamp_id id = {.run = g->o->run,
                                .sector = g->o->offset / STAMP_SECTOR + slot,
                                .seq = n,
                                .writer = disk};

    stamp_fill(block, &id);
}

static int
connect_disk(struct group *g, unsigned disk, uint64_t deadline_ns, struct err *e)
{
    const struct timespec pause = {.tv_nsec = 5 * (long)NS_PER_MS};
    char text[900];
    int rc;

    for (;;) {
        rc = link_open(g->params->uris[disk], deadline_ns, &g->nbd[disk], text,
                       sizeof(text));
        if (rc == 0) {
            return 0;
        }
        if (g->params->reconnect_ns == 0 || clock_now_ns() >= deadline_ns) {
            return err_set(e, rc, "disk %u: %s", disk + 1, text);
        }
        (void)nanosleep(&pause, NULL); /* an early end only tries earlier */
    }
}

/* Every slot of every disk gets counter 0, the last disk first. */
static int
fill_disks(struct group *g, struct err *e)
{
    unsigned char block[STAMP_SECTOR];
    int rc = 0;

    for (unsigned disk = g->o->nr_disks; rc == 0 && disk-- > 0;) {
        rc = connect_disk(g, disk, clock_deadline_ns(g->params->timeout_ns), e);
        for (unsigned slot = 0; rc == 0 && slot < g->o->nr_slots; slot++) {
            fill_block(g, slot, disk, 0, block);
            if (nbd_pwrite(g->nbd[disk], block, sizeof(block),
                           g->o->offset + (uint64_t)slot * STAMP_SECTOR, 0) < 0) {
                rc = err_set(e, -EILSEQ, "disk %u: first write: %s", disk + 1,
                             nbd_get_error());
            }
        }
    }
    return rc;
}

static int
on_complete(void *user, int *error)
{
    struct slot *s = user;

    s->error = *error;
    s->state = SLOT_DONE;
    return 1; /* retire the command */
}

/* The first message counts: later calls only say that the connection is over. */
static void
note_end(struct group *g, unsigned disk)
{
    if (g->why[disk] == 0) {
        g->why[disk] =
            link_judge(g->nbd[disk], g->why_text[disk], sizeof(g->why_text[disk]));
    }
}

static void
send_slot(struct group *g, unsigned slot)
{
    struct slot *s = &g->slots[slot];
    nbd_completion_callback done = {.callback = on_complete, .user_data = s};
    uint64_t at = g->o->offset + (uint64_t)slot * STAMP_SECTOR;
    unsigned disk = g->chains[slot].disk;
    int64_t cookie;

    s->state = SLOT_SENT; /* before the call: the reply may come within it */
    cookie = nbd_aio_pwrite(g->nbd[disk], s->block, sizeof(s->block), at, done, 0);
    if (cookie < 0 && s->state == SLOT_SENT) {
        s->state = SLOT_LOST;
    }
    if (cookie < 0 || link_is_over(g->nbd[disk])) {
        note_end(g, disk);
    }
}

static void
begin_slot(struct group *g, unsigned slot)
{
    struct order_chain *c = &g->chains[slot];

    fill_block(g, slot, c->disk, c->n, g->slots[slot].block);
    g->slots[slot].start_ns = clock_now_ns();
    c->is_sent = true;
    send_slot(g, slot);
}

static void
advance(struct group *g, unsigned slot)
{
    struct order_chain *c = &g->chains[slot];
    uint64_t ns = clock_now_ns() - g->slots[slot].start_ns;

    g->report->writes++;
    g->report->max_ns = ns > g->report->max_ns ? ns : g->report->max_ns;
    g->slots[slot].state = SLOT_IDLE;
    c->is_sent = false;
    if (++c->disk == g->o->nr_disks) {
        c->disk = 0;
        c->n++;
        g->report->rounds++;
    }
}

/* Take replies. *ret_busy counts slots without one. */
static int
end_slots(struct group *g, unsigned *ret_busy, struct err *e)
{
    uint64_t now = clock_now_ns();

    *ret_busy = 0;
    for (unsigned i = 0; i < g->o->nr_slots; i++) {
        struct slot *s = &g->slots[i];

        if (s->state == SLOT_DONE && s->error == ENOTCONN) {
            s->state = SLOT_LOST; /* not a reply: no such error is in the protocol */
        }
        if (s->state == SLOT_DONE && s->error != 0) {
            return err_set(e, -EILSEQ, "slot %u: disk %u gave an error reply: %s", i,
                           g->chains[i].disk + 1, strerrordesc_np(s->error));
        }
        if (s->state == SLOT_DONE) {
            advance(g, i);
        }
        if (s->state == SLOT_IDLE) {
            continue;
        }
        (*ret_busy)++;
        if (now - s->start_ns > g->params->timeout_ns && now > s->start_ns) {
            return err_set(e, -EILSEQ, "slot %u: disk %u gave no reply in time", i,
                           g->chains[i].disk + 1);
        }
    }
    return 0;
}

static int
replace_disk(struct group *g, unsigned disk, struct err *e)
{
    int rc, why = g->why[disk];
    unsigned busy;

    g->why[disk] = 0;
    nbd_close(TAKE(g->nbd[disk]));
    rc = end_slots(g, &busy, e);
    if (rc < 0) {
        return rc;
    }
    if (why == -EPROTO || g->params->reconnect_ns == 0) {
        return err_set(e, -EILSEQ, "disk %u: %s: %s", disk + 1,
                       why == -EPROTO ? "wrong reply" : "broke", g->why_text[disk]);
    }
    g->report->reconnects++;
    rc = connect_disk(g, disk, clock_deadline_ns(g->params->reconnect_ns), e);
    for (unsigned i = 0; rc == 0 && i < g->o->nr_slots; i++) {
        if (g->chains[i].disk == disk &&
            (g->slots[i].state == SLOT_SENT || g->slots[i].state == SLOT_LOST)) {
            g->report->sent_again++;
            send_slot(g, i);
        }
    }
    return rc;
}

static int
serve_disk(struct group *g, unsigned disk, short events)
{
    struct nbd_handle *nbd = g->nbd[disk];
    unsigned direction = nbd_aio_get_direction(nbd);

    if ((events & (POLLIN | POLLHUP | POLLERR)) != 0 &&
        (direction & LIBNBD_AIO_DIRECTION_READ) != 0) {
        return nbd_aio_notify_read(nbd);
    }
    if ((events & POLLOUT) != 0 && (direction & LIBNBD_AIO_DIRECTION_WRITE) != 0) {
        return nbd_aio_notify_write(nbd);
    }
    return (events & (POLLHUP | POLLERR)) != 0 ? -1 : 0;
}

/* One round of poll(2) over all disks. */
static int
wait_disks(struct group *g, struct err *e)
{
    struct pollfd fds[MAX_DISKS];
    int rc = 0;

    for (unsigned d = 0; d < g->o->nr_disks; d++) {
        unsigned direction = nbd_aio_get_direction(g->nbd[d]);

        fds[d] = (struct pollfd){.fd = nbd_aio_get_fd(g->nbd[d])};
        fds[d].events |= (direction & LIBNBD_AIO_DIRECTION_READ) != 0 ? POLLIN : 0;
        fds[d].events |= (direction & LIBNBD_AIO_DIRECTION_WRITE) != 0 ? POLLOUT : 0;
        if (g->why[d] != 0) {
            return replace_disk(g, d, e);
        }
    }
    if (poll(fds, g->o->nr_disks, LOOK_MS) < 0 && errno != EINTR) {
        return err_set(e, -errno, "poll");
    }
    for (unsigned d = 0; rc == 0 && d < g->o->nr_disks; d++) {
        if (fds[d].revents == 0) {
            continue;
        }
        if (serve_disk(g, d, fds[d].revents) < 0 || link_is_over(g->nbd[d])) {
            note_end(g, d);
            rc = replace_disk(g, d, e);
        }
    }
    return rc;
}

static int
run_chains(struct group *g, struct err *e)
{
    uint64_t began = clock_now_ns(), looked = 0;
    unsigned busy = 0;
    bool is_ending = false;
    int rc = 0;

    while (rc == 0 && (!is_ending || busy > 0)) {
        uint64_t now = clock_now_ns();

        if (now - looked > LOOK_MS * NS_PER_MS) {
            const char *stop = g->params->stop_file;

            looked = now;
            is_ending = (g->params->run_ns > 0 && now - began >= g->params->run_ns) ||
                        (stop != NULL && access(stop, F_OK) == 0);
        }
        for (unsigned i = 0; !is_ending && i < g->o->nr_slots; i++) {
            if (g->slots[i].state == SLOT_IDLE) {
                begin_slot(g, i);
                busy++;
            }
        }
        rc = busy > 0 ? wait_disks(g, e) : 0;
        rc = rc == 0 ? end_slots(g, &busy, e) : rc;
    }
    g->report->ns = clock_now_ns() - began;
    return rc;
}

static int
say_ready(const struct group_params *p, struct err *e)
{
    int fd AUTO_FD = -1;

    if (p->ready_file == NULL) {
        return 0;
    }
    fd = open(p->ready_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 ? err_set(e, -errno, "%s: cannot be made", p->ready_file) : 0;
}

int
group_run(const struct group_params *params, const struct order *o,
          struct order_chain *chains, struct group_report *report, struct err *e)
{
    struct slot *slots AUTO_FREE = calloc(o->nr_slots, sizeof(*slots));
    struct group g = {
        .params = params, .o = o, .chains = chains, .report = report, .slots = slots};
    int rc = 0;

    if (slots == NULL || o->nr_disks > MAX_DISKS) {
        return err_set(e, -ENOMEM, "too many slots or disks");
    }
    for (unsigned i = 0; i < o->nr_slots; i++) {
        chains[i] = (struct order_chain){.n = 1};
    }
    rc = fill_disks(&g, e);
    rc = rc == 0 ? say_ready(params, e) : rc;
    rc = rc == 0 ? run_chains(&g, e) : rc;
    for (unsigned d = 0; d < o->nr_disks; d++) {
        nbd_close(g.nbd[d]);
    }
    return rc;
}
