/* SPDX-License-Identifier: BSD-3-Clause */
/* fuzz_service.h - a service with three small disks, in this process and in a folder of
 * its own; what it says of itself, to be compared; and a way to begin anew. */
#ifndef BATON_TESTS_FUZZ_SERVICE_H
#define BATON_TESTS_FUZZ_SERVICE_H

#include <stdbool.h>

#include "config.h"
#include "record.h"
#include "redirector.h"
#include "service.h"
#include "service_start.h"

#define FUZZ_PEER "unix:/baton-fuzz/nobody" /* nobody listens there */
#define FUZZ_NR_DISKS 3                     /* a and b are owned and of vm v; c waits */

struct fuzz_snapshot {
    bool is_claimed;
    struct fuzz_disk {
        struct record record;
        enum redir_state state;
        bool is_prepared;
        uint64_t refused_epoch;
    } disks[FUZZ_NR_DISKS];
};

struct fuzz_service {
    char dir[64];
    struct service_config config;
    struct service *service;
    struct fuzz_snapshot fresh; /* what a service says that has just been started */
};

/* The folder goes away with the process. */
void fuzz_service_start(struct fuzz_service *f);
void fuzz_service_restart(struct fuzz_service *f);

/* Every byte of *ret_snapshot is written, so that memcmp(3) compares two. */
void fuzz_service_look(struct fuzz_service *f, struct fuzz_snapshot *ret_snapshot);

#endif
