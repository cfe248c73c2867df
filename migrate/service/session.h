/* SPDX-License-Identifier: BSD-3-Clause */
/* session.h - the owner's side of the channel: which client's session may send requests
 * to a disk. A session is one life of a client's channel; it may have several
 * connections ("lanes"). A newer session of a client fences the older ones: they take
 * no new request, and what they had begun has ended, before the newer one is served.
 * Otherwise a delayed request of a broken connection could land after its own retry
 * and after a newer write. For the same reason giving the disk away fences all sessions
 * there are: what they had not done may be done at the next owner, and written over.
 *
 * Functions may be called on any thread. */
#ifndef BATON_SESSION_H
#define BATON_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "redirector.h"

struct session_table;
struct session;

/* id names the disk in errors. -ENOMEM. */
int session_table_new(const char *id, struct redir *r, struct session_table **ret_t);
void session_table_free(struct session_table *t); /* no session is open; NULL is fine */

/* From now on serve channels that ask for epoch, and no others. It is later than any
 * that was served before: what was given away comes back at a later one, also if the
 * next owner says that it never had it. It may have forgotten that, so no session from
 * before may be served any more. The gate is closed: requests of earlier epochs that
 * are still under way are sent back before this returns. */
void session_table_open(struct session_table *t, uint64_t epoch);

/* Admit connections that ask for this epoch too, but none of their requests yet: an
 * owner to be has its channels connected before it owns. 0: none. */
void session_table_expect(struct session_table *t, uint64_t epoch);

/* Serve nobody: every request of every session there is returns -ESTALE, for good, also
 * those that are queued at the redirector or on their way there. These are waited for
 * for a moment, and for certain before the table is open again. The gate is closed, and
 * no port has anything in flight. */
void session_table_close(struct session_table *t);

/* Admit a connection. Fences older sessions of client first and waits for what they had
 * begun, until deadline_ns. A number as high as the newest joins that session.
 * -ESTALE: session is older than the newest of this client, or the epoch is not served;
 * -ERANGE: the number is so high that it could only lock the client out;
 * -ETIMEDOUT: the older session's requests have not ended. e says which. */
int session_open(struct session_table *t, const char *client, uint64_t number,
                 uint64_t epoch, uint64_t deadline_ns, struct err *e,
                 struct session **ret_s);
void session_close(struct session *s);

/* How many sessions have a connection; about as many as there are clients. Those of the
 * client `except` do not count. */
unsigned session_table_nr_connected(struct session_table *t, const char *except);

/* What is known of a session; for people. */
struct session_facts {
    char client[64];
    uint64_t number, epoch;
    uint64_t in_flight;
    unsigned nr_lanes; /* its connections */
    bool is_fenced;
};

/* All there are, oldest first. The caller frees *ret_all. -ENOMEM. */
int session_table_list(struct session_table *t, struct session_facts **ret_all,
                       unsigned *ret_nr);

/* Perform rq. -ESTALE: not performed, the session is fenced or the disk is not served
 * here any more. */
int session_submit(struct session *s, const struct req *rq);

#endif
