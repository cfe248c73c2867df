/* SPDX-License-Identifier: BSD-3-Clause */
/* file_ident.h - what the system knows about which device an open descriptor is. */
#ifndef BATON_FILE_IDENT_H
#define BATON_FILE_IDENT_H

#include <stdbool.h>

/* As port_ops.identify in port.h. */
int file_ident_of(int fd, char *id, int id_size);

/* What it will still be called after a reboot, in the same way: "wwn:...",
 * "serial:...", "dm:<uuid>", or "inode:<file system>:<inode>:<generation>". Two
 * different texts of one kind are two devices, and a file is no block device; 0:
 * nothing is known that lasts. */
int file_ident_lasting(int fd, char *id, int id_size);

/* Is the block device fd a spinning disk? */
bool file_ident_is_rotational(int fd);

#endif
