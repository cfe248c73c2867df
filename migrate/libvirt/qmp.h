/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp.h - QEMU's monitor protocol on a unix socket: one command at a time, and the
 * events of devices, none of which is lost while another answer is waited for. One
 * thread. After an error that is not QEMU's own word the connection is spent.
 *
 * -ENOENT, -ECONNREFUSED from qmp_open(): nobody listens there. -ECONNRESET: QEMU has
 * closed the connection, as it does when it ends. -EREMOTEIO: QEMU refused the command,
 * and the sentence says why. -ETIMEDOUT. */
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

/* Wait for one of the two events of the device with this id: 0, and which it was. Those
 * of the time since qmp_open() count; each once. */
int qmp_await(struct qmp *q, const char *const events[2], const char *device,
              uint64_t deadline_ns, struct err *e, unsigned *ret_which);

#endif
