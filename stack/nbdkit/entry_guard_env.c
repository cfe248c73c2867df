/* SPDX-License-Identifier: BSD-3-Clause */
/* The guard is for nbdkit alone. What nbdkit starts (ssh for us, commands of filters)
 * must run as if nobody had preloaded anything: so in nbdkit, before its main() runs,
 * our module is taken out of LD_PRELOAD again. What else is in there is the user's and
 * stays as it was.
 *
 * "--nbdkit" may name a script that becomes nbdkit: what is no nbdkit passes it on. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "guard_env.h"

/* Cut the entry out of the list, which has spaces or colons between its entries. The
 * last one: serve_preload() puts ours behind what was there. */
static void
cut_last(char *list, const char *entry)
{
    size_t len = strlen(entry);
    char *found = NULL;

    for (char *p = strstr(list, entry); p != NULL; p = strstr(p + 1, entry)) {
        if ((p == list || strchr(": ", p[-1]) != NULL) &&
            (p[len] == '\0' || strchr(": ", p[len]) != NULL)) {
            found = p;
        }
    }
    if (found == NULL) {
        return;
    }
    if (found > list) {
        found--; /* with what separates it from the one before */
        len++;
    } else if (found[len] != '\0') {
        len++;
    }
    memmove(found, found + len, strlen(found + len) + 1);
}

bool
guard_env_take(void)
{
    /* NOLINTBEGIN(concurrency-mt-unsafe): before main, there are no threads */
    bool has_no_turns = getenv("BATON_GUARD_NO_TURNS") != NULL;
    const char *before = getenv("LD_PRELOAD");
    char *list = before != NULL ? strdup(before) : NULL;
    Dl_info self;

    if (list != NULL && dlsym(RTLD_DEFAULT, "nbdkit_add_export") != NULL &&
        dladdr((void *)guard_env_take, &self) != 0) {
        cut_last(list, self.dli_fname);
        /* None can fail: nothing gets longer, no name is wrong. */
        (void)(list[0] != '\0' ? setenv("LD_PRELOAD", list, 1)
                               : unsetenv("LD_PRELOAD"));
        (void)unsetenv("BATON_GUARD_NO_TURNS");
    }
    free(list);
    /* NOLINTEND(concurrency-mt-unsafe) */
    return has_no_turns;
}
