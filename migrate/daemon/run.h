/* SPDX-License-Identifier: BSD-3-Clause */
/* run.h - a service as a process: started, told to be ready, and ended by a signal. */
#ifndef BATON_RUN_H
#define BATON_RUN_H

#include "config.h"
#include "err.h"

struct service;

/* Start the service (service_new), log "ready", tell systemd if NOTIFY_SOCKET is set,
 * and take signals: SIGTERM, SIGINT and SIGQUIT stop the service in order and end the
 * process with its connections open, so that they break and their clients reconnect.
 * (nbdkit itself would answer pending requests with errors, which a VM sees as a failed
 * disk.) SIGHUP is noted in the log; those that mean nothing to us are ignored.
 * control_fd: a listening control socket, owned on success; -1: as cfg says. */
int run_service(const struct service_config *cfg, int control_fd, struct err *e,
                struct service **ret_service);

#endif
