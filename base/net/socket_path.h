/* SPDX-License-Identifier: BSD-3-Clause */
/* socket_path.h - is it the same socket, by whatever path? */
#ifndef BATON_SOCKET_PATH_H
#define BATON_SOCKET_PATH_H

#include <stdbool.h>

/* Do both paths name one socket: the same text but for "//", "/./" and a missing "/" in
 * front (QEMU is started in "/"), or, where both are there, the same file (symbolic and
 * hard links, bind mounts)? */
bool socket_path_is_same(const char *a, const char *b);

#endif
