/* SPDX-License-Identifier: BSD-3-Clause */
#include "nbdkit_filters.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"

/* They look, wait or refuse, but change nothing (nbdkit-*-filter(1)). */
static bool
is_transparent(const char *filter)
{
    static const char *const names[] = {
        "log",      "rate",     "delay", "stats", "error",    "pause",
        "exitlast", "exitwhen", "limit", "ip",    "nofilter", "blocksize-policy"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], filter) == 0) {
            return true;
        }
    }
    return false;
}

void
nbdkit_filters_find_opaque(const char *cmdline, size_t len, char *name, size_t size)
{
    const char *end = cmdline + len, *arg = cmdline, *filter;

    name[0] = '\0';
    while (arg < end && memchr(arg, '\0', (size_t)(end - arg)) != NULL) {
        const char *next = arg + strlen(arg) + 1;

        filter = NULL;
        if (strncmp(arg, "--filter=", 9) == 0) {
            filter = arg + 9;
        } else if (strcmp(arg, "--filter") == 0 && next < end) {
            filter = next;
        }
        if (filter != NULL && !is_transparent(filter)) {
            (void)snprintf(name, size, "%s", filter); /* a cut name will do */
            return;
        }
        arg = next;
    }
}

void
nbdkit_filters_of_this_process(char *name, size_t size)
{
    AUTO_FILE FILE *f = fopen("/proc/self/cmdline", "re");
    AUTO_FREE char *text = NULL;
    size_t room = 0;
    ssize_t n;

    name[0] = '\0';
    /* No byte is 0xff in UTF-8 text, so this reads it all. */
    n = f != NULL ? getdelim(&text, &room, 0xff, f) : -1;
    if (n > 0) {
        nbdkit_filters_find_opaque(text, (size_t)n, name, size);
    }
}
