/* SPDX-License-Identifier: BSD-3-Clause */
#include "vm_presence.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"

/* How long QEMU is told to try (baton vm define-disk), at growing intervals. */
#define AWAIT_NS (60 * NS_PER_S)
#define START_NS (60 * NS_PER_S) /* from "prepare" until QEMU has opened its disks */

static struct vm_presence_locked *vm_presence_locked(struct vm_presence *g)
    LK_REQUIRES(g->lock);

static struct vm_presence_locked *
vm_presence_locked(struct vm_presence *g)
{
    return &g->locked_;
}

void
vm_presence_init(struct vm_presence *g)
{
    memset(g, 0, sizeof *g);
    lk_init(&g->lock);
}

void
vm_presence_done(struct vm_presence *g)
{
    lk_done(&g->lock);
}

static void
announce(struct vm_presence_locked *l, const char *vm_uuid)
{
    *l = (struct vm_presence_locked){.generation = l->generation + 1,
                                     .announced_ns = clock_now_ns()};
    (void)snprintf(l->vm_uuid, sizeof l->vm_uuid, "%s", vm_uuid);
}

void
vm_presence_announce(struct vm_presence *g, const char *vm_uuid)
{
    struct vm_presence_locked *l;
    LK_GUARD(&g->lock);

    l = vm_presence_locked(g);
    announce(l, vm_uuid);
}

/* Has the announced VM the disk open, or is it to open it any moment? */
static bool
is_held(const struct vm_presence_locked *l)
{
    const uint64_t now_ns = clock_now_ns();

    return l->vm_uuid[0] != '\0' && !l->is_gone &&
           (l->nr > 0 || l->awaited_ns > now_ns ||
            (!l->has_opened && now_ns < l->announced_ns + START_NS));
}

bool
vm_presence_try_announce(struct vm_presence *g, const char *vm_uuid, bool is_reader,
                         bool is_shared, bool *ret_is_announced)
{
    struct vm_presence_locked *l;
    bool is_other;
    LK_GUARD(&g->lock);

    l = vm_presence_locked(g);
    is_other = is_held(l) && strcmp(l->vm_uuid, vm_uuid) != 0;
    *ret_is_announced = !is_other || (l->is_reader && !is_reader);
    if (is_other && !is_reader && !l->is_reader && !(is_shared && l->is_shared)) {
        return false;
    }
    if (*ret_is_announced) {
        announce(l, vm_uuid);
        l->is_reader = is_reader;
        l->is_shared = is_shared;
    }
    return true;
}

bool
vm_presence_hold(struct vm_presence *g)
{
    LK_GUARD(&g->lock);

    return is_held(vm_presence_locked(g));
}

void
vm_presence_restore(struct vm_presence *g, const struct record_vm *vm)
{
    struct vm_presence_locked *l;
    LK_GUARD(&g->lock);

    l = vm_presence_locked(g);
    *l = (struct vm_presence_locked){
        .generation = l->generation + 1,
        .is_gone = vm->is_gone,
        .is_reader = vm->is_reader,
        .is_shared = vm->is_shared,
        .has_opened = true, /* for all we know */
        .awaited_ns = vm->is_gone ? 0 : clock_deadline_ns(AWAIT_NS),
    };
    (void)snprintf(l->vm_uuid, sizeof l->vm_uuid, "%s", vm->uuid);
}

bool
vm_presence_end(struct vm_presence *g, const char *vm_uuid)
{
    struct vm_presence_locked *l;
    LK_GUARD(&g->lock);

    l = vm_presence_locked(g);
    if (l->vm_uuid[0] != '\0' && strcmp(l->vm_uuid, vm_uuid) != 0) {
        return false;
    }
    (void)snprintf(l->vm_uuid, sizeof l->vm_uuid, "%s", vm_uuid);
    l->is_gone = true;
    l->awaited_ns = 0;
    return true;
}

void
guest_enter(struct vm_presence *g, struct guest *guest)
{
    LK_GUARD(&g->lock);

    guest->of = g;
    guest->generation = vm_presence_locked(g)->generation;
    atomic_init(&guest->has_written, false);
    vm_presence_locked(g)->nr++;
    vm_presence_locked(g)->has_opened = true;
    vm_presence_locked(g)->awaited_ns = 0;
}

void
guest_first_write(struct guest *guest)
{
    struct vm_presence *g = guest->of;
    LK_GUARD(&g->lock);

    if (atomic_exchange_explicit(&guest->has_written, true, memory_order_relaxed) ||
        guest->generation != vm_presence_locked(g)->generation) {
        return;
    }
    vm_presence_locked(g)->nr_writers++;
    vm_presence_locked(g)->has_run = true;
}

void
guest_leave(struct guest *guest)
{
    struct vm_presence *g = guest->of;
    LK_GUARD(&g->lock);

    if (guest->generation != vm_presence_locked(g)->generation) {
        return;
    }
    vm_presence_locked(g)->nr--;
    if (atomic_load_explicit(&guest->has_written, memory_order_relaxed)) {
        vm_presence_locked(g)->nr_writers--;
    }
}

bool
vm_presence_forget(struct vm_presence *g, uint64_t generation)
{
    LK_GUARD(&g->lock);

    if (vm_presence_locked(g)->generation != generation) {
        return false;
    }
    *vm_presence_locked(g) = (struct vm_presence_locked){.generation = generation + 1};
    return true;
}

void
vm_presence_moved(struct vm_presence *g, uint64_t generation)
{
    LK_GUARD(&g->lock);

    if (vm_presence_locked(g)->generation == generation) {
        vm_presence_locked(g)->has_run = vm_presence_locked(g)->nr_writers > 0;
    }
}

unsigned
vm_presence_present(struct vm_presence *g)
{
    LK_GUARD(&g->lock);

    return vm_presence_locked(g)->awaited_ns > clock_now_ns()
               ? 1
               : vm_presence_locked(g)->nr;
}

struct vm_presence_locked
vm_presence_look(struct vm_presence *g)
{
    LK_GUARD(&g->lock);

    return *vm_presence_locked(g);
}
