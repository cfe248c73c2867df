/* SPDX-License-Identifier: BSD-3-Clause */
#include "pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"

#define MODE 0644

static char *chosen; /* NULL: none */
static char number[16];

int
pidfile_choose(const char *path)
{
    char *copy = strdup(path);

    if (copy == NULL) {
        return -ENOMEM;
    }
    free(chosen);
    chosen = copy;
    return 0;
}

static int
write_number(const char *path)
{
    AUTO_FD int fd =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, MODE);
    ssize_t n;

    if (fd < 0) {
        return -errno;
    }
    n = write(fd, number, strlen(number));
    if (n < 0) {
        return -errno;
    }
    return (size_t)n == strlen(number) ? 0 : -ENOSPC;
}

int
pidfile_write(struct err *e)
{
    AUTO_FREE char *new = NULL;
    int rc;

    if (chosen == NULL) {
        return 0;
    }
    (void)snprintf(number, sizeof number, "%d\n", (int)getpid());
    if (asprintf(&new, "%s.%d", chosen, (int)getpid()) < 0) {
        new = NULL;
        return err_set(e, -ENOMEM, "out of memory");
    }
    rc = write_number(new);
    if (rc == 0 && rename(new, chosen) < 0) {
        rc = -errno;
    }
    if (rc < 0) {
        (void)unlink(new); /* the first error is the one to tell */
        return err_set(e, rc, "cannot write the pid file %s: %s", chosen,
                       err_text(NULL, rc));
    }
    return 0;
}

static bool
is_ours(void)
{
    char text[sizeof number] = "";
    AUTO_FD int fd = open(chosen, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    return fd >= 0 && read(fd, text, sizeof text - 1) > 0 && strcmp(text, number) == 0;
}

void
pidfile_remove(void)
{
    if (chosen != NULL && is_ours()) {
        (void)unlink(chosen); /* a file that stays is no reason not to end */
    }
}
