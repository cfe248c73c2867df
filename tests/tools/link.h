/* SPDX-License-Identifier: BSD-3-Clause */
/* link.h - one NBD connection of a checking tool: connected with a deadline, and its
 * end judged. A handle belongs to one thread. */
#ifndef BATON_LINK_H
#define BATON_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libnbd.h>

/* Connect and negotiate. 0 and the caller owns *ret_nbd, or -errno with a sentence. */
int link_open(const char *uri, uint64_t deadline_ns, struct nbd_handle **ret_nbd,
              char *text, size_t size);

/* A failed call on nbd left a message: -ECONNRESET when the connection broke, which a
 * client has to expect, -EPROTO when the server broke the protocol (a reply to no
 * request, a second reply). The message goes to text. */
int link_judge(struct nbd_handle *nbd, char *text, size_t size);

/* The connection has ended. Ask after every call that sends: such a call may succeed
 * and yet leave the message of the end, which the next failing call overwrites. */
bool link_is_over(struct nbd_handle *nbd);

#endif
