/* SPDX-License-Identifier: BSD-3-Clause */
/* option.h - numbers on a tool's command line. A wrong one ends the tool with status 2.
 */
#ifndef BATON_OPTION_H
#define BATON_OPTION_H

#include <stdint.h>

/* Decimal, with k, m or g for powers of 1024. least <= the result <= most. */
uint64_t option_number(const char *name, const char *text, uint64_t least,
                       uint64_t most);

/* "A..B", or "A" for both. */
void option_range(const char *name, const char *text, uint64_t least, uint64_t most,
                  uint64_t *ret_from, uint64_t *ret_to);

#endif
