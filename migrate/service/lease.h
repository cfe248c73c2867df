/* SPDX-License-Identifier: BSD-3-Clause */
/* lease.h - who may write to a disk: the VMs that the owner has let have it. NBD knows
 * no lock, and libvirt takes a network disk for safe: it starts a second VM with it on
 * another host without a word.
 *
 * The owner keeps the list, durably, and hands it on in PREPARE. It is asked by the
 * service where a VM is about to be started (vm.coming), before the VM is announced
 * there. No clock ends a lease: before a VM is refused because of
 * another one, the service of that one is asked whether it has it still. So a VM whose
 * end nobody told of stands in no one's way; but if that service does not answer, a
 * person decides ("baton lease DISK --release").
 *
 * The same VM on two hosts: only when libvirt has announced a migration to the second
 * one (vm_expected.h). Two VMs: only when both share the disk.
 *
 * Here is the list (leases_*); owner/lease_take.h asks, owner/lease_grant.h
 * decides. Any thread. */
#ifndef BATON_LEASE_H
#define BATON_LEASE_H

#include <jansson.h>

#include "lock.h"
#include "record.h"
#include "record_vm.h"

struct disk;

/* In place of a domain's UUID: the NBD clients of a service of which libvirt has said
 * nothing (writers.h). */
#define LEASE_CLIENTS "clients"

struct lease {
    char vm_uuid[37];
    char vm[RECORD_VM_NAME_LEN]; /* for people */
    char id[37];                 /* of the service that the VM uses */
    char service[NAME_MAX_LEN + 1];
    char control[RECORD_URI_LEN]; /* of that, as the owner reaches it */
    bool is_shared;
    uint64_t taken; /* on a list: tells it from one of the same VM before */
};

struct leases {
    struct lk save_lock; /* outermost: one writes the file; held over file I/O */
    struct lk lock;      /* leaf */
    struct leases_locked {
        unsigned nr;
        struct lease *all;
        uint64_t nr_taken; /* ever */
    } locked_;
};

/* What the disk's file says, or nobody; before the first client. */
void leases_open(struct disk *d);
void leases_close(struct disk *d);

/* What is known of who takes a lease. */
enum lease_how {
    LEASE_START,    /* it is about to be started */
    LEASE_EXPECTED, /* the same, by a migration that was announced */
    LEASE_RUNS, /* it runs already: the owner is a new one and has not heard of it */
};

/* [{vm_uuid, vm, id, service, control, shared}], and taking such a list over. */
json_t *lease_list(struct disk *d);
void lease_adopt(struct disk *d, const json_t *list);

/* Nobody has d any more; of one VM when vm_uuid is not NULL, at one service when id is
 * not. Returns how many there were. */
unsigned lease_drop(struct disk *d, const char *vm_uuid, const char *id);

/* Put l on the list, unless another one keeps it out: -EPERM and *ret_has. A new one is
 * to be kept by lease_save(), without a lock. */
int lease_try_add(struct disk *d, const struct lease *l, enum lease_how how,
                  struct lease *ret_has, bool *ret_is_new);
/* Keep the list over a restart; what cannot be kept is still known until then. */
void lease_save(struct disk *d);

/* What is on the list for l's VM at l's service; false: nothing. */
bool lease_find(struct disk *d, const struct lease *l, struct lease *ret_has);
/* Take has, which was on the list, from it, unless it was taken again since. */
void lease_end(struct disk *d, const struct lease *has);
json_t *lease_to_json(const struct lease *l);
bool lease_from_json(const json_t *j, struct lease *ret_l);

#endif
