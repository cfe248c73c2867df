/* SPDX-License-Identifier: BSD-3-Clause */
/* hook_config.h - /etc/baton/hook.conf, or the file that $BATON_HOOK_CONF names: lines
 * "key = value", empty lines, and comments, which begin with '#'. The keys (* may be
 * repeated):
 *   control*  URI of a service of this host
 *   socket*   PATH where one of them listens. Without this key the services are asked
 *             about every NBD disk on a unix socket
 *   peer*     control URI of a service that may own the disks, or know which one does
 *   map*      FROM TO: a domain that comes with the socket FROM gets TO
 *   timeout   how long libvirtd may be held up (2s)
 *   policy    late: ownership follows the domain; early: it goes first */
#ifndef BATON_HOOK_CONFIG_H
#define BATON_HOOK_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "uri.h"

#define HOOK_MAX 8 /* of each key that may repeat */
#define HOOK_PATH_LEN 108

struct hook_config {
    unsigned nr_controls, nr_sockets, nr_peers, nr_maps;
    struct uri controls[HOOK_MAX];
    char sockets[HOOK_MAX][HOOK_PATH_LEN];
    struct uri peers[HOOK_MAX];
    struct {
        char from[HOOK_PATH_LEN], to[HOOK_PATH_LEN];
    } maps[HOOK_MAX];
    uint64_t timeout_ns;
    bool is_early;
};

/* -EINVAL and a sentence with the file's name and the line; -ENOENT or another errno if
 * the file cannot be opened. */
int hook_config_load(const char *path, struct err *e, struct hook_config *ret_c);

#endif
