/* SPDX-License-Identifier: BSD-3-Clause */
/* nbdkit_server.h - a real NBD server on a private unix socket, for tests.
 *
 * The socket is made here and handed to nbdkit by socket activation, so a client may
 * connect as soon as start has returned; nothing waits for the server to be ready. The
 * thread that starts a server has to outlive it (--exit-with-parent means the thread).
 */
#ifndef BATON_NBDKIT_SERVER_H
#define BATON_NBDKIT_SERVER_H

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define NBDKIT_MAX_ARGS 24

struct nbdkit_server {
    char dir[32];
    char socket[64];
    char file[64]; /* for a file plugin; removed at the end */
    char address[80];
    char uri[128];
    pid_t pid; /* 0: not running */
};

extern char **environ;

static inline void
nbdkit_server_init(struct nbdkit_server *s)
{
    memset(s, 0, sizeof *s);
    strcpy(s->dir, "/tmp/baton-test-XXXXXX");
    if (mkdtemp(s->dir) == NULL) {
        abort();
    }
    snprintf(s->socket, sizeof s->socket, "%s/sock", s->dir);
    snprintf(s->file, sizeof s->file, "%s/file", s->dir);
    snprintf(s->address, sizeof s->address, "unix:%s", s->socket);
    snprintf(s->uri, sizeof s->uri, "nbd+unix:///?socket=%s", s->socket);
}

/* A listening socket at s->socket; whoever does not answer there hangs its clients. */
static inline int
nbdkit_server_listen(const struct nbdkit_server *s)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(addr.sun_path, s->socket);
    (void)unlink(s->socket); /* of a server that was killed */
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 ||
        listen(fd, 64) < 0) {
        abort();
    }
    return fd;
}

/* nbdkit on this listening socket, which it takes over. */
static inline void
nbdkit_server_spawn(struct nbdkit_server *s, int fd, const char *const *args)
{
    static const char script[] = "LISTEN_PID=$$ LISTEN_FDS=1 exec nbdkit -f "
                                 "--exit-with-parent \"$@\"";
    const char *argv[NBDKIT_MAX_ARGS] = {"sh", "-c", script, "sh"};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    int n = 4;

    for (; *args != NULL && n < NBDKIT_MAX_ARGS - 1; args++) {
        argv[n++] = *args;
    }
    if (fd == 3) { /* dup2 onto itself would leave it close-on-exec */
        fd = dup(fd);
        close(3);
    }
    /* A group of its own, with the scripts of its requests. */
    if (posix_spawn_file_actions_init(&actions) != 0 ||
        posix_spawn_file_actions_adddup2(&actions, fd, 3) != 0 ||
        posix_spawnattr_init(&attr) != 0 ||
        posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP) != 0 ||
        posix_spawn(&s->pid, "/bin/sh", &actions, &attr, (char *const *)(uintptr_t)argv,
                    environ) != 0) {
        abort();
    }
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    close(fd);
}

/* nbdkit with these arguments (filters, plugin, parameters), NULL at the end. */
static inline void
nbdkit_server_start(struct nbdkit_server *s, const char *const *args)
{
    nbdkit_server_spawn(s, nbdkit_server_listen(s), args);
}

/* The same on a free port of the loopback interface, which is returned. */
static inline unsigned
nbdkit_server_start_tcp(struct nbdkit_server *s, const char *const *args)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 ||
        listen(fd, 64) < 0 || getsockname(fd, (struct sockaddr *)&addr, &len) < 0) {
        abort();
    }
    nbdkit_server_spawn(s, fd, args);
    return ntohs(addr.sin_port);
}

static inline void
nbdkit_server_memory(struct nbdkit_server *s, const char *size)
{
    const char *const args[] = {"memory", size, NULL};

    nbdkit_server_init(s);
    nbdkit_server_start(s, args);
}

/* Like a crash: pending requests get no answer. */
static inline void
nbdkit_server_kill(struct nbdkit_server *s)
{
    if (s->pid > 0) {
        kill(-s->pid, SIGKILL);
        while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR) {
        }
        s->pid = 0;
    }
}

static inline void
nbdkit_server_done(struct nbdkit_server *s)
{
    nbdkit_server_kill(s);
    (void)unlink(s->socket);
    (void)unlink(s->file);
    (void)rmdir(s->dir);
}

#endif
