/* SPDX-License-Identifier: BSD-3-Clause */
/* service_start.h - the beginning and the end of a service (service_*). */
#ifndef BATON_SERVICE_START_H
#define BATON_SERVICE_START_H

#include <stdint.h>

#include "config.h"
#include "err.h"

struct service;

/* Take the state directory, start every disk as its record says, open the control
 * socket (control_fd, owned on success; -1: none). cfg outlives the service, and its
 * TLS is the process's from now on. Threads start here. e says which disk or file is at
 * fault. */
int service_new(const struct service_config *cfg, int control_fd, struct err *e,
                struct service **ret_service);

/* Open cfg->net_control[i] too, on listen_fd (owned on success). */
int service_control_net(struct service *s, unsigned i, int listen_fd, struct err *e);

/* Stop serving by deadline_ns and let the device locks go; the process is to be ended
 * right after, without answering what is held (see disk_stop). */
void service_stop(struct service *s, uint64_t deadline_ns);

/* Of a service that has no thread any more, or never had one. */
void service_free(struct service *s);

#endif
