/* SPDX-License-Identifier: BSD-3-Clause */
/* port_fault.h - in front of another port: fails the n-th request, delays, or holds
 * requests that match until they are released. Forces interleavings in tests. */
#ifndef BATON_PORT_FAULT_H
#define BATON_PORT_FAULT_H

#include "port.h"

/* Takes ownership of inner on success. -ENOMEM. */
int port_fault_new(struct port *inner, struct port **ret_port);

/* Fail the n-th request from now on (1 = the next) with rc < 0; with for_ever also
 * every one after it. n = 0 switches faults off. Takes effect at once. */
void port_fault_fail_nth(struct port *p, uint64_t n, int rc, bool for_ever);

/* Has a fault been given out since the last port_fault_fail_nth()? */
bool port_fault_hit(struct port *p);

/* Hold every request of this operation that touches byte off, before it reaches inner,
 * under tag (static storage). At most 16 tags. */
void port_fault_hold(struct port *p, const char *tag, enum req_op op, uint64_t off);

/* Wait until a request is held under tag. 0 or -ETIMEDOUT. */
int port_fault_wait_held(struct port *p, const char *tag, uint64_t deadline_ns);

/* Let held requests of tag go, and later ones pass. rc = 0: they reach inner;
 * rc < 0: they return rc without reaching it. */
void port_fault_release(struct port *p, const char *tag, int rc);

/* Every request takes at least ns before it reaches inner (a slow device). */
void port_fault_delay(struct port *p, uint64_t ns);

#endif
