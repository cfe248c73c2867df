/* SPDX-License-Identifier: BSD-3-Clause */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "cleanup.h"
#include "clock.h"
#include "give_away.h"
#include "log.h"
#include "urgency.h"
#include "uri.h"

#define STOP_TIMEOUT_NS (10 * NS_PER_S)
#define GIVE_AWAY_NS (60 * NS_PER_S) /* for all disks; then what is left stays ours */

static int stop_pipe[2] = {-1, -1}; /* written by the signal handler */

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

/* Whoever looks for the reason of a stop wants to know. */
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

static void *
stop_thread(void *service)
{
    struct service *s = service;
    pid_t sender = 0;

    if (!urgency_set(URGENCY_STALL)) {
        log_info("no right to a real-time priority (CAP_SYS_NICE): when all processors "
                 "are busy a handoff waits for its turn, a few ms for each step");
    }
    (void)urgency_set(URGENCY_CONTROL);
    while (read(stop_pipe[0], &sender, sizeof sender) < 0 && errno == EINTR) {
    }
    tell_sender(sender);
    if (s->cfg->has_heir) {
        log_info("handing everything to %s before stopping", s->cfg->heir.text);
        (void)sd_notify(0, "STOPPING=1"); /* only tells */
        give_away(s, stop_pipe[0], clock_deadline_ns(GIVE_AWAY_NS));
    }
    log_info("stopping: no request is answered with an error, connections just end");
    (void)sd_notify(0, "STOPPING=1"); /* only tells */
    service_stop(s, clock_deadline_ns(STOP_TIMEOUT_NS));
    _exit(EXIT_SUCCESS);
}

static int
take_signals(struct service *s, struct err *e)
{
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    pthread_t thread;

    if (pipe2(stop_pipe, O_CLOEXEC) < 0) {
        return err_set(e, -errno, "no pipe for signals");
    }
    if (pthread_create(&thread, NULL, stop_thread, s) != 0) {
        return err_set(e, -EAGAIN, "no thread for signals");
    }
    (void)pthread_detach(thread);
    if (sigaction(SIGTERM, &sa, NULL) < 0 || sigaction(SIGINT, &sa, NULL) < 0) {
        return err_set(e, -errno, "cannot take signals");
    }
    return 0;
}

int
run_service(const struct service_config *cfg, int control_fd, struct err *e,
            struct service **ret_service)
{
    bool is_listening = control_fd >= 0;
    int rc = 0;

    if (!is_listening && cfg->has_control) {
        rc = uri_listen(&cfg->control, 0600, e, &control_fd);
    }
    rc = rc == 0 ? service_new(cfg, control_fd, e, ret_service) : rc;
    for (unsigned i = 0; rc == 0 && i < cfg->nr_net_control; i++) {
        int fd = control_fd + 1 + (int)i; /* see serve_exec.c */

        if (!is_listening) {
            rc = uri_listen(&cfg->net_control[i], 0, e, &fd);
        }
        rc = rc == 0 ? service_control_net(*ret_service, i, fd, e) : rc;
    }
    rc = rc == 0 ? take_signals(*ret_service, e) : rc;
    if (rc == 0) {
        log_info("ready");
        (void)sd_notify(0, "READY=1"); /* does nothing unless NOTIFY_SOCKET is set */
    }
    return rc;
}
