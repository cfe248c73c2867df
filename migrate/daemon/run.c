/* SPDX-License-Identifier: BSD-3-Clause */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "cleanup.h"
#include "clock.h"
#include "descriptors.h"
#include "give_away.h"
#include "log.h"
#include "pidfile.h"
#include "service.h"
#include "service_start.h"
#include "urgency.h"
#include "uri.h"

#define STOP_TIMEOUT_NS (10 * NS_PER_S)
#define GIVE_AWAY_NS (60 * NS_PER_S) /* for all disks; then what is left stays ours */

static int stop_pipe[2] = {-1, -1}; /* written by the signal handler */
static int hup_fd = -1;             /* eventfd, the same of SIGHUP */

/* What would end the process in the midst of everything, by its default, and means
 * nothing to a service. A write past a limit of file sizes fails instead. */
static const int meaningless[] = {SIGUSR1, SIGUSR2,   SIGALRM, SIGVTALRM, SIGPROF,
                                  SIGIO,   SIGSTKFLT, SIGPWR,  SIGPIPE,   SIGXFSZ};

static void
on_signal(int sig, siginfo_t *info, void *context)
{
    int saved = errno;

    (void)sig;
    (void)context;
    if (write(stop_pipe[1], &info->si_pid, sizeof info->si_pid) < 0) {
        _exit(EXIT_FAILURE); /* the pipe is ours and empty: cannot be */
    }
    errno = saved;
}

static void
on_hup(int sig)
{
    const uint64_t one = 1;
    int saved = errno;

    (void)sig;
    (void)!write(hup_fd, &one, sizeof one); /* it counts, and is never full */
    errno = saved;
}

/* People who look for the reason of a stop want to know. */
static void
tell_sender(pid_t pid)
{
    char path[32], name[32] = "which has ended";
    AUTO_FILE FILE *f = NULL;

    (void)snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    f = fopen(path, "re");
    if (f != NULL && fgets(name, sizeof name, f) != NULL) {
        name[strcspn(name, "\n")] = '\0';
    }
    log_info("told to stop by process %d (%s)", (int)pid, name);
}

/* Until the service is told to stop. A daemon's SIGHUP means "read your settings
 * again", or that a terminal was closed: neither is a reason to end. */
static pid_t
await_stop(void)
{
    struct pollfd fds[2] = {{.fd = stop_pipe[0], .events = POLLIN},
                            {.fd = hup_fd, .events = POLLIN}};
    pid_t sender = 0;
    uint64_t nr;

    for (;;) {
        if (poll(fds, 2, -1) < 0) {
            continue; /* EINTR */
        }
        if (fds[0].revents != 0 &&
            read(stop_pipe[0], &sender, sizeof sender) == sizeof sender) {
            return sender;
        }
        if (fds[1].revents != 0 && read(hup_fd, &nr, sizeof nr) == sizeof nr) {
            log_info("SIGHUP: there is nothing to reload, the service goes on");
        }
    }
}

static void *
stop_thread(void *service)
{
    struct service *s = service;

    if (!urgency_set(URGENCY_STALL)) {
        log_info("no right to a real-time priority (CAP_SYS_NICE): when all processors "
                 "are busy a handoff waits for its turn, a few ms for each step");
    }
    (void)urgency_set(URGENCY_CONTROL);
    tell_sender(await_stop());
    if (s->cfg->has_heir) {
        log_info("handing everything to %s before stopping", s->cfg->heir.text);
        (void)sd_notify(0, "STOPPING=1"); /* only tells */
        give_away(s, stop_pipe[0], clock_deadline_ns(GIVE_AWAY_NS));
    }
    log_info("stopping: no request is answered with an error, connections just end");
    (void)sd_notify(0, "STOPPING=1"); /* only tells */
    service_stop(s, clock_deadline_ns(STOP_TIMEOUT_NS));
    pidfile_remove();
    _exit(EXIT_SUCCESS);
}

/* Before anything is served: nbdkit's own handlers (of SIGTERM, SIGINT, SIGQUIT and
 * SIGHUP) make it answer every request with an error. What comes while we start waits
 * for stop_thread(). */
static int
take_signals(struct err *e)
{
    struct sigaction stop = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    struct sigaction hup = {.sa_handler = on_hup, .sa_flags = SA_RESTART};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    bool is_bad;

    hup_fd = eventfd(0, EFD_CLOEXEC);
    if (pipe2(stop_pipe, O_CLOEXEC) < 0 || hup_fd < 0) {
        return err_set(e, -errno, "no pipe for signals");
    }
    is_bad = sigaction(SIGTERM, &stop, NULL) < 0 ||
             sigaction(SIGINT, &stop, NULL) < 0 ||
             sigaction(SIGQUIT, &stop, NULL) < 0 || sigaction(SIGHUP, &hup, NULL) < 0;
    for (size_t i = 0; i < sizeof meaningless / sizeof meaningless[0] && !is_bad; i++) {
        is_bad = sigaction(meaningless[i], &ignore, NULL) < 0;
    }
    return is_bad ? err_set(e, -errno, "cannot take signals") : 0;
}

static int
heed_signals(struct service *s, struct err *e)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, stop_thread, s) != 0) {
        return err_set(e, -EAGAIN, "no thread for signals");
    }
    (void)pthread_detach(thread);
    return 0;
}

/* The process that started us may listen already: control_fd is the first of its
 * sockets (see serve_exec.c); -1: it does not. */
static int
control_net(struct service *s, int control_fd, struct err *e)
{
    for (unsigned i = 0; i < s->cfg->nr_net_control; i++) {
        int fd = control_fd + 1 + (int)i, rc;

        if (control_fd < 0) {
            rc = uri_listen(&s->cfg->net_control[i], 0, e, &fd);
            if (rc < 0) {
                return rc;
            }
        }
        rc = service_control_net(s, i, fd, e);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

int
run_service(const struct service_config *cfg, int control_fd, struct err *e,
            struct service **ret_service)
{
    bool is_listening = control_fd >= 0;
    int rc = take_signals(e);

    if (rc < 0) {
        return rc;
    }
    descriptors_provide(cfg);
    if (!is_listening && cfg->has_control) {
        rc = uri_listen_for(&cfg->control, &cfg->control_access, e, &control_fd);
        if (rc < 0) {
            return rc;
        }
    }
    rc = service_new(cfg, control_fd, e, ret_service);
    if (rc < 0) {
        return rc;
    }
    rc = control_net(*ret_service, is_listening ? control_fd : -1, e);
    if (rc < 0) {
        return rc;
    }
    rc = pidfile_write(e); /* before anything can end the service, and so remove it */
    if (rc < 0) {
        return rc;
    }
    rc = heed_signals(*ret_service, e);
    if (rc < 0) {
        return rc;
    }
    log_info("ready");
    (void)sd_notify(0, "READY=1"); /* does nothing unless NOTIFY_SOCKET is set */
    return 0;
}
