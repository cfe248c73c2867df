/* SPDX-License-Identifier: BSD-3-Clause */
/* cut.h - inside of cutproxy: connections between the client of a route and its server,
 * and what is done to the bytes on their way. One thread; nothing blocks. */
#ifndef BATON_CUT_H
#define BATON_CUT_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/queue.h>

#include "cut_sniff.h"

#define CUT_MAX_ROUTES 16
#define CUT_MAX_CONNS 256

enum cut_side {
    CUT_CLIENT,
    CUT_SERVER,
};

enum cut_dir {
    CUT_UP,   /* from the client to the server */
    CUT_DOWN, /* from the server to the client */
    CUT_BOTH, /* only as an argument */
};

struct cut_route {
    char name[32];
    const char *connect;
    int fd;         /* listens */
    bool is_closed; /* whoever connects is hung up on at once */
};

/* One direction of a connection: a buffer that is filled, and emptied unless something
 * keeps it. When it is full its source has to wait. */
struct cut_pipe {
    unsigned char *buf;
    size_t len;
    uint64_t held_until_ns; /* 0: not held; CLOCK_NEVER: until released */
    uint64_t delay_ns;      /* 0: none */
    uint64_t due_ns;        /* of what is in the buffer, with a delay */
    uint64_t passed;        /* bytes that went on */
    uint64_t left;          /* bytes that may pass before it is cut; UINT64_MAX: all */
    bool is_ended;          /* its source sends no more */
    bool is_told;           /* and its sink knows */
};

struct cut_conn {
    unsigned id;
    struct cut_route *route;
    int fd[2]; /* by enum cut_side; -1: closed */
    struct cut_pipe pipe[2];
    struct pollfd *polled[2]; /* of this turn, or NULL */
    uint64_t answered;      /* bytes from the server since the client was hung up on */
    struct cut_sniff sniff; /* of what goes up */
    uint64_t linger_ns; /* an orphan that has sent all it had ends then; 0: not yet */
    TAILQ_ENTRY(cut_conn) link;
};

struct cut_counts {
    uint64_t connections, bytes, held, delayed, truncated, cut, orphaned, refused;
};

TAILQ_HEAD(cut_conns, cut_conn);

struct cut {
    struct cut_route routes[CUT_MAX_ROUTES];
    unsigned nr_routes;
    struct cut_conns conns; /* oldest first */
    unsigned nr_conns;
    unsigned next_id;
    size_t buf_size; /* of each direction of each connection */
    struct cut_counts counts;
};

#define CUT_TEXT 4096
#define CUT_REPLY (CUT_MAX_CONNS * (CUT_TEXT + 1024))

/* ": write 512+4096, ...": the requests that wait to go up, or nothing when there are
 * none that can be named. text has CUT_TEXT bytes; returned. */
const char *cut_waiting(const struct cut_conn *conn, char *text);

/* One line on standard output: when (seconds of the monotonic clock, as in the traces
 * of services), which connection (or NULL), what. */
void cut_say(const struct cut_conn *conn, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Take the connection that waits at the route. */
void cut_accept(struct cut *c, struct cut_route *r);

/* Add what the connection waits for to fds (room for 2); returns how many. *deadline_ns
 * becomes earlier when a hold or delay ends before it. */
unsigned cut_conn_prepare(struct cut_conn *conn, struct pollfd *fds,
                          uint64_t *deadline_ns);

/* Move what can be moved. Frees the connection when it is over. */
void cut_conn_run(struct cut *c, struct cut_conn *conn);

/* What can be done to one. dir may be CUT_BOTH but for truncate. */
void cut_hold(struct cut *c, struct cut_conn *conn, enum cut_dir dir,
              uint64_t until_ns);
void cut_release(struct cut_conn *conn); /* of all that was done to it */
void cut_delay(struct cut *c, struct cut_conn *conn, enum cut_dir dir, uint64_t ns);
void cut_truncate(struct cut *c, struct cut_conn *conn, enum cut_dir dir, uint64_t n);

/* Hang up on both sides at once; what was kept is lost. conn is gone. */
void cut_reset(struct cut *c, struct cut_conn *conn);

/* Hang up on the client only: what it had sent stays, and goes to the server when it is
 * released. What the server answers is thrown away. Later it ends by itself. */
void cut_orphan(struct cut *c, struct cut_conn *conn);

/* cut_command.c: do what a line says. The answer is one or more lines in reply, which
 * ends with a newline; false when the condition of a "wait" is not met yet. */
bool cut_command(struct cut *c, const char *line, char *reply, size_t size);

/* One accident that chance chooses. */
void cut_accident(struct cut *c, uint64_t *rng);
uint64_t cut_chance(uint64_t *rng, uint64_t below);

#endif
