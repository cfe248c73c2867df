/* SPDX-License-Identifier: BSD-3-Clause */
/* traffic.h - drives requests over several connections, several in flight on each, and
 * tells the history of each. One thread for each connection. */
#ifndef BATON_TRAFFIC_H
#define BATON_TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "history.h"
#include "latency.h"
#include "trail.h"

enum traffic_phase {
    TRAFFIC_FILL,   /* write every sector once, then flush */
    TRAFFIC_RANDOM, /* until time, count or stop file end it */
    TRAFFIC_VERIFY, /* flush, then read every sector once */
};

enum traffic_op {
    TRAFFIC_READ,
    TRAFFIC_WRITE,
    TRAFFIC_WRITE_FUA,
    TRAFFIC_FLUSH,
    TRAFFIC_TRIM,
    TRAFFIC_ZERO,
    TRAFFIC_ZERO_NO_HOLE,
    TRAFFIC_NR_OPS,
};

struct traffic_params {
    const char *const
        *uris; /* ways to the same disk; connection i starts with i % nr */
    unsigned nr_uris;
    unsigned connections;
    unsigned depth;
    uint32_t min_block, max_block; /* bytes, multiples of a sector */
    uint64_t seed;
    uint64_t offset;       /* of the working area, bytes */
    uint64_t max_ops;      /* or 0 */
    uint64_t run_ns;       /* or 0 */
    uint64_t timeout_ns;   /* a request without a reply for so long is a violation */
    uint64_t reconnect_ns; /* keep trying for so long; 0: a broken connection ends it */
    const char *stop_file; /* or NULL */
    struct trail *trail;   /* or NULL: nobody wants it */
    bool no_trim, no_zero;
    bool is_break_end;     /* a broken connection ends the phase without a violation */
    bool is_error_retried; /* EIO is no violation: the request is sent again */
    FILE *slow;            /* NULL, or gets a line for each request above: */
    uint64_t slow_ns;
};

struct traffic_report {
    uint64_t ops[TRAFFIC_NR_OPS];
    uint64_t bytes;
    uint64_t reconnects;
    uint64_t sent_again;
    uint64_t errors; /* replies, see is_error_retried */
    uint64_t ns;
    struct latency latency;
    bool is_broken;       /* is_break_end, and a connection broke */
    char violation[4096]; /* "" when there was none */
};

const char *traffic_op_name(enum traffic_op op);

/* Run a phase to its end and add to *report. 0 or -errno; a violation is -EILSEQ. */
int traffic_run(const struct traffic_params *params, enum traffic_phase phase,
                struct hist *h, struct traffic_report *report);

#endif
