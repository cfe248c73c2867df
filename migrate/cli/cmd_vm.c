/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_vm.c - runs baton-vm. That is a program of its own because it needs libvirt's
 * library, which a host of services may not have. It is in the folder of this program,
 * or where it was installed. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

/* The path of baton-vm in the folder of this program. */
static bool
find_beside(char *path, size_t size)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    if (n < 0) {
        return false;
    }
    self[n] = '\0';
    slash = strrchr(self, '/');
    return slash != NULL &&
           snprintf(path, size, "%.*s/baton-vm", (int)(slash - self), self) <
               (int)size &&
           access(path, X_OK) == 0;
}

int
cmd_vm(int argc, char **argv)
{
    char path[PATH_MAX];

    (void)argc;
    if (!find_beside(path, sizeof path)) {
        (void)snprintf(path, sizeof path, "%s/baton-vm", BATON_GUARD_DIR);
    }
    (void)execv(path, argv);
    return cli_fail(CLI_REFUSED, "vm",
                    "cannot run %s: %s; was Baton built without libvirt?", path,
                    err_text(NULL, -errno));
}
