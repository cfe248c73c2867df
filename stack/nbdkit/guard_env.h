/* SPDX-License-Identifier: BSD-3-Clause */
/* guard_env.h - private to the guard (entry_guard.c). See entry_guard_env.c. */
#ifndef BATON_GUARD_ENV_H
#define BATON_GUARD_ENV_H

#include <stdbool.h>

/* Before main: take what is ours out of nbdkit's environment. True when it said that no
 * turn may be kept (entry_guard_turn.c). */
__attribute__((visibility("hidden"))) bool guard_env_take(void);

#endif
