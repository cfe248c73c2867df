/* SPDX-License-Identifier: BSD-3-Clause */
/* name.h - how people and services call things: the names of disks, VMs and services
 * (name_*), and the UUIDs that tell two of one name apart (uuid_*). */
#ifndef BATON_NAME_H
#define BATON_NAME_H

#include <stdbool.h>

#define NAME_MAX_LEN 63

/* [A-Za-z0-9][A-Za-z0-9._-]{0,62}? */
bool name_is_valid(const char *s);

/* 36 characters, lower-case hexadecimal with dashes? */
bool uuid_is_valid(const char *s);

#endif
