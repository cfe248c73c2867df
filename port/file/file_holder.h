/* SPDX-License-Identifier: BSD-3-Clause */
/* file_holder.h - who holds a lock on a byte of a file, in words. */
#ifndef BATON_FILE_HOLDER_H
#define BATON_FILE_HOLDER_H

#include <sys/types.h>

#define FILE_HOLDER_MAX 256

/* Write to who: "qemu-system-x86_64 (pid 123), which holds a read lock on byte 201".
 * Who cannot be seen from here (another user, container or host) is "somebody". */
void file_holder_name(int fd, off_t byte, char who[FILE_HOLDER_MAX]);

#endif
