/* SPDX-License-Identifier: BSD-3-Clause */
/* channel_fixture.h - a channel and a server for it, of 4 MiB, for the channel's tests.
 */
#ifndef BATON_CHANNEL_FIXTURE_H
#define BATON_CHANNEL_FIXTURE_H

#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

#include <check.h>

#include "nbd_rig.h"
#include "port_channel.h"

#define ALL_CAPS                                                                       \
    (PORT_CAN_WRITE | PORT_CAN_FLUSH | PORT_CAN_FUA | PORT_CAN_TRIM | PORT_CAN_ZERO |  \
     PORT_CAN_FAST_ZERO | PORT_CAN_EXTENTS | PORT_CAN_CACHE)

static _Atomic uint64_t links;
/* Of the next channel; none of it means to keep all there is to keep. */
static struct {
    enum channel_durability durability;
    const char *here;
    uint64_t keep_bytes;
    bool (*has_vm)(void *opaque, uint64_t vm);
    void *has_vm_opaque;
} policy;
static struct channel_unflushed_count kept;
static const _Atomic unsigned *clients; /* of the next channel */

static inline void
new_channel(unsigned lanes, const char *first, const char *second)
{
    const struct port_channel_opts opts = {.uris = {first, second},
                                           .nr_uris = second != NULL ? 2 : 1,
                                           .lanes = lanes,
                                           .uuid =
                                               "0f3f1c9e-58a2-4f6e-9d4c-7a1f0f6b2c11",
                                           .epoch = 2,
                                           .right = "0123456789abcdef0123456789abcdef",
                                           .client = "test",
                                           .next_link = &links,
                                           .durability = policy.durability,
                                           .here = policy.here,
                                           .keep_bytes = policy.keep_bytes,
                                           .unflushed = &kept,
                                           .has_vm = policy.has_vm,
                                           .has_vm_opaque = policy.has_vm_opaque,
                                           .clients = clients,
                                           .info = {.size = 4 * MIB,
                                                    .min_block = 1,
                                                    .pref_block = 4096,
                                                    .max_block = UINT32_MAX,
                                                    .caps = ALL_CAPS}};

    ck_assert_int_eq(port_channel_new(&opts, &port), 0);
}

/* A server over server.file, which has a file's memory: it can be killed and started.
 */
static inline void
start_file_server(void)
{
    const char *const args[] = {"file", server.file, NULL};
    int fd = open(server.file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    ck_assert_int_eq(ftruncate(fd, 4 * MIB), 0);
    close(fd);
    nbdkit_server_start(&server, args);
}

#endif
