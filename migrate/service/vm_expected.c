/* SPDX-License-Identifier: BSD-3-Clause */
#include "vm_expected.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

#define LAST_NS (60 * NS_PER_S) /* libvirt prepares the domain right after */

struct vm_expected_one {
    char uuid[37];
    uint64_t until_ns;
    TAILQ_ENTRY(vm_expected_one) link;
};

static struct vm_expected_locked *
expected_locked(struct vm_expected *x) LK_REQUIRES(x->lock)
{
    return &x->locked_;
}

void
vm_expected_init(struct vm_expected *x)
{
    lk_init(&x->lock);
    TAILQ_INIT(&x->locked_.all);
}

/* The entry of this UUID; what is too old goes on the way. */
static struct vm_expected_one *
find(struct vm_expected *x, const char *vm_uuid) LK_REQUIRES(x->lock)
{
    const uint64_t now_ns = clock_now_ns();
    struct vm_expected_one *one, *next, *found = NULL;

    for (one = TAILQ_FIRST(&expected_locked(x)->all); one != NULL; one = next) {
        next = TAILQ_NEXT(one, link);
        if (one->until_ns <= now_ns) {
            TAILQ_REMOVE(&expected_locked(x)->all, one, link);
            free(one);
        } else if (strcmp(one->uuid, vm_uuid) == 0) {
            found = one;
        }
    }
    return found;
}

int
vm_expected_add(struct vm_expected *x, const char *vm_uuid)
{
    struct vm_expected_one *one;
    LK_GUARD(&x->lock);

    one = find(x, vm_uuid);
    if (one == NULL) {
        one = calloc(1, sizeof *one);
        if (one == NULL) {
            return -ENOMEM;
        }
        (void)snprintf(one->uuid, sizeof one->uuid, "%s", vm_uuid);
        TAILQ_INSERT_TAIL(&expected_locked(x)->all, one, link);
    }
    one->until_ns = clock_deadline_ns(LAST_NS);
    return 0;
}

bool
vm_expected_is(struct vm_expected *x, const char *vm_uuid)
{
    LK_GUARD(&x->lock);

    return find(x, vm_uuid) != NULL;
}

void
vm_expected_remove(struct vm_expected *x, const char *vm_uuid)
{
    struct vm_expected_one *one;
    LK_GUARD(&x->lock);

    one = find(x, vm_uuid);
    if (one != NULL) {
        TAILQ_REMOVE(&expected_locked(x)->all, one, link);
        free(one);
    }
}
