/* SPDX-License-Identifier: BSD-3-Clause */
#include "client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "clock.h"
#include "disk.h"
#include "disk_durability.h"
#include "disk_failed.h"
#include "port_channel.h"
#include "service.h"
#include "writers_enter.h"

/* A newer session waits this long for what an older one had begun. */
#define FENCE_TIMEOUT_NS (30 * NS_PER_S)

struct client {
    struct disk *disk;
    struct port *top;        /* a VM's: the top of the stack; NULL for a channel */
    struct session *session; /* a channel's */
    char statement[CHANNEL_OWNER_MAX]; /* to a channel */
    struct guest guest;                /* a VM's */
    struct vm_conn conn;               /* a VM's */
    uint64_t requester;                /* of a VM's requests */
    char name[WRITER_NAME_LEN];        /* a VM's: what tells it from others */
    _Atomic bool may_write; /* relaxed: set once; only with writers=one it is not */
};

static int
need_stack(struct disk *d, struct redir *r, struct err *e)
{
    struct stack *stack;
    int rc;
    LK_GUARD(&d->build_lock);

    if (atomic_load_explicit(&d->stack, memory_order_acquire) != NULL) {
        return 0;
    }
    rc = stack_open(&d->cfg->layers, redir_port(r), e, &stack);
    if (rc == 0) {
        atomic_store_explicit(&d->stack, stack, memory_order_release);
    }
    return rc;
}

/* Does anybody perform requests that arrive here, or will? */
static bool
is_served(struct disk *d)
{
    return disk_redir(d) != NULL && disk_record(d).role != ROLE_STANDBY;
}

static int
open_vm(struct client *c, struct err *e)
{
    struct disk *d = c->disk;
    struct redir *r = disk_redir(d);
    int rc;

    if (disk_failed_is(d, e)) {
        return -EAGAIN;
    }
    if (!is_served(d)) {
        return err_set(e, -EAGAIN,
                       "disk %s is on standby here: it has no owner that this service "
                       "knows of",
                       d->cfg->name);
    }
    rc = need_stack(d, r, e);
    if (rc < 0) {
        return err_prefix(e, rc, "disk %s", d->cfg->name);
    }
    c->top = stack_top(d->stack);
    atomic_init(&c->may_write, d->cfg->writers != WRITERS_ONE);
    (void)atomic_fetch_add_explicit(&d->nr_vms, 1, memory_order_relaxed);
    guest_enter(&d->presence, &c->guest);
    vm_conns_enter(&d->conns, &c->conn, c->name);
    c->requester = req_new_requester();
    return 0;
}

static bool
is_channel_name(const char *export_name)
{
    return strncmp(export_name, CHANNEL_NAME_PREFIX, strlen(CHANNEL_NAME_PREFIX)) == 0;
}

/* What channels of this epoch have to prove; "": we are not their owner, nor soon. */
static void
right_of(struct disk *d, uint64_t epoch, char *ret_right)
{
    const struct disk_locked *l;
    const char *right = "";
    LK_GUARD(&d->lock);

    l = disk_locked(d);
    if (l->rec.role == ROLE_OWNER && l->rec.epoch == epoch) {
        right = l->rec.right;
    } else if (l->incoming.epoch == epoch) {
        right = l->incoming.right;
    }
    (void)snprintf(ret_right, CHANNEL_RIGHT_SIZE, "%s", right);
}

/* Before anything that the name asks for is done. */
static int
check_right(struct disk *d, const struct channel_name *n, struct err *e)
{
    char right[CHANNEL_RIGHT_SIZE];

    right_of(d, n->epoch, right);
    if (right[0] == '\0') {
        return err_set(e, -ESTALE,
                       "%s: a channel for epoch %" PRIu64 " is not served here",
                       d->cfg->name, n->epoch);
    }
    return channel_name_is_proved(n, right)
               ? 0
               : err_set(e, -EACCES,
                         "%s: refused a channel of client %s: its name does not prove "
                         "its right, which is told over control only",
                         d->cfg->name, n->client);
}

static int
open_channel(struct service *s, struct client *c, const char *export_name,
             const struct client_origin *from, struct err *e)
{
    struct channel_name n;
    int rc;

    if (channel_name_parse(export_name, &n) < 0) {
        return err_set(e, -EINVAL,
                       "malformed channel name, or one that proves no right");
    }
    c->disk = service_find_uuid(s, n.uuid);
    if (c->disk == NULL || disk_redir(c->disk) == NULL) {
        return err_set(e, -ENOENT, "no disk with uuid %s is served here", n.uuid);
    }
    rc = allow_open(s->cfg, c->disk->cfg, from, e);
    if (rc == 0 && disk_failed_is(c->disk, e)) {
        rc = -EAGAIN;
    }
    if (rc == 0) {
        rc = check_right(c->disk, &n, e);
    }
    if (rc == 0) {
        rc = session_open(c->disk->sessions, n.client, n.session, n.epoch,
                          clock_deadline_ns(FENCE_TIMEOUT_NS), e, &c->session);
    }
    if (rc == 0) {
        disk_statement(c->disk, n.epoch, c->statement);
    }
    return rc;
}

static int
find_disk(struct service *s, const char *export_name, struct err *e,
          struct disk **ret_disk)
{
    if (export_name[0] == '\0' && s->nr_disks == 1) {
        *ret_disk = &s->disks[0];
        return 0;
    }
    if (!name_is_valid(export_name)) {
        return err_set(e, -EINVAL, "%s",
                       export_name[0] == '\0' ? "there are several disks: name one"
                                              : "malformed disk name");
    }
    *ret_disk = service_find_disk(s, export_name);
    return *ret_disk != NULL
               ? 0
               : err_set(e, -ENOENT, "there is no disk %s here", export_name);
}

static int
open_disk(struct service *s, struct client *c, const char *export_name,
          const struct client_origin *from, struct err *e)
{
    int rc = find_disk(s, export_name, e, &c->disk);

    if (c->disk == NULL) {
        return rc;
    }
    rc = allow_open(s->cfg, c->disk->cfg, from, e);
    (void)snprintf(c->name, sizeof c->name, "%s", from->name);
    return rc == 0 ? open_vm(c, e) : rc;
}

bool
client_may_open(struct service *s, unsigned i, const struct client_origin *from)
{
    struct disk *d = &s->disks[i];

    return is_served(d) && !disk_failed_is(d, NULL) &&
           allow_open(s->cfg, d->cfg, from, NULL) == 0;
}

int
client_open(struct service *s, const char *export_name,
            const struct client_origin *from, struct err *e, struct client **ret_client)
{
    struct client *c = calloc(1, sizeof *c);
    int rc;

    if (c == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    rc = allow_connection(s->cfg, from, e);
    if (rc == 0 && is_channel_name(export_name)) {
        rc = open_channel(s, c, export_name, from, e);
    } else if (rc == 0) {
        rc = open_disk(s, c, export_name, from, e);
    }
    if (rc < 0) {
        free(c);
        return rc;
    }
    *ret_client = c;
    return 0;
}

void
client_close(struct client *c)
{
    if (c->session != NULL) {
        session_close(c->session);
    } else {
        guest_leave(&c->guest);
        if (c->disk->cfg->writers == WRITERS_ONE &&
            atomic_load_explicit(&c->may_write, memory_order_relaxed)) {
            writers_leave(&c->disk->writers);
        }
        disk_rest_after_vm(
            c->disk, &c->conn,
            atomic_fetch_sub_explicit(&c->disk->nr_vms, 1, memory_order_relaxed) == 1);
    }
    free(c);
}

const struct port_info *
client_info(const struct client *c)
{
    return c->top != NULL ? &c->top->info : &redir_port(c->disk->redir)->info;
}

const char *
client_description(const struct client *c)
{
    return c->session != NULL ? c->statement : c->disk->cfg->description;
}

/* The first write, with writers=one. Several may be the first. */
static int
ask_to_write(struct client *c)
{
    int rc = writers_enter(c->disk, c->name);

    if (rc == 0 &&
        atomic_exchange_explicit(&c->may_write, true, memory_order_relaxed)) {
        writers_leave(&c->disk->writers);
    }
    return rc;
}

int
client_submit(struct client *c, struct req *rq)
{
    if (c->top == NULL) {
        return session_submit(c->session, rq);
    }
    if (!atomic_load_explicit(&c->may_write, memory_order_relaxed) &&
        (rq->op == REQ_WRITE || rq->op == REQ_ZERO || rq->op == REQ_TRIM)) {
        int rc = ask_to_write(c);

        if (rc < 0) {
            return rc;
        }
    }
    guest_submits(&c->guest, rq->op);
    rq->requester = c->requester;
    rq->vm = c->conn.vm;
    return port_submit(c->top, rq);
}
