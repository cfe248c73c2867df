/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp.h - QEMU's monitor protocol on a unix socket: one command at a time, and the
 * events of devices. Events that come while an answer is awaited are kept. One thread.
 *
 * -ENOENT, -ECONNREFUSED from qmp_open(): nobody listens there. -ECONNRESET: QEMU has
 * closed the connection, as it does when it ends. -EREMOTEIO: QEMU refused the command,
 * and the sentence says why. After any other error, such as -ETIMEDOUT, the connection
 * can only be closed. */
#ifndef BATON_QMP_H
#define BATON_QMP_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "err.h"

struct qmp;

int qmp_open(const char *path, uint64_t deadline_ns, struct err *e, struct qmp **ret_q);
void qmp_close(struct qmp *q); /* NULL is fine */

/* Steals args (NULL: none). ret_result may be NULL. */
int qmp_call(struct qmp *q, const char *command, json_t *args, uint64_t deadline_ns,
             struct err *e, json_t **ret_result);

/* Wait for one of two events of the device with this id. 0: *ret_which is its index.
 * Events since qmp_open() count, each once. */
int qmp_await(struct qmp *q, const char *const events[2], const char *device,
              uint64_t deadline_ns, struct err *e, unsigned *ret_which);

#endif
