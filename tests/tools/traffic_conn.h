/* SPDX-License-Identifier: BSD-3-Clause */
/* traffic_conn.h - inside of traffic: one connection and its requests. traffic_op.c
 * chooses, sends and ends requests; traffic.c connects, waits and stops. */
#ifndef BATON_TRAFFIC_CONN_H
#define BATON_TRAFFIC_CONN_H

#include <stdatomic.h>

#include <libnbd.h>

#include "lock.h"
#include "traffic.h"

enum op_state {
    OP_IDLE,
    OP_SENT, /* the library has it */
    OP_DONE, /* replied, or given up by the library; see error */
    OP_LOST, /* to be sent again */
};

struct conn;

struct op {
    enum op_state state;
    enum traffic_op kind;
    int error;     /* what the library reported */
    bool is_again; /* not sent for the first time */
    struct hist_write write;
    struct hist_read read;
    uint64_t flush_began;
    uint64_t start_ns;
    unsigned char *buf; /* max_block bytes */
};

enum traffic_state {
    TRAFFIC_RUNNING,
    TRAFFIC_ENDING, /* nothing new is sent; what is in flight ends */
    TRAFFIC_FAILED, /* leave at once */
};

/* One phase. */
struct traffic {
    const struct traffic_params *params;
    enum traffic_phase phase;
    struct hist *h;
    uint64_t deadline_ns;
    _Atomic enum traffic_state state; /* relaxed: only says what to do next */
    atomic_uint_least64_t nr_started; /* relaxed: only counted */
    struct lk lock;                   /* leaf */
    struct cv ended;
    struct traffic_locked {
        unsigned running;
        int rc; /* of the first failure */
        struct traffic_report *report;
    } locked_; /* reach it only through traffic_locked() in traffic.c */
};

struct conn {
    struct traffic *t;
    unsigned index;
    unsigned attempt;       /* which URI is next */
    struct nbd_handle *nbd; /* or NULL */
    int why; /* 0, or a send has noticed the end: link_judge()'s answer */
    char why_text[1024];
    uint64_t rng;
    uint64_t align; /* sectors */
    bool can_fua, can_trim, can_zero, can_flush;
    uint64_t next;   /* FILL and VERIFY: the next sector */
    bool has_failed; /* some are OP_LOST because of an error reply */
    bool is_flushed; /* FILL: at the end; VERIFY: at the start */
    struct op *ops;
    unsigned nr_busy;
    struct traffic_report report; /* its own; merged at the end */
};

/* Ask a new connection what the disk can do. 0, or -errno with text when it does not
 * hold the working area. */
int traffic_op_learn(struct conn *c, char *text, size_t size);

/* Make op the next request of c and tell the history. 1, 0 when the phase has no more,
 * or -errno. */
int traffic_op_begin(struct conn *c, struct op *op);

/* Tell the history that op goes out once more. */
int traffic_op_again(struct conn *c, struct op *op);

/* Hand op to the library. It becomes OP_SENT, or OP_LOST when the connection is dead.
 */
void traffic_op_send(struct conn *c, struct op *op);

/* Write down what has happened to op, or with NULL to the connection. */
void traffic_op_note(const struct conn *c, const struct op *op, enum trail_what what);

/* Its reply has come: check it. 0 or -EILSEQ with text. */
int traffic_op_end(struct conn *c, struct op *op, char *text, size_t size);

#endif
