/* SPDX-License-Identifier: BSD-3-Clause */
#include "socket_path.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

/* The path with one "/" in front of each part and no part "."; cut when it is too long,
 * which no socket's path is. */
static void
tidy(const char *path, char *buf)
{
    size_t n = 0;

    while (*path != '\0') {
        const size_t len = strcspn(path, "/");

        if (len > 0 && !(len == 1 && path[0] == '.') && n + len + 2 < PATH_MAX) {
            buf[n++] = '/';
            memcpy(buf + n, path, len);
            n += len;
        }
        path += len + (path[len] == '/');
    }
    buf[n] = '\0';
}

bool
socket_path_is_same(const char *a, const char *b)
{
    char tidy_a[PATH_MAX], tidy_b[PATH_MAX];
    struct stat st_a, st_b;

    tidy(a, tidy_a);
    tidy(b, tidy_b);
    return strcmp(tidy_a, tidy_b) == 0 ||
           (stat(tidy_a, &st_a) == 0 && stat(tidy_b, &st_b) == 0 &&
            st_a.st_dev == st_b.st_dev && st_a.st_ino == st_b.st_ino);
}
