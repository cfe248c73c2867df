/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections and their threads.
 *
 * One thread accepts. Each connection has a slot and a thread. A connection's thread
 * takes its fd out of the slot before closing it, so that rpc_server_free(), which
 * shuts down what it finds in the slots, never touches a number that means something
 * else by then. The accepting thread joins what has finished; wake_fd tells it to look.
 *
 * rpc_server_free() must not be called by a handler: it waits for them. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "lock.h"
#include "rpc.h"
#include "rpc_conn.h"
#include "urgency.h"

/* Handlers have the records of a group on it, 64 times 7 KiB. Address space, not
 * memory: untouched pages cost nothing. */
#define STACK_SIZE (4U * 1024 * 1024)
#define SHORT_OF_FDS_PAUSE_MS 100

enum slot_state { SLOT_FREE, SLOT_RUNNING, SLOT_FINISHED };

struct rpc_server {
    int listen_fd;
    int wake_fd; /* eventfd */
    const struct rpc_method *methods;
    void *ctx;
    rpc_admit admit; /* NULL: clients are local, and have no names */
    pthread_t acceptor;
    /* Used by the acceptor; after its end by rpc_server_free(). */
    pthread_t threads[RPC_MAX_CONNECTIONS];
    struct conn_arg {
        struct rpc_server *server;
        unsigned i;
    } args[RPC_MAX_CONNECTIONS]; /* constant */
    struct lk lock; /* leaf: nothing that can block is called while holding it */
    struct rpc_server_locked {
        bool is_stopping;
        enum slot_state states[RPC_MAX_CONNECTIONS];
        int fds[RPC_MAX_CONNECTIONS]; /* valid while RUNNING */
    } locked_;
};

static struct rpc_server_locked *server_locked(struct rpc_server *s)
    LK_REQUIRES(s->lock);

static struct rpc_server_locked *
server_locked(struct rpc_server *s)
{
    return &s->locked_;
}

static void
wake(struct rpc_server *s)
{
    int rc = eventfd_write(s->wake_fd, 1);

    assert(rc == 0); /* fails only when the counter is full */
}

static bool
is_stopping(struct rpc_server *s)
{
    LK_GUARD(&s->lock);
    return server_locked(s)->is_stopping;
}

static int
finish_slot(struct rpc_server *s, unsigned i)
{
    LK_GUARD(&s->lock);
    struct rpc_server_locked *l = server_locked(s);

    l->states[i] = SLOT_FINISHED;
    return TAKE_FD(l->fds[i]);
}

static void
serve(struct rpc_server *s, int fd)
{
    const struct rpc_service service = {
        .methods = s->methods, .ctx = s->ctx, .admit = s->admit};

    if (s->admit != NULL) {
        rpc_conn_serve_net(fd, &service);
    } else {
        rpc_conn_serve(fd, &service);
    }
}

static void *
connection_main(void *opaque)
{
    struct conn_arg *arg = opaque;
    struct rpc_server *s = arg->server;
    int fd;

    if (s->admit == NULL) { /* others have to say first who they are */
        (void)urgency_set(URGENCY_CONTROL);
    }
    lk_acquire(&s->lock);
    fd = server_locked(s)->fds[arg->i];
    lk_release(&s->lock);
    serve(s, fd);
    fd = finish_slot(s, arg->i);
    (void)close(fd); /* the reply was sent or will never be */
    wake(s);
    return NULL;
}

static enum slot_state
slot_state(struct rpc_server *s, unsigned i)
{
    LK_GUARD(&s->lock);
    return server_locked(s)->states[i];
}

static void
set_slot(struct rpc_server *s, unsigned i, enum slot_state state, int fd)
{
    LK_GUARD(&s->lock);
    server_locked(s)->states[i] = state;
    server_locked(s)->fds[i] = fd;
}

static void
join_slot(struct rpc_server *s, unsigned i)
{
    int rc = pthread_join(s->threads[i], NULL);

    assert(rc == 0);
    set_slot(s, i, SLOT_FREE, -1);
}

static void
join_finished(struct rpc_server *s)
{
    for (unsigned i = 0; i < RPC_MAX_CONNECTIONS; i++) {
        if (slot_state(s, i) == SLOT_FINISHED) {
            join_slot(s, i);
        }
    }
}

static int
start_thread(pthread_t *thread, void *(*run)(void *), void *arg)
{
    pthread_attr_t attr;
    int rc = pthread_attr_init(&attr);

    if (rc != 0) {
        return -rc;
    }
    rc = pthread_attr_setstacksize(&attr, STACK_SIZE);
    assert(rc == 0);
    rc = pthread_create(thread, &attr, run, arg);
    (void)pthread_attr_destroy(&attr); /* cannot fail on Linux */
    return -rc;
}

/* Takes fd. */
static void
start_connection(struct rpc_server *s, int fd)
{
    unsigned i = 0;

    while (i < RPC_MAX_CONNECTIONS && slot_state(s, i) != SLOT_FREE) {
        i++;
    }
    if (i < RPC_MAX_CONNECTIONS) {
        set_slot(s, i, SLOT_RUNNING, fd);
        if (start_thread(&s->threads[i], connection_main, &s->args[i]) == 0) {
            return;
        }
        set_slot(s, i, SLOT_FREE, -1);
    }
    if (s->admit == NULL) {
        rpc_conn_refuse(fd);
    }
    (void)close(fd); /* nobody waits for more */
}

static void *
acceptor_main(void *opaque)
{
    struct rpc_server *s = opaque;
    struct pollfd p[2] = {{.fd = s->wake_fd, .events = POLLIN},
                          {.fd = s->listen_fd, .events = POLLIN}};
    bool is_short_of_fds = false;
    eventfd_t ignored;

    (void)urgency_set(URGENCY_CONTROL);
    while (!is_stopping(s)) {
        int fd;

        /* Out of fds the listener stays readable: leave it alone for a moment. */
        if (is_short_of_fds) {
            (void)poll(p, 1, SHORT_OF_FDS_PAUSE_MS); /* accept() tells more */
        } else {
            (void)poll(p, 2, -1); /* the same */
        }
        (void)eventfd_read(s->wake_fd, &ignored); /* empties it, if it was set */
        join_finished(s);
        fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        is_short_of_fds =
            fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED;
        if (fd >= 0) {
            start_connection(s, fd);
        }
    }
    return NULL;
}

/* Signals are for the service's own threads. */
static int
start_acceptor(struct rpc_server *s)
{
    sigset_t all, old;
    int rc;

    (void)sigfillset(&all); /* cannot fail */
    rc = pthread_sigmask(SIG_SETMASK, &all, &old);
    assert(rc == 0);
    rc = start_thread(&s->acceptor, acceptor_main, s);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL); /* worked a moment ago */
    return rc;
}

static int
check_listener(int fd)
{
    int is_listening = 0, flags = fcntl(fd, F_GETFL);
    socklen_t size = sizeof is_listening;

    if (flags < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) < 0) {
        return -errno;
    }
    if (!is_listening) {
        return -EINVAL;
    }
    /* It came by exec, and is not for what we start. */
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        return -errno;
    }
    /* A client may be gone again between poll() and accept(). */
    return fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

static struct rpc_server *
alloc_server(int listen_fd, const struct rpc_method *methods, void *ctx,
             rpc_admit admit)
{
    struct rpc_server *s = calloc(1, sizeof *s);

    if (s == NULL) {
        return NULL;
    }
    s->listen_fd = listen_fd;
    s->methods = methods;
    s->ctx = ctx;
    s->admit = admit;
    lk_init(&s->lock);
    for (unsigned i = 0; i < RPC_MAX_CONNECTIONS; i++) {
        s->args[i] = (struct conn_arg){.server = s, .i = i};
        set_slot(s, i, SLOT_FREE, -1);
    }
    return s;
}

int
rpc_server_new(int listen_fd, const struct rpc_method *methods, void *ctx,
               struct err *e, struct rpc_server **ret_server)
{
    return rpc_server_new_net(listen_fd, methods, ctx, NULL, e, ret_server);
}

int
rpc_server_new_net(int listen_fd, const struct rpc_method *methods, void *ctx,
                   rpc_admit admit, struct err *e, struct rpc_server **ret_server)
{
    struct rpc_server *s;
    int rc = check_listener(listen_fd);

    if (rc < 0) {
        return err_set(e, rc, "control socket: %s", err_text(NULL, rc));
    }
    s = alloc_server(listen_fd, methods, ctx, admit);
    if (s == NULL) {
        return err_set(e, -ENOMEM, "control server: out of memory");
    }
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    rc = s->wake_fd < 0 ? -errno : start_acceptor(s);
    if (rc == 0) {
        *ret_server = s;
        return 0;
    }
    if (s->wake_fd >= 0) {
        (void)close(s->wake_fd); /* an eventfd holds nothing */
    }
    lk_done(&s->lock);
    free(s);
    return err_set(e, rc, "cannot start the control server: %s", err_text(NULL, rc));
}

static void
shut_down_connections(struct rpc_server *s)
{
    LK_GUARD(&s->lock);
    struct rpc_server_locked *l = server_locked(s);

    for (unsigned i = 0; i < RPC_MAX_CONNECTIONS; i++) {
        if (l->states[i] == SLOT_RUNNING) {
            (void)shutdown(l->fds[i], SHUT_RDWR); /* fails if it is down already */
        }
    }
}

static void
stop_acceptor(struct rpc_server *s)
{
    int rc;

    lk_acquire(&s->lock);
    server_locked(s)->is_stopping = true;
    lk_release(&s->lock);
    wake(s);
    rc = pthread_join(s->acceptor, NULL);
    assert(rc == 0);
}

void
rpc_server_free(struct rpc_server *s)
{
    if (s == NULL) {
        return;
    }
    stop_acceptor(s);
    shut_down_connections(s);
    for (unsigned i = 0; i < RPC_MAX_CONNECTIONS; i++) {
        if (slot_state(s, i) != SLOT_FREE) {
            join_slot(s, i);
        }
    }
    (void)close(s->listen_fd); /* a listener and an eventfd hold nothing */
    (void)close(s->wake_fd);
    lk_done(&s->lock);
    free(s);
}
