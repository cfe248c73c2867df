/* SPDX-License-Identifier: BSD-3-Clause */
/* cleanup.h - scope guards: the value is released when its variable leaves scope.
 * TAKE() empties the variable and hands its value on (ownership leaves the scope). */
#ifndef BATON_CLEANUP_H
#define BATON_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void
cleanup_free(void *p)
{
    free(*(void **)p);
}

static inline void
cleanup_fd(const int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd); /* nothing was written through it that close could lose */
    }
}

static inline void
cleanup_file(FILE **f)
{
    if (*f != NULL) {
        (void)fclose(*f); /* read-only streams only */
    }
}

#define AUTO_FREE __attribute__((cleanup(cleanup_free)))
#define AUTO_FD __attribute__((cleanup(cleanup_fd)))
#define AUTO_FILE __attribute__((cleanup(cleanup_file)))

#define TAKE(p)                                                                        \
    ({                                                                                 \
        __typeof__(p) take_ = (p);                                                     \
        (p) = NULL;                                                                    \
        take_;                                                                         \
    })
#define TAKE_FD(fd)                                                                    \
    ({                                                                                 \
        int take_ = (fd);                                                              \
        (fd) = -1;                                                                     \
        take_;                                                                         \
    })

#endif
