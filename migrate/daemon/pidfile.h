/* SPDX-License-Identifier: BSD-3-Clause */
/* pidfile.h - a file with the number of this process, for as long as it serves. One of
 * a process. */
#ifndef BATON_PIDFILE_H
#define BATON_PIDFILE_H

#include "err.h"

/* The absolute path; copied. Before there are threads. -ENOMEM. */
int pidfile_choose(const char *path);

/* Write it, whole at any moment; nothing when none was chosen. What another process
 * wrote there is replaced: it may be dead. e names the file and the reason. */
int pidfile_write(struct err *e);

/* Remove it, unless another process has written its own number there since. */
void pidfile_remove(void);

#endif
