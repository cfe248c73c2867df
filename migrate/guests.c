/* SPDX-License-Identifier: BSD-3-Clause */
#include "guests.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"

/* How long QEMU is told to try (baton vm define-disk), at growing intervals. */
#define AWAIT_NS (60 * NS_PER_S)

static struct guests_locked *guests_locked(struct guests *g) LK_REQUIRES(g->lock);

static struct guests_locked *
guests_locked(struct guests *g)
{
    return &g->locked_;
}

void
guests_init(struct guests *g)
{
    memset(g, 0, sizeof *g);
    lk_init(&g->lock);
}

void
guests_done(struct guests *g)
{
    lk_done(&g->lock);
}

void
guests_announce(struct guests *g, const char *vm_uuid)
{
    struct guests_locked *l;
    LK_GUARD(&g->lock);

    l = guests_locked(g);
    *l = (struct guests_locked){.generation = l->generation + 1};
    (void)snprintf(l->vm_uuid, sizeof l->vm_uuid, "%s", vm_uuid);
}

void
guests_restore(struct guests *g, const char *vm_uuid, bool is_gone)
{
    struct guests_locked *l;
    LK_GUARD(&g->lock);

    l = guests_locked(g);
    *l =
        (struct guests_locked){.generation = l->generation + 1,
                               .is_gone = is_gone,
                               .awaited_ns = is_gone ? 0 : clock_deadline_ns(AWAIT_NS)};
    (void)snprintf(l->vm_uuid, sizeof l->vm_uuid, "%s", vm_uuid);
}

bool
guests_end(struct guests *g, const char *vm_uuid)
{
    struct guests_locked *l;
    LK_GUARD(&g->lock);

    l = guests_locked(g);
    if (l->vm_uuid[0] != '\0' && strcmp(l->vm_uuid, vm_uuid) != 0) {
        return false;
    }
    (void)snprintf(l->vm_uuid, sizeof l->vm_uuid, "%s", vm_uuid);
    l->is_gone = true;
    l->awaited_ns = 0;
    return true;
}

void
guest_enter(struct guests *g, struct guest *guest)
{
    LK_GUARD(&g->lock);

    guest->of = g;
    guest->generation = guests_locked(g)->generation;
    atomic_init(&guest->has_written, false);
    guests_locked(g)->nr++;
    guests_locked(g)->awaited_ns = 0;
}

void
guest_first_write(struct guest *guest)
{
    struct guests *g = guest->of;
    LK_GUARD(&g->lock);

    if (atomic_exchange_explicit(&guest->has_written, true, memory_order_relaxed) ||
        guest->generation != guests_locked(g)->generation) {
        return;
    }
    guests_locked(g)->nr_writers++;
    guests_locked(g)->has_run = true;
}

void
guest_leave(struct guest *guest)
{
    struct guests *g = guest->of;
    LK_GUARD(&g->lock);

    if (guest->generation != guests_locked(g)->generation) {
        return;
    }
    guests_locked(g)->nr--;
    if (atomic_load_explicit(&guest->has_written, memory_order_relaxed)) {
        guests_locked(g)->nr_writers--;
    }
}

bool
guests_forget(struct guests *g, uint64_t generation)
{
    LK_GUARD(&g->lock);

    if (guests_locked(g)->generation != generation) {
        return false;
    }
    *guests_locked(g) = (struct guests_locked){.generation = generation + 1};
    return true;
}

unsigned
guests_present(struct guests *g)
{
    LK_GUARD(&g->lock);

    return guests_locked(g)->awaited_ns > clock_now_ns() ? 1 : guests_locked(g)->nr;
}

struct guests_locked
guests_look(struct guests *g)
{
    LK_GUARD(&g->lock);

    return *guests_locked(g);
}
