/* SPDX-License-Identifier: BSD-3-Clause */
/* breakpoint.h - named points where a test makes a process die, stop, wait or fail.
 *
 * Compiled in with BATON_BREAKPOINTS (presets dev, tsan and torture), else nothing. A
 * point is armed by a file of its name in the folder $BATON_BREAK_DIR. It holds
 *   kill   SIGKILL to this process
 *   stop   SIGSTOP to this process; it goes on after SIGCONT
 *   wait   go on when the file NAME.go is there
 *   fail   the point's value is -EIO; nothing where nobody looks at the value
 * A point acts once: the file becomes NAME.hit before anything is done, so of several
 * threads and processes one acts. An unreadable or unknown action does nothing but
 * that.
 *
 * The names and what each means are in breakpoint.c; a name that is not there fails an
 * assertion. Do not set a point in the data path: each costs a system call. */
#ifndef BATON_BREAKPOINT_H
#define BATON_BREAKPOINT_H

#include <stdbool.h>

#ifdef BATON_BREAKPOINTS

/* 0, or -EIO for "fail". May block for ever; do not call it with a lock held that is
 * needed to answer others. */
#define BREAKPOINT(name) breakpoint_reach(name)
int breakpoint_reach(const char *name);

/* Is the point armed now? Does not act and leaves it armed. Any name will do. */
bool breakpoint_is_set(const char *name);

/* The i-th name, NULL past the last. */
const char *breakpoint_name(unsigned i);

#else

#define BREAKPOINT(name) breakpoint_none()

static inline int
breakpoint_none(void)
{
    return 0;
}

static inline bool
breakpoint_is_set(const char *name)
{
    (void)name;
    return false;
}

#endif

#endif
