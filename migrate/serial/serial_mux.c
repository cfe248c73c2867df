/* SPDX-License-Identifier: BSD-3-Clause */
/* A stream lives until both directions have ended or either side has closed it. Its
 * number is odd when the caller (serial_wire.h) opened it. Data that a socket does not
 * take at once is kept, at most a window of it; when the socket has taken it, the
 * sender gets the credit back. */
#include "serial_mux.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"
#include "clock.h"
#include "log.h"

#define WINDOW (256U * 1024)
#define CREDIT_STEP (WINDOW / 4)
#define CREDIT_LEN 4               /* a number of bytes, as a frame carries it */
#define REACH_NS (200 * NS_PER_MS) /* to connect; all streams wait meanwhile */

struct stream {
    int fd; /* -1: free */
    uint32_t id;
    uint32_t credit;   /* bytes that we may still send */
    uint32_t owed;     /* credit that we have not given back yet */
    bool is_read_out;  /* our socket has ended, and the other side was told */
    bool is_ending;    /* the other side's socket has ended */
    bool is_shut;      /* and our socket was told */
    unsigned char *rx; /* WINDOW bytes of kept data; NULL: none yet */
    size_t rx_pos, rx_end;
};

struct serial_mux {
    const struct serial_name *offers;
    unsigned nr_offers;
    bool is_up;
    uint32_t next_id;
    unsigned first; /* the stream that is served first, another one each time */
    struct wire wire;
    struct stream streams[SERIAL_MAX_STREAMS];
};

int
serial_mux_new(const struct serial_name *offers, unsigned nr_offers,
               struct serial_mux **ret_mux)
{
    struct serial_mux *m = calloc(1, sizeof *m);

    if (m == NULL) {
        return -ENOMEM;
    }
    m->offers = offers;
    m->nr_offers = nr_offers;
    for (unsigned i = 0; i < SERIAL_MAX_STREAMS; i++) {
        m->streams[i].fd = -1;
    }
    *ret_mux = m;
    return 0;
}

static void
drop(struct stream *s)
{
    (void)close(s->fd); /* data that it has not taken is of no use any more */
    free(s->rx);
    *s = (struct stream){.fd = -1};
}

static void
drop_all(struct serial_mux *m)
{
    for (unsigned i = 0; i < SERIAL_MAX_STREAMS; i++) {
        if (m->streams[i].fd >= 0) {
            drop(&m->streams[i]);
        }
    }
}

void
serial_mux_free(struct serial_mux *m)
{
    if (m != NULL) {
        drop_all(m);
        free(m);
    }
}

struct wire *
serial_mux_wire(struct serial_mux *m)
{
    return &m->wire;
}

static struct stream *
find(struct serial_mux *m, uint32_t id)
{
    for (unsigned i = 0; i < SERIAL_MAX_STREAMS; i++) {
        if (m->streams[i].fd >= 0 && m->streams[i].id == id) {
            return &m->streams[i];
        }
    }
    return NULL;
}

/* Takes fd. NULL: there are too many streams, and fd is closed. */
static struct stream *
add(struct serial_mux *m, uint32_t id, int fd)
{
    unsigned i = 0;
    int flags = fcntl(fd, F_GETFL);

    while (i < SERIAL_MAX_STREAMS && m->streams[i].fd >= 0) {
        i++;
    }
    if (i == SERIAL_MAX_STREAMS || flags < 0 ||
        fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        (void)close(fd); /* which tells the client */
        return NULL;
    }
    m->streams[i] = (struct stream){.fd = fd, .id = id, .credit = WINDOW};
    return &m->streams[i];
}

static void
close_stream(struct serial_mux *m, struct stream *s)
{
    wire_put(&m->wire, WIRE_CLOSE, s->id, NULL, 0);
    drop(s);
}

bool
serial_mux_may_open(const struct serial_mux *m)
{
    return !m->wire.is_talking || wire_has_room(&m->wire);
}

void
serial_mux_open(struct serial_mux *m, const char *name, int fd)
{
    struct stream *s;

    if (!m->wire.is_talking) {
        (void)close(fd); /* an accepted socket cannot be refused otherwise */
        return;
    }
    s = add(m, m->next_id, fd);
    if (s != NULL) {
        m->next_id += 2;
        wire_put(&m->wire, WIRE_OPEN, s->id, name, strlen(name));
    }
}

static int
reach(const struct serial_mux *m, const struct wire_frame *f, int *ret_fd)
{
    struct err e = {.msg = ""};
    int pid, rc;

    for (unsigned i = 0; i < m->nr_offers; i++) {
        const struct serial_name *n = &m->offers[i];

        if (strlen(n->name) == f->len && memcmp(n->name, f->data, f->len) == 0) {
            rc = uri_connect(&n->uri, clock_deadline_ns(REACH_NS), &e, ret_fd, &pid);
            if (rc < 0) {
                log_warn("the other side asked for %s: %s", n->name, err_text(&e, rc));
            }
            return rc;
        }
    }
    log_warn("the other side asked for something that is not offered here");
    return -ENOENT;
}

static void
answer_open(struct serial_mux *m, const struct wire_frame *f)
{
    bool is_theirs = (f->stream & 1) != (m->next_id & 1);
    int fd = -1;

    if (!is_theirs || find(m, f->stream) != NULL || reach(m, f, &fd) < 0 ||
        add(m, f->stream, fd) == NULL) {
        wire_put(&m->wire, WIRE_CLOSE, f->stream, NULL, 0);
    }
}

/* Have both directions ended, and was all data taken? */
static bool
is_over(const struct stream *s)
{
    return s->is_read_out && s->is_shut;
}

/* Give the socket what is kept for it, and after that the end, if it has come. */
static void
pass(struct serial_mux *m, struct stream *s)
{
    ssize_t n = 0;

    if (s->rx_pos < s->rx_end) {
        n = send(s->fd, s->rx + s->rx_pos, s->rx_end - s->rx_pos, MSG_NOSIGNAL);
    }
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        close_stream(m, s);
        return;
    }
    n = n > 0 ? n : 0;
    s->rx_pos += (size_t)n;
    s->owed += (uint32_t)n;
    if (s->owed >= CREDIT_STEP) {
        unsigned char credit[CREDIT_LEN];

        bytes_put_le32(credit, s->owed);
        wire_put(&m->wire, WIRE_CREDIT, s->id, credit, sizeof credit);
        s->owed = 0;
    }
    if (s->rx_pos == s->rx_end && s->is_ending && !s->is_shut) {
        (void)shutdown(s->fd, SHUT_WR); /* fails only when it is closed already */
        s->is_shut = true;
    }
    if (is_over(s)) {
        drop(s);
    }
}

/* Data beyond the window is a fault of the other side, and closes the stream. */
static void
take_data(struct serial_mux *m, struct stream *s, const struct wire_frame *f)
{
    size_t kept = s->rx_end - s->rx_pos;

    if (s->rx == NULL) {
        s->rx = malloc(WINDOW);
    }
    if (s->rx == NULL || kept + s->owed + f->len > WINDOW || s->is_ending) {
        close_stream(m, s);
        return;
    }
    if (s->rx_end + f->len > WINDOW || kept == 0) {
        memmove(s->rx, s->rx + s->rx_pos, kept);
        s->rx_pos = 0;
        s->rx_end = kept;
    }
    memcpy(s->rx + s->rx_end, f->data, f->len);
    s->rx_end += f->len;
    pass(m, s);
}

static void
take_credit(struct serial_mux *m, struct stream *s, const struct wire_frame *f)
{
    uint32_t n = f->len == CREDIT_LEN ? bytes_get_le32(f->data) : 0;

    if (n == 0 || n > WINDOW - s->credit) {
        close_stream(m, s);
        return;
    }
    s->credit += n;
}

static void
take(struct serial_mux *m, const struct wire_frame *f)
{
    struct stream *s = find(m, f->stream);

    if (f->type == WIRE_OPEN) {
        answer_open(m, f);
        return;
    }
    if (s == NULL) {
        return; /* we have closed the stream, and the other side did not know yet */
    }
    switch (f->type) {
    case WIRE_OPEN: /* was answered above */
        break;
    case WIRE_DATA:
        take_data(m, s, f);
        break;
    case WIRE_CREDIT:
        take_credit(m, s, f);
        break;
    case WIRE_END:
        s->is_ending = true;
        pass(m, s);
        break;
    case WIRE_CLOSE:
        drop(s);
        break;
    }
}

static void
begin(struct serial_mux *m)
{
    drop_all(m);
    m->next_id = m->wire.is_caller ? 1 : 2;
    m->is_up = true;
    log_info("the other side is there");
}

static void
end(struct serial_mux *m)
{
    drop_all(m);
    if (m->is_up) {
        log_info("the other side is gone");
    }
    m->is_up = false;
}

void
serial_mux_hear(struct serial_mux *m)
{
    struct wire_frame f;
    enum wire_event event;

    if (!m->wire.is_talking) {
        end(m);
    }
    while (wire_may_read(&m->wire) &&
           (event = wire_next(&m->wire, &f)) != WIRE_NOTHING) {
        if (event == WIRE_FRAME) {
            take(m, &f);
        } else if (event == WIRE_BEGUN) {
            begin(m);
        } else {
            end(m);
        }
    }
}

/* A socket from which nothing is wanted is left out, because one that has ended would
 * wake us at once, every time. */
void
serial_mux_prepare(struct serial_mux *m, struct pollfd *fds)
{
    for (unsigned i = 0; i < SERIAL_MAX_STREAMS; i++) {
        const struct stream *s = &m->streams[i];
        bool reads =
            s->fd >= 0 && !s->is_read_out && s->credit > 0 && wire_has_room(&m->wire);
        bool writes = s->fd >= 0 && s->rx_pos < s->rx_end && wire_may_read(&m->wire);

        fds[i].fd = reads || writes ? s->fd : -1;
        fds[i].events = (short)((reads ? POLLIN : 0) | (writes ? POLLOUT : 0));
        fds[i].revents = 0;
    }
}

static void
read_stream(struct serial_mux *m, struct stream *s)
{
    size_t len = s->credit < WIRE_MAX_DATA ? s->credit : WIRE_MAX_DATA;
    ssize_t n;

    if (!wire_has_room(&m->wire) || len == 0 || s->is_read_out) {
        return;
    }
    n = read(s->fd, wire_data_space(&m->wire), len);
    if (n > 0) {
        s->credit -= (uint32_t)n;
        wire_put_data(&m->wire, s->id, (size_t)n);
    } else if (n == 0) {
        s->is_read_out = true;
        wire_put(&m->wire, WIRE_END, s->id, NULL, 0);
    } else if (errno != EAGAIN && errno != EINTR) {
        close_stream(m, s);
        return;
    }
    if (is_over(s)) {
        drop(s);
    }
}

void
serial_mux_serve(struct serial_mux *m, const struct pollfd *fds)
{
    for (unsigned n = 0; n < SERIAL_MAX_STREAMS; n++) {
        unsigned i = (m->first + n) % SERIAL_MAX_STREAMS;
        struct stream *s = &m->streams[i];

        if (fds[i].revents == 0 || s->fd != fds[i].fd || !m->wire.is_talking) {
            continue;
        }
        if ((fds[i].events & POLLOUT) != 0) {
            pass(m, s);
        }
        if (s->fd == fds[i].fd && (fds[i].events & POLLIN) != 0) {
            read_stream(m, s);
        }
    }
    m->first++;
}
