/* SPDX-License-Identifier: BSD-3-Clause */
/* qemu_user.c - asks the kernel: a child process becomes QEMU's user, as libvirt's
 * child does, and tries each folder of the path and the socket. So access control lists
 * and all other rules count. */
#include "qemu_user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"

#define DEFAULT_NAME "libvirt-qemu"
#define MAX_GROUPS 256
#define MAX_PARTS 128
#define TROUBLE 255 /* exit status of a child that could not ask */

/* Copy VALUE of a line `key = "VALUE"` in libvirt's file to value, if there is one. */
static void
read_setting(const char *conf, const char *key, char *value, size_t size)
{
    AUTO_FILE FILE *f = fopen(conf, "re");
    char line[512], name[64], text[64];

    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, " %63[a-z_] = \"%63[^\"]\"", name, text) == 2 &&
            strcmp(name, key) == 0) {
            (void)snprintf(value, size, "%s", text);
        }
    }
}

/* "+NUMBER" or "NUMBER". By libvirt's rule a text without "+" is tried as a name first.
 */
static bool
parse_number(const char *text, unsigned *ret_n)
{
    char *end;
    unsigned long n = strtoul(text[0] == '+' ? text + 1 : text, &end, 10);

    *ret_n = (unsigned)n;
    return *end == '\0' && end > text;
}

int
qemu_user_find(const char *conf, struct qemu_user *ret_user)
{
    char user[64] = DEFAULT_NAME, group[64] = "";
    struct qemu_user u;
    /* NOLINTBEGIN(concurrency-mt-unsafe): one thread */
    const struct passwd *pw;
    const struct group *gr;

    read_setting(conf, "user", user, sizeof user);
    read_setting(conf, "group", group, sizeof group);
    pw = user[0] != '+' ? getpwnam(user) : NULL;
    if (pw != NULL) {
        u.uid = pw->pw_uid;
        u.gid = pw->pw_gid;
    } else if (parse_number(user, &u.uid)) {
        u.gid = (gid_t)u.uid;
    } else {
        return -ENOENT;
    }
    /* Debian's libvirt has a group of the user's name as its default. */
    gr = getgrnam(group[0] != '\0' ? group : user);
    if (gr != NULL) {
        u.gid = gr->gr_gid;
    } else if (group[0] != '\0' && !parse_number(group, &u.gid)) {
        return -ENOENT;
    }
    /* NOLINTEND(concurrency-mt-unsafe) */
    (void)snprintf(u.name, sizeof u.name, "%s", user);
    *ret_user = u;
    return 0;
}

static bool
become(const struct qemu_user *u)
{
    gid_t groups[MAX_GROUPS];
    int nr = MAX_GROUPS;

    if (getgrouplist(u->name, u->gid, groups, &nr) < 0) {
        return false;
    }
    return setgroups((size_t)nr, groups) == 0 &&
           setresgid(u->gid, u->gid, u->gid) == 0 &&
           setresuid(u->uid, u->uid, u->uid) == 0;
}

/* In the child: which part of the path keeps it out, counted from 1; 0: none. */
static int
first_barrier(char *path)
{
    int part = 0;

    for (char *slash = strchr(path + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        part++;
        *slash = '\0';
        if (access(path, X_OK) < 0) {
            return part;
        }
        *slash = '/';
    }
    return access(path, R_OK | W_OK) < 0 ? part + 1 : 0;
}

/* Cut path behind its n-th part. False: the whole path has n parts. */
static bool
cut_after(char *path, int n)
{
    char *slash = path;

    while (n-- > 0 && slash != NULL) {
        slash = strchr(slash + 1, '/');
    }
    if (slash != NULL) {
        *slash = '\0';
    }
    return slash != NULL;
}

static char *
describe(const struct qemu_user *u, char *path, int part)
{
    bool is_folder = cut_after(path, part);
    struct stat st;
    char *why = NULL;

    if (stat(path, &st) < 0) {
        st = (struct stat){0};
    }
    if (asprintf(&why,
                 "QEMU's user %s (see " QEMU_CONF ") cannot %s %s (owner %u, group %u, "
                 "mode %04o); %s",
                 u->name, is_folder ? "enter" : "open", path, st.st_uid, st.st_gid,
                 st.st_mode & 07777,
                 is_folder ? "let it through, e.g. by chmod o+x"
                           : "give the service --socket-group with a group of QEMU's "
                             "user") < 0) {
        why = NULL;
    }
    return why;
}

int
qemu_user_may_connect(const struct qemu_user *u, const char *socket, char **ret_why)
{
    AUTO_FREE char *path = strdup(socket);
    int status = 0, part;
    pid_t pid;

    if (path == NULL) {
        return -ENOMEM;
    }
    if (geteuid() != 0) {
        return -EPERM;
    }
    pid = fork(); /* one thread */
    if (pid < 0) {
        return -errno;
    }
    if (pid == 0) {
        part = become(u) ? first_barrier(path) : TROUBLE;
        _exit(part <= MAX_PARTS ? part : TROUBLE);
    }
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return -errno;
        }
    }
    part = WIFEXITED(status) ? WEXITSTATUS(status) : TROUBLE;
    if (part == TROUBLE) {
        return -EIO;
    }
    if (part > 0) {
        *ret_why = describe(u, path, part);
        return *ret_why != NULL ? 0 : -ENOMEM;
    }
    return 1;
}
