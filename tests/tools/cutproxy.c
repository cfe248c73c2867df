/* SPDX-License-Identifier: BSD-3-Clause */
/* cutproxy - stands between clients and servers on unix sockets and does to their bytes
 * what a bad network would. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "cut.h"
#include "option.h"

#define MAX_CALLERS 16

static const char usage[] =
    "usage: cutproxy --route NAME=LISTEN:CONNECT... --control PATH [option]...\n"
    "       cutproxy --tell PATH COMMAND...\n"
    "Passes connections on from the socket LISTEN to the socket CONNECT, and says "
    "what\n"
    "it did to them. Commands, with TARGET all, the NAME of a route, or #N:\n"
    "  hold up|down|both [MS] TARGET   keep what is sent, for MS or until released\n"
    "  delay up|down|both MS TARGET    keep it for MS before it goes on; 0: no more\n"
    "  release TARGET                  end hold, delay and truncate\n"
    "  truncate up|down N TARGET       hang up after N more bytes\n"
    "  cut TARGET                      hang up on both sides\n"
    "  orphan TARGET                   hang up on the client; what it sent stays\n"
    "  close ROUTE, open ROUTE         refuse new connections; admit them\n"
    "  wait-held N TARGET              until N bytes wait to go up\n"
    "  wait-answered N TARGET          until the server has answered N bytes to "
    "orphans\n"
    "  wait-gone TARGET                until there is no such connection\n"
    "  list                            \"#N ROUTE connected|orphan up BYTES down "
    "BYTES\"\n"
    "                                  that wait, what passed, the export, and the "
    "requests\n"
    "                                  that wait to go up\n"
    "  time                            microseconds of the monotonic clock\n"
    "Options:\n"
    "  --buffer BYTES   most that is kept of a direction of a connection (256k)\n"
    "  --random MS      an accident about every MS, chosen by chance\n"
    "  --seed S         of that chance (1)\n"
    "SIGTERM ends it, with the counts as JSON on standard output.\n";

static const struct option_tool tool = {"cutproxy", usage};

struct caller {
    int fd; /* -1: free */
    char line[256];
    size_t len;
    bool is_waiting; /* line is a command whose condition is not met */
};

struct proxy {
    struct cut cut;
    int control, signals;
    struct caller callers[MAX_CALLERS];
    uint64_t random_ns, accident_ns, rng;
};

/* One slot each: routes, control, signals, callers, connections. */
#define MAX_FDS (CUT_MAX_ROUTES + 2 + MAX_CALLERS + 2 * CUT_MAX_CONNS)

static void
die(const char *what)
{
    (void)fprintf(stderr, "cutproxy: %s: %s\n", what, strerrordesc_np(errno));
    exit(1);
}

static void
wrong_usage(void)
{
    (void)fputs(usage, stderr);
    exit(2);
}

static struct sockaddr_un
address(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof addr.sun_path) {
        errno = ENAMETOOLONG;
        die(path);
    }
    (void)snprintf(addr.sun_path, sizeof addr.sun_path, "%s", path);
    return addr;
}

/* Who sees the socket can connect to it: it gets its name when it listens. */
static int
listen_at(const char *path)
{
    char early[sizeof((struct sockaddr_un *)0)->sun_path + 8];
    struct sockaddr_un addr;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    (void)snprintf(early, sizeof early, "%s.new", path);
    addr = address(early);
    (void)unlink(early);
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 ||
        listen(fd, SOMAXCONN) < 0 || rename(early, path) < 0) {
        die(path);
    }
    return fd;
}

static void
add_route(struct cut *c, char *text)
{
    struct cut_route *r = &c->routes[c->nr_routes];
    char *listen_path = strchr(text, '=');
    char *connect_path = listen_path == NULL ? NULL : strchr(listen_path, ':');

    if (connect_path == NULL || c->nr_routes == CUT_MAX_ROUTES) {
        wrong_usage();
    }
    *listen_path++ = '\0';
    *connect_path++ = '\0';
    (void)snprintf(r->name, sizeof r->name, "%s", text);
    (void)address(connect_path);
    r->connect = connect_path;
    r->fd = listen_at(listen_path);
    c->nr_routes++;
}

/* cutproxy --tell: send the command, print the answer; 1 unless it is "ok". */
static int
tell(const char *path, char **words, int nr)
{
    struct sockaddr_un addr = address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char buf[4096];
    size_t len = 0;
    ssize_t n;
    bool is_first = true, is_error = true; /* no answer is one */

    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0) {
        die(path);
    }
    for (int i = 0; i < nr; i++) {
        len += (size_t)snprintf(buf + len, sizeof buf - len, "%s%c", words[i],
                                i + 1 < nr ? ' ' : '\n');
        if (len >= sizeof buf) {
            wrong_usage();
        }
    }
    if (send(fd, buf, len, MSG_NOSIGNAL) != (ssize_t)len || shutdown(fd, SHUT_WR) < 0) {
        die(path);
    }
    while ((n = read(fd, buf, sizeof buf)) > 0) {
        if (is_first) {
            is_error = strncmp(buf, "error", 5) == 0;
        }
        is_first = false;
        (void)fwrite(buf, 1, (size_t)n, stdout);
    }
    (void)close(fd); /* all was read */
    return is_error;
}

static void
hang_up(struct caller *caller)
{
    (void)close(caller->fd); /* an answer that is not wanted any more is no loss */
    caller->fd = -1;
    caller->is_waiting = false;
    caller->len = 0;
}

static void
answer(struct proxy *p, struct caller *caller)
{
    static char reply[CUT_REPLY];

    caller->is_waiting = !cut_command(&p->cut, caller->line, reply, sizeof reply);
    if (!caller->is_waiting) {
        (void)send(caller->fd, reply, strlen(reply), MSG_NOSIGNAL); /* or it has gone */
        hang_up(caller);
    }
}

static void
hear(struct proxy *p, struct caller *caller)
{
    ssize_t n = read(caller->fd, caller->line + caller->len,
                     sizeof caller->line - 1 - caller->len);

    if (n <= 0) {
        hang_up(caller);
        return;
    }
    caller->len += (size_t)n;
    caller->line[caller->len] = '\0';
    if (caller->line[caller->len - 1] == '\n') {
        caller->line[caller->len - 1] = '\0';
        answer(p, caller);
    }
}

static void
admit(struct proxy *p)
{
    int fd = accept4(p->control, NULL, NULL, SOCK_CLOEXEC);

    for (unsigned i = 0; fd >= 0 && i < MAX_CALLERS; i++) {
        if (p->callers[i].fd < 0) {
            p->callers[i].fd = fd;
            return;
        }
    }
    if (fd >= 0) {
        (void)close(fd); /* too many */
    }
}

static void
run_accidents(struct proxy *p)
{
    if (p->random_ns > 0 && clock_now_ns() >= p->accident_ns) {
        cut_accident(&p->cut, &p->rng);
        p->accident_ns = clock_deadline_ns(cut_chance(&p->rng, 2 * p->random_ns));
    }
}

/* Wait for something and do it. False on SIGTERM. */
static bool
turn(struct proxy *p)
{
    static struct pollfd fds[MAX_FDS];
    struct cut *c = &p->cut;
    struct cut_conn *conn, *next;
    uint64_t deadline_ns = p->random_ns > 0 ? p->accident_ns : CLOCK_NEVER;
    nfds_t nr = 0;

    fds[nr++] = (struct pollfd){.fd = p->signals, .events = POLLIN};
    fds[nr++] = (struct pollfd){.fd = p->control, .events = POLLIN};
    for (unsigned i = 0; i < c->nr_routes; i++) {
        fds[nr++] = (struct pollfd){.fd = c->routes[i].fd, .events = POLLIN};
    }
    for (unsigned i = 0; i < MAX_CALLERS; i++) { /* poll() skips negative ones */
        fds[nr++] = (struct pollfd){
            .fd = p->callers[i].is_waiting ? -1 : p->callers[i].fd, .events = POLLIN};
    }
    TAILQ_FOREACH(conn, &c->conns, link)
    {
        nr += cut_conn_prepare(conn, &fds[nr], &deadline_ns);
    }
    if (poll(fds, nr, clock_poll_ms(deadline_ns)) < 0 && errno != EINTR) {
        die("poll");
    }
    for (conn = TAILQ_FIRST(&c->conns); conn != NULL; conn = next) {
        next = TAILQ_NEXT(conn, link);
        cut_conn_run(c, conn);
    }
    for (unsigned i = 0; i < c->nr_routes; i++) {
        if (fds[2 + i].revents != 0) {
            cut_accept(c, &c->routes[i]);
        }
    }
    for (unsigned i = 0; i < MAX_CALLERS; i++) {
        struct caller *caller = &p->callers[i];

        if (caller->is_waiting) {
            answer(p, caller);
        } else if (caller->fd >= 0 && fds[2 + c->nr_routes + i].revents != 0) {
            hear(p, caller);
        }
    }
    if (fds[1].revents != 0) {
        admit(p);
    }
    run_accidents(p);
    return fds[0].revents == 0;
}

static void
print_counts(const struct cut_counts *n)
{
    (void)printf("{\"connections\": %" PRIu64 ", \"bytes\": %" PRIu64
                 ", \"held\": %" PRIu64 ", \"delayed\": %" PRIu64 ", ",
                 n->connections, n->bytes, n->held, n->delayed);
    (void)printf("\"truncated\": %" PRIu64 ", \"cut\": %" PRIu64
                 ", \"orphaned\": %" PRIu64 ", \"refused\": %" PRIu64 "}\n",
                 n->truncated, n->cut, n->orphaned, n->refused);
}

static void
set_route(void *ctx, char *text)
{
    struct proxy *p = ctx;

    add_route(&p->cut, text);
}

static void
set_control(void *ctx, char *path)
{
    struct proxy *p = ctx;

    p->control = listen_at(path);
}

static void
parse_options(struct proxy *p, int argc, char **argv)
{
    const char *tell_path = NULL;
    uint64_t buf_size = p->cut.buf_size;
    const struct option_row rows[] = {
        {"route", .call = set_route},
        {"control", .call = set_control},
        {"tell", .text = &tell_path},
        {"buffer", .number = &buf_size, .least = 1, .most = 1 << 26},
        {"random", .number = &p->random_ns, .least = 1, .most = 1 << 20,
         .unit = NS_PER_MS},
        {"seed", .number = &p->rng, .most = UINT64_MAX},
    };
    int i = option_parse(&tool, rows, sizeof rows / sizeof rows[0], p, argc, argv);

    p->cut.buf_size = buf_size;
    if (tell_path != NULL) {
        exit(tell(tell_path, argv + i, argc - i));
    }
    if (i < argc || p->cut.nr_routes == 0 || p->control < 0) {
        wrong_usage();
    }
}

int
main(int argc, char **argv)
{
    struct proxy p = {.cut = {.buf_size = 256 << 10}, .control = -1, .rng = 1};
    sigset_t ends;

    TAILQ_INIT(&p.cut.conns);
    for (unsigned i = 0; i < MAX_CALLERS; i++) {
        p.callers[i].fd = -1;
    }
    parse_options(&p, argc, argv);
    (void)sigemptyset(&ends); /* cannot fail with these arguments, as the next two */
    (void)sigaddset(&ends, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &ends, NULL);
    p.signals = signalfd(-1, &ends, SFD_CLOEXEC);
    p.rng = (p.rng + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
    p.accident_ns = clock_deadline_ns(p.random_ns);
    cut_say(NULL, "ready");
    while (turn(&p)) {
    }
    print_counts(&p.cut.counts);
    return 0;
}
