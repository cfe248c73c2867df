/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "cut.h"

#define LINGER_NS (5 * NS_PER_S) /* the server may want to answer */

static const char *const dir_names[] = {"up", "down", "both ways"};

void
cut_say(const struct cut_conn *conn, const char *fmt, ...)
{
    va_list args;

    (void)printf("%8.6f ", (double)clock_now_ns() / 1e9);
    if (conn != NULL) {
        (void)printf("#%u %s: ", conn->id, conn->route->name);
    }
    va_start(args, fmt);
    (void)vprintf(fmt, args);
    va_end(args);
    (void)printf("\n");
    (void)fflush(stdout);
}

const char *
cut_waiting(const struct cut_conn *conn, char *text)
{
    memcpy(text, ": ", 3);
    cut_sniff_text(&conn->sniff, conn->pipe[CUT_UP].passed, text + 2, CUT_TEXT - 2);
    if (text[2] == '\0') {
        text[0] = '\0';
    }
    return text;
}

static int
connect_to(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -1;
    }
    (void)snprintf(addr.sun_path, sizeof addr.sun_path, "%s", path);
    if (connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static void
free_conn(struct cut *c, struct cut_conn *conn)
{
    for (unsigned side = 0; side < 2; side++) {
        if (conn->fd[side] >= 0) {
            (void)close(conn->fd[side]); /* what was not sent is to be lost */
        }
        free(conn->pipe[side].buf);
    }
    TAILQ_REMOVE(&c->conns, conn, link);
    c->nr_conns--;
    free(conn);
}

static struct cut_conn *
new_conn(struct cut *c, struct cut_route *r)
{
    struct cut_conn *conn = calloc(1, sizeof *conn);

    if (conn == NULL) {
        return NULL;
    }
    conn->route = r;
    for (unsigned i = 0; i < 2; i++) {
        conn->fd[i] = -1;
        conn->pipe[i].left = UINT64_MAX;
        conn->pipe[i].buf = malloc(c->buf_size);
        if (conn->pipe[i].buf == NULL) {
            free(conn->pipe[0].buf);
            free(conn);
            return NULL;
        }
    }
    conn->id = ++c->next_id;
    TAILQ_INSERT_TAIL(&c->conns, conn, link);
    c->nr_conns++;
    return conn;
}

void
cut_accept(struct cut *c, struct cut_route *r)
{
    int client = accept4(r->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int server;
    struct cut_conn *conn;

    if (client < 0) {
        return; /* it has gone again */
    }
    server = r->is_closed || c->nr_conns == CUT_MAX_CONNS ? -1 : connect_to(r->connect);
    conn = server < 0 ? NULL : new_conn(c, r);
    if (conn == NULL) {
        (void)close(client);
        if (server >= 0) {
            (void)close(server);
        }
        c->counts.refused++;
        return;
    }
    conn->fd[CUT_CLIENT] = client;
    conn->fd[CUT_SERVER] = server;
    c->counts.connections++;
    cut_say(conn, "connected");
}

static bool
is_kept(const struct cut_pipe *p, uint64_t now_ns)
{
    return now_ns < p->held_until_ns || (p->delay_ns > 0 && now_ns < p->due_ns);
}

static void
be_earlier(uint64_t *deadline_ns, uint64_t ns)
{
    *deadline_ns = ns < *deadline_ns ? ns : *deadline_ns;
}

unsigned
cut_conn_prepare(struct cut_conn *conn, struct pollfd *fds, uint64_t *deadline_ns)
{
    uint64_t now_ns = clock_now_ns();
    unsigned nr = 0;
    short events[2] = {0, 0};

    for (unsigned dir = 0; dir < 2; dir++) {
        const struct cut_pipe *p = &conn->pipe[dir];

        if (!p->is_ended) {
            events[dir] |= POLLIN;
        }
        if (p->len > 0 && is_kept(p, now_ns)) {
            be_earlier(deadline_ns,
                       now_ns < p->held_until_ns ? p->held_until_ns : p->due_ns);
        } else if (p->len > 0) {
            events[1 - dir] |= POLLOUT;
        }
    }
    if (conn->linger_ns != 0) {
        be_earlier(deadline_ns, conn->linger_ns);
    } else if (conn->fd[CUT_CLIENT] < 0) { /* it may be an empty one that is kept */
        be_earlier(deadline_ns, conn->pipe[CUT_UP].held_until_ns);
    }
    for (unsigned side = 0; side < 2; side++) {
        conn->polled[side] = NULL;
        /* A source that has to wait is not listened to, not even for its end: a full
         * pipe would make poll() return for ever. */
        if (conn->fd[side] >= 0 && events[side] != 0) {
            conn->polled[side] = &fds[nr];
            fds[nr++] = (struct pollfd){.fd = conn->fd[side], .events = events[side]};
        }
    }
    return nr;
}

/* From the source into the pipe. False when the connection broke. */
static bool
fill(struct cut *c, struct cut_conn *conn, unsigned dir)
{
    struct cut_pipe *p = &conn->pipe[dir];
    unsigned char waste[4096];
    bool is_orphan = conn->fd[CUT_CLIENT] < 0;
    ssize_t n;

    if (p->is_ended || conn->fd[dir] < 0 || (p->len == c->buf_size && !is_orphan)) {
        return true;
    }
    n = is_orphan ? read(conn->fd[dir], waste, sizeof waste)
                  : read(conn->fd[dir], p->buf + p->len, c->buf_size - p->len);
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    if (n == 0) {
        p->is_ended = true;
        return true;
    }
    if (is_orphan) {
        conn->answered += (uint64_t)n;
    } else {
        bool was_named = conn->sniff.name[0] != '\0';

        if (p->len == 0) {
            p->due_ns = clock_deadline_ns(p->delay_ns);
        }
        if (dir == CUT_UP) {
            cut_sniff(&conn->sniff, p->buf + p->len, (size_t)n);
        }
        if (!was_named && conn->sniff.name[0] != '\0') {
            cut_say(conn, "asks for %s", conn->sniff.name);
        }
        p->len += (size_t)n;
    }
    return true;
}

/* From the pipe to its sink. False when the connection broke, or is to break. */
static bool
drain(struct cut *c, struct cut_conn *conn, unsigned dir)
{
    struct cut_pipe *p = &conn->pipe[dir];
    char text[CUT_TEXT];
    int sink = conn->fd[1 - dir];
    size_t most = p->len < p->left ? p->len : p->left;
    ssize_t n = 0;

    if (is_kept(p, clock_now_ns()) || sink < 0) {
        return true;
    }
    if (most > 0) {
        n = send(sink, p->buf, most, MSG_NOSIGNAL);
        if (n < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        p->len -= (size_t)n;
        p->passed += (uint64_t)n;
        memmove(p->buf, p->buf + n, p->len);
        c->counts.bytes += (uint64_t)n;
    }
    if (p->left != UINT64_MAX) {
        p->left -= (uint64_t)n;
        if (p->left == 0) {
            cut_say(conn, "cut in the middle of what goes %s, %zu bytes lost%s",
                    dir_names[dir], p->len, cut_waiting(conn, text));
            return false;
        }
    }
    if (p->is_ended && p->len == 0 && !p->is_told && conn->fd[CUT_CLIENT] >= 0) {
        p->is_told = true;
        (void)shutdown(sink, SHUT_WR); /* it may be gone already */
    }
    return true;
}

/* It is not told that its client has gone: that would make it drop what has just come.
 */
static bool
orphan_is_alive(struct cut_conn *conn)
{
    const struct cut_pipe *p = &conn->pipe[CUT_UP];
    uint64_t now_ns = clock_now_ns();

    if (p->len == 0 && !is_kept(p, now_ns) && conn->linger_ns == 0) {
        conn->linger_ns = clock_deadline_ns(LINGER_NS);
    }
    return !conn->pipe[CUT_DOWN].is_ended &&
           (conn->linger_ns == 0 || now_ns < conn->linger_ns);
}

void
cut_conn_run(struct cut *c, struct cut_conn *conn)
{
    bool is_alive = true;

    for (unsigned dir = 0; dir < 2 && is_alive; dir++) {
        const struct pollfd *pfd = conn->polled[dir];

        if (pfd != NULL && (pfd->revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
            is_alive = fill(c, conn, dir);
        }
    }
    for (unsigned dir = 0; dir < 2 && is_alive; dir++) {
        is_alive = drain(c, conn, dir);
    }
    if (is_alive && conn->fd[CUT_CLIENT] < 0) {
        is_alive = orphan_is_alive(conn);
    } else if (is_alive) {
        is_alive = !conn->pipe[CUT_UP].is_told || !conn->pipe[CUT_DOWN].is_told;
    }
    if (!is_alive) {
        cut_say(conn, "ended");
        free_conn(c, conn);
    }
}

void
cut_hold(struct cut *c, struct cut_conn *conn, enum cut_dir dir, uint64_t until_ns)
{
    for (unsigned i = 0; i < 2; i++) {
        if (dir == CUT_BOTH || i == dir) {
            conn->pipe[i].held_until_ns = until_ns;
        }
    }
    c->counts.held++;
    cut_say(conn, "held %s", dir_names[dir]);
}

void
cut_release(struct cut_conn *conn)
{
    char text[CUT_TEXT];

    cut_say(conn, "released with %zu bytes up, %zu down%s", conn->pipe[CUT_UP].len,
            conn->pipe[CUT_DOWN].len, cut_waiting(conn, text));
    for (unsigned i = 0; i < 2; i++) {
        conn->pipe[i].held_until_ns = 0;
        conn->pipe[i].delay_ns = 0;
        conn->pipe[i].left = UINT64_MAX;
    }
}

void
cut_delay(struct cut *c, struct cut_conn *conn, enum cut_dir dir, uint64_t ns)
{
    for (unsigned i = 0; i < 2; i++) {
        if (dir == CUT_BOTH || i == dir) {
            conn->pipe[i].delay_ns = ns;
            conn->pipe[i].due_ns = clock_deadline_ns(ns);
        }
    }
    c->counts.delayed++;
    cut_say(conn, "delayed %s by %" PRIu64 " ms", dir_names[dir], ns / NS_PER_MS);
}

void
cut_truncate(struct cut *c, struct cut_conn *conn, enum cut_dir dir, uint64_t n)
{
    conn->pipe[dir].left = n;
    c->counts.truncated++;
    cut_say(conn, "to be cut after %" PRIu64 " more bytes %s", n, dir_names[dir]);
}

void
cut_reset(struct cut *c, struct cut_conn *conn)
{
    char text[CUT_TEXT];

    c->counts.cut++;
    cut_say(conn, "cut, %zu bytes lost up, %zu down%s", conn->pipe[CUT_UP].len,
            conn->pipe[CUT_DOWN].len, cut_waiting(conn, text));
    free_conn(c, conn);
}

void
cut_orphan(struct cut *c, struct cut_conn *conn)
{
    char text[CUT_TEXT];

    if (conn->fd[CUT_CLIENT] < 0) {
        return;
    }
    (void)close(conn->fd[CUT_CLIENT]); /* that is the point */
    conn->fd[CUT_CLIENT] = -1;
    conn->pipe[CUT_UP].is_ended = true;
    conn->pipe[CUT_DOWN].len = 0;
    c->counts.orphaned++;
    cut_say(conn, "client hung up on, %zu bytes kept for the server%s",
            conn->pipe[CUT_UP].len, cut_waiting(conn, text));
}
