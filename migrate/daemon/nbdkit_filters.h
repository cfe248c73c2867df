/* SPDX-License-Identifier: BSD-3-Clause */
/* nbdkit_filters.h - which nbdkit filters stand in front of this process's disks. They
 * stand in front of channels from other services too, which nbdkit cannot tell from a
 * VM. One that changes sizes or contents would do so twice on the way, so a service
 * with such a filter serves its own VMs but is no next owner. */
#ifndef BATON_NBDKIT_FILTERS_H
#define BATON_NBDKIT_FILTERS_H

#include <stddef.h>

/* Write the name of the first filter that is not known to pass requests unchanged, ""
 * when there is none, from the command line of this process (a list of strings that end
 * in NUL, as /proc gives it). size > 0; a longer name is cut. */
void nbdkit_filters_find_opaque(const char *cmdline, size_t len, char *name,
                                size_t size);

/* The same for this process. */
void nbdkit_filters_of_this_process(char *name, size_t size);

#endif
