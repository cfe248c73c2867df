/* SPDX-License-Identifier: BSD-3-Clause */
/* group.h - writes chains across disks over NBD, in one thread, many slots at a time.
 */
#ifndef BATON_GROUP_H
#define BATON_GROUP_H

#include <stdint.h>

#include "err.h"
#include "order.h"

struct group_params {
    const char *const *uris; /* one for each disk */
    uint64_t run_ns;         /* or 0 */
    uint64_t timeout_ns;     /* the longest wait for a reply */
    uint64_t reconnect_ns;   /* 0: a broken connection is a fault */
    const char *stop_file;   /* or NULL */
    const char *ready_file;  /* or NULL; made when every slot holds counter 0 */
};

struct group_report {
    uint64_t writes;
    uint64_t rounds; /* chains that reached the last disk */
    uint64_t reconnects;
    uint64_t sent_again;
    uint64_t ns;
    uint64_t max_ns;
};

/* Write until the end; chains (o->nr_slots) says how far each came, also after a
 * failure. 0, or -errno with a sentence: -EILSEQ when the server was at fault. */
int group_run(const struct group_params *params, const struct order *o,
              struct order_chain *chains, struct group_report *report, struct err *e);

#endif
