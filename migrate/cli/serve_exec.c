/* SPDX-License-Identifier: BSD-3-Clause */
/* serve_exec.c - nbdkit gets its listeners by socket activation: as descriptors 3, 4,
 * ... and with LISTEN_FDS and LISTEN_PID. The control sockets follow them; a parameter
 * of the plugin has the number of the first one. */
#include "serve_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "uri.h"

#define FIRST_FD 3       /* SD_LISTEN_FDS_START */
#define FOLDER_MODE 0755 /* what guards a socket is its own mode */

int
serve_args_add(struct serve_args *a, const char *key, const char *text, struct err *e)
{
    int n;

    if (a->nr == SERVE_MAX_ARGS) {
        return err_set(e, -E2BIG, "more than %d arguments for nbdkit", SERVE_MAX_ARGS);
    }
    n = asprintf(&a->arg[a->nr], "%s%s%s", key != NULL ? key : "",
                 key != NULL ? "=" : "", text);
    if (n < 0) {
        a->arg[a->nr] = NULL;
        return err_set(e, -ENOMEM, "out of memory");
    }
    a->nr++;
    return 0;
}

void
serve_args_done(struct serve_args *a)
{
    while (a->nr > 0) {
        free(a->arg[--a->nr]);
        a->arg[a->nr] = NULL;
    }
}

static void
close_socket(const struct uri *u, int fd)
{
    (void)close(fd); /* nothing was accepted from it */
    if (u->kind == URI_UNIX) {
        (void)unlink(u->path); /* ours, by uri_listen_for(); one left does no harm */
    }
}

void
serve_sockets_close(const struct service_config *c, struct serve_sockets *s)
{
    while (s->nr_listen > 0) {
        s->nr_listen--;
        close_socket(&c->listen[s->nr_listen], s->listen[s->nr_listen]);
    }
    while (s->nr_net_control > 0) {
        s->nr_net_control--;
        close_socket(&c->net_control[s->nr_net_control],
                     s->net_control[s->nr_net_control]);
    }
    if (s->control >= 0) {
        close_socket(&c->control, s->control);
        s->control = -1;
    }
}

/* Make the folder of a socket, since /run is empty after a reboot. Only one level is
 * made: more would hide a slip of the pen. */
static int
make_folder(const char *socket, struct err *e)
{
    AUTO_FREE char *folder = strdup(socket);
    AUTO_FD int fd = -1;
    int rc = 0;

    if (folder == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    *strrchr(folder, '/') = '\0'; /* the path is absolute */
    if (folder[0] == '\0' || access(folder, F_OK) == 0 || errno != ENOENT) {
        return 0; /* it is there, or the bind says what is wrong with it */
    }
    if (mkdir(folder, FOLDER_MODE) < 0 && errno != EEXIST) {
        rc = -errno;
        return err_set(e, rc, "the folder %s is not there, and cannot be made: %s",
                       folder, err_text(NULL, rc));
    }
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, FOLDER_MODE) < 0) { /* mkdir obeyed the umask */
        rc = -errno;
        return err_set(e, rc, "cannot use the folder %s: %s", folder,
                       err_text(NULL, rc));
    }
    return 0;
}

static int
open_socket(const struct uri *u, const struct uri_access *access, struct err *e,
            int *ret_fd)
{
    int rc = u->kind == URI_UNIX ? make_folder(u->path, e) : 0;

    if (rc < 0) {
        return err_prefix(e, rc, "cannot listen on %s", u->text);
    }
    return uri_listen_for(u, access, e, ret_fd);
}

/* What is open after a failure is counted in s. */
static int
open_all(const struct service_config *c, struct err *e, struct serve_sockets *s)
{
    int rc;

    for (; s->nr_listen < c->nr_listen; s->nr_listen++) {
        rc = open_socket(&c->listen[s->nr_listen], &c->listen_access, e,
                         &s->listen[s->nr_listen]);
        if (rc < 0) {
            return rc;
        }
    }
    if (c->has_control) {
        rc = open_socket(&c->control, &c->control_access, e, &s->control);
        if (rc < 0) {
            return rc;
        }
    }
    for (; s->nr_net_control < c->nr_net_control; s->nr_net_control++) {
        rc = open_socket(&c->net_control[s->nr_net_control], &c->control_access, e,
                         &s->net_control[s->nr_net_control]);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

int
serve_sockets_open(const struct service_config *c, struct err *e,
                   struct serve_sockets *ret_sockets)
{
    struct serve_sockets s = {.nr_listen = 0, .control = -1, .nr_net_control = 0};
    int rc = open_all(c, e, &s);

    if (rc < 0) {
        serve_sockets_close(c, &s);
        return rc;
    }
    *ret_sockets = s;
    return 0;
}

int
serve_control_fd(const struct service_config *c)
{
    return FIRST_FD + (int)c->nr_listen;
}

/* Give each socket its number, open across exec. First all are moved out of the way, so
 * that none overwrites another. */
static int
place_sockets(struct serve_sockets *s)
{
    enum { MOST = 2 * CONFIG_MAX_LISTEN + 1 };
    int high[MOST];
    unsigned nr = 0;

    for (unsigned i = 0; i < s->nr_listen; i++) {
        high[nr++] = s->listen[i];
    }
    if (s->control >= 0) {
        high[nr++] = s->control;
    }
    for (unsigned i = 0; i < s->nr_net_control; i++) {
        high[nr++] = s->net_control[i];
    }
    for (unsigned i = 0; i < nr; i++) {
        high[i] = fcntl(high[i], F_DUPFD_CLOEXEC, FIRST_FD + MOST);
        if (high[i] < 0) {
            return -errno; /* the caller ends the process, which closes them */
        }
    }
    for (unsigned i = 0; i < nr; i++) { /* the copies are not close-on-exec */
        if (dup2(high[i], FIRST_FD + (int)i) < 0) {
            return -errno;
        }
    }
    return 0;
}

int
serve_exec(const char *program, struct serve_args *a, struct serve_sockets *s,
           struct err *e)
{
    char pid[16], nr[16];
    int rc = place_sockets(s);

    (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
    (void)snprintf(nr, sizeof nr, "%u", s->nr_listen);
    /* NOLINTBEGIN(concurrency-mt-unsafe): one thread */
    if (rc == 0 &&
        (setenv("LISTEN_PID", pid, 1) < 0 || setenv("LISTEN_FDS", nr, 1) < 0 ||
         unsetenv("LISTEN_FDNAMES") < 0)) {
        /* NOLINTEND(concurrency-mt-unsafe) */
        rc = -errno;
    }
    if (rc == 0) {
        (void)execv(program, a->arg);
        rc = -errno;
    }
    return err_set(e, rc, "cannot run %s: %s", program, err_text(NULL, rc));
}

int
serve_find_program(const char *name, char **ret_path)
{
    const char *path = getenv("PATH"); /* NOLINT(concurrency-mt-unsafe): one thread */
    AUTO_FREE char *folders = strdup(path != NULL ? path : "/usr/bin:/usr/sbin");
    char *rest = folders, *folder;

    if (folders == NULL) {
        return -ENOMEM;
    }
    if (strchr(name, '/') != NULL) {
        if (access(name, X_OK) < 0) {
            return -errno;
        }
        *ret_path = strdup(name);
        return *ret_path != NULL ? 0 : -ENOMEM;
    }
    while ((folder = strsep(&rest, ":")) != NULL) {
        AUTO_FREE char *full = NULL;

        if (asprintf(&full, "%s/%s", folder[0] != '\0' ? folder : ".", name) < 0) {
            full = NULL;
            return -ENOMEM;
        }
        if (access(full, X_OK) == 0) {
            *ret_path = TAKE(full);
            return 0;
        }
    }
    return -ENOENT;
}

int
serve_find_module(const char *given, const char *name, const char *installed,
                  struct err *e, char **ret_path)
{
    char self[4096], *slash;
    AUTO_FREE char *path = NULL;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    int rc = 0;

    self[n > 0 ? n : 0] = '\0';
    slash = strrchr(self, '/');
    if (given != NULL) {
        path = strdup(given);
    } else if (slash == NULL ||
               asprintf(&path, "%.*s/%s", (int)(slash - self), self, name) < 0) {
        path = NULL;
    }
    if (given == NULL && path != NULL && access(path, R_OK) < 0) {
        free(path);
        path = NULL;
    }
    if (path == NULL && asprintf(&path, "%s/%s", installed, name) < 0) {
        path = NULL;
        return err_set(e, -ENOMEM, "out of memory");
    }
    if (access(path, R_OK) < 0) {
        rc = -errno;
        return err_set(e, rc, "cannot read %s: %s", path, err_text(NULL, rc));
    }
    *ret_path = TAKE(path);
    return 0;
}

int
serve_preload(const char *name, const char *installed, bool keeps_turns, struct err *e)
{
    const char *before = getenv("LD_PRELOAD"); /* NOLINT(concurrency-mt-unsafe): one
                                                * thread */
    AUTO_FREE char *module = NULL;
    AUTO_FREE char *list = NULL;
    int rc = serve_find_module(NULL, name, installed, e, &module);

    if (rc < 0) {
        return rc;
    }
    /* After what is there, since a sanitizer's runtime has to be first. */
    if (asprintf(&list, "%s%s%s", before != NULL ? before : "",
                 before != NULL && before[0] != '\0' ? ":" : "", module) < 0) {
        list = NULL;
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    if (list == NULL || setenv("LD_PRELOAD", list, 1) < 0) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    if (!keeps_turns && setenv("BATON_GUARD_NO_TURNS", "1", 1) < 0) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    return 0;
}
