/* SPDX-License-Identifier: BSD-3-Clause */
/* Streams: one thread per connection is the only one that uses its TLS session. It
 * carries bytes both ways between the connection (fd) and its end (far) of a socket
 * pair; the other end (near) is what rpc_* work with. All its waits are one poll().
 *
 * When the near end is closed or shut down, what was written to it is sent, a goodbye,
 * and the thread ends. When the other side of the connection says goodbye, the near end
 * reads an end of file; when the connection breaks, the near end is shut down. */
#include "tls.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "tls_session.h"

#define BUFFER 16384U /* a record of TLS */
#define LAST_WORDS_NS (1 * NS_PER_S)
#define STACK_SIZE (256U * 1024)

/* A silent peer's connection ends by itself, also one that owes us nothing. */
#define KEEPALIVE_IDLE_S 10
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_PROBES 2
#define DEAD_AFTER_MS 20000

struct half {
    size_t pos, end; /* bytes that were read and have to be written */
    bool is_eof;     /* nothing more to read */
    bool is_blocked; /* the last write did not take all */
    char buf[BUFFER];
};

struct tls_stream {
    struct tls_session tls;
    int fd; /* borrowed */
    int near, far;
    pthread_t thread;
    struct tls_peer peer;
    _Atomic int trouble;          /* an error of gnutls; relaxed: for people */
    _Atomic int alert;            /* with GNUTLS_E_FATAL_ALERT_RECEIVED */
    _Atomic enum urgency urgency; /* wanted; relaxed: it orders nothing */
    /* The thread's. */
    uint64_t last_words_ns;
    bool has_ended;
    struct half in, out;
};

static void
end_with(struct tls_stream *s, int n)
{
    if (n == GNUTLS_E_FATAL_ALERT_RECEIVED) {
        atomic_store_explicit(&s->alert, (int)gnutls_alert_get(s->tls.session),
                              memory_order_relaxed);
    }
    atomic_store_explicit(&s->trouble, n, memory_order_relaxed);
    s->has_ended = true;
}

static bool
is_temporary(ssize_t n)
{
    return n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED ||
           n == GNUTLS_E_WARNING_ALERT_RECEIVED;
}

/* Each of the next four returns whether it has got anything done. */
static bool
receive_tls(struct tls_stream *s)
{
    ssize_t n;

    if (s->in.pos < s->in.end || s->in.is_eof) {
        return false;
    }
    n = gnutls_record_recv(s->tls.session, s->in.buf, BUFFER);
    if (n > 0) {
        s->in.pos = 0;
        s->in.end = (size_t)n;
    } else if (n == 0) {
        s->in.is_eof = true;
        (void)shutdown(s->far, SHUT_WR); /* fails when it is shut down already */
    } else if (!is_temporary(n)) {
        end_with(s, (int)n);
    }
    return n >= 0;
}

static bool
send_tls(struct tls_stream *s)
{
    ssize_t n;

    if (s->out.pos == s->out.end) {
        return false;
    }
    n = gnutls_record_send(s->tls.session, s->out.buf + s->out.pos,
                           s->out.end - s->out.pos);
    s->out.is_blocked = is_temporary(n);
    if (n > 0) {
        s->out.pos += (size_t)n;
    } else if (!s->out.is_blocked) {
        end_with(s, (int)n);
    }
    return n > 0;
}

static bool
receive_plain(struct tls_stream *s)
{
    ssize_t n;

    if (s->out.pos < s->out.end || s->out.is_eof) {
        return false;
    }
    n = recv(s->far, s->out.buf, BUFFER, MSG_DONTWAIT);
    if (n > 0) {
        s->out.pos = 0;
        s->out.end = (size_t)n;
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        s->out.is_eof = true;
        s->last_words_ns = clock_deadline_ns(LAST_WORDS_NS);
    }
    return n >= 0;
}

static bool
send_plain(struct tls_stream *s)
{
    ssize_t n;

    if (s->in.pos == s->in.end) {
        return false;
    }
    n = send(s->far, s->in.buf + s->in.pos, s->in.end - s->in.pos,
             MSG_DONTWAIT | MSG_NOSIGNAL);
    s->in.is_blocked = n < 0 && (errno == EAGAIN || errno == EINTR);
    if (n > 0) {
        s->in.pos += (size_t)n;
    } else if (!s->in.is_blocked) {
        s->in.pos = s->in.end; /* nobody reads any more; what it wrote is still sent */
        s->in.is_eof = true;
    }
    return n > 0;
}

static void
wait_for_work(struct tls_stream *s)
{
    struct pollfd p[2] = {{.fd = s->fd}, {.fd = s->far}};

    p[0].events = (short)((s->in.pos == s->in.end && !s->in.is_eof ? POLLIN : 0) |
                          (s->out.is_blocked ? POLLOUT : 0));
    p[1].events = (short)((s->out.pos == s->out.end && !s->out.is_eof ? POLLIN : 0) |
                          (s->in.is_blocked ? POLLOUT : 0));
    for (unsigned i = 0; i < 2; i++) {
        p[i].fd =
            p[i].events != 0 ? p[i].fd : -1; /* a hang-up would wake us for ever */
    }
    if (poll(p, 2, clock_poll_ms(s->last_words_ns)) < 0 && errno != EINTR) {
        s->has_ended = true;
    }
    s->has_ended = s->has_ended || clock_now_ns() >= s->last_words_ns;
}

static void *
stream_main(void *opaque)
{
    struct tls_stream *s = opaque;
    enum urgency urgency = URGENCY_NORMAL;

    while (!s->has_ended && !(s->out.is_eof && s->out.pos == s->out.end)) {
        enum urgency wanted = atomic_load_explicit(&s->urgency, memory_order_relaxed);
        bool is_busy;

        if (wanted != urgency) {
            urgency = wanted;
            (void)urgency_set(urgency); /* what is not allowed is done without */
        }
        is_busy = receive_tls(s);
        is_busy |= send_plain(s);
        is_busy |= receive_plain(s);
        is_busy |= send_tls(s);
        if (!is_busy && !s->has_ended) {
            wait_for_work(s);
        }
    }
    (void)gnutls_bye(s->tls.session, GNUTLS_SHUT_WR); /* a courtesy */
    (void)shutdown(s->fd, SHUT_RDWR);
    (void)shutdown(s->far, SHUT_RDWR);
    return NULL;
}

static int
start_stream(struct tls_stream *s)
{
    pthread_attr_t attr;
    sigset_t all, old;
    int rc = pthread_attr_init(&attr);

    if (rc != 0) {
        return -rc;
    }
    rc = pthread_attr_setstacksize(&attr, STACK_SIZE);
    assert(rc == 0);
    (void)sigfillset(&all); /* cannot fail, nor can the next: signals are not for us */
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&s->thread, &attr, stream_main, s);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attr); /* cannot fail on Linux */
    return -rc;
}

static int
set_up_socket(int fd)
{
    const int on = 1, idle = KEEPALIVE_IDLE_S, interval = KEEPALIVE_INTERVAL_S,
              probes = KEEPALIVE_PROBES, dead = DEAD_AFTER_MS;
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        return -errno;
    }
    /* Not TCP in some tests: then there is nothing to set. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead, sizeof dead);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    return 0;
}

static void
drop(struct tls_stream *s)
{
    tls_session_done(&s->tls);
    if (s->near >= 0) {
        (void)close(s->near); /* the thread has ended: nothing is lost */
        (void)close(s->far);
    }
    free(s);
}

/* host NULL: as a server. */
static int
open_stream(const struct tls_settings *t, int fd, const char *host,
            uint64_t deadline_ns, struct err *e, struct tls_stream **ret_stream)
{
    struct tls_stream *s = calloc(1, sizeof *s);
    int pair[2], rc;

    if (s == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    s->fd = fd;
    s->near = s->far = -1;
    s->last_words_ns = CLOCK_NEVER;
    atomic_init(&s->urgency, host != NULL ? URGENCY_STALL : URGENCY_NORMAL);
    rc = tls_session_init(&s->tls, t, host, e);
    if (rc == 0 && (rc = set_up_socket(fd)) < 0) {
        (void)err_set(e, rc, "TLS: cannot set up the socket: %s", err_text(NULL, rc));
    }
    if (rc == 0) {
        rc = tls_session_handshake(&s->tls, fd, deadline_ns, e);
    }
    if (rc == 0) {
        tls_peer_read(s->tls.session, &s->peer);
        rc = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ? -errno : 0;
        if (rc == 0) {
            s->near = pair[0];
            s->far = pair[1];
            rc = start_stream(s);
        }
        if (rc < 0) {
            (void)err_set(e, rc, "TLS: %s", err_text(NULL, rc));
        }
    }
    if (rc < 0) {
        drop(s);
        return rc;
    }
    *ret_stream = s;
    return 0;
}

int
tls_accept(const struct tls_settings *t, int fd, uint64_t deadline_ns, struct err *e,
           struct tls_stream **ret_stream)
{
    return open_stream(t, fd, NULL, deadline_ns, e, ret_stream);
}

int
tls_connect(const struct tls_settings *t, int fd, const char *host,
            uint64_t deadline_ns, struct err *e, struct tls_stream **ret_stream)
{
    return open_stream(t, fd, host, deadline_ns, e, ret_stream);
}

void
tls_stream_set_urgency(struct tls_stream *s, enum urgency u)
{
    atomic_store_explicit(&s->urgency, u, memory_order_relaxed);
}

int
tls_stream_fd(const struct tls_stream *s)
{
    return s->near;
}

const struct tls_peer *
tls_stream_peer(const struct tls_stream *s)
{
    return &s->peer;
}

const char *
tls_stream_trouble(const struct tls_stream *s)
{
    int n = atomic_load_explicit(&s->trouble, memory_order_relaxed);

    if (n == GNUTLS_E_FATAL_ALERT_RECEIVED) {
        return gnutls_alert_get_name((gnutls_alert_description_t)atomic_load_explicit(
            &s->alert, memory_order_relaxed));
    }
    return n < 0 && n != GNUTLS_E_PREMATURE_TERMINATION ? gnutls_strerror(n) : NULL;
}

void
tls_stream_close(struct tls_stream *s)
{
    int rc;

    if (s == NULL) {
        return;
    }
    (void)shutdown(s->near, SHUT_RDWR); /* fails when the thread has done it */
    rc = pthread_join(s->thread, NULL);
    assert(rc == 0);
    drop(s);
}
