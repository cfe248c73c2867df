/* SPDX-License-Identifier: BSD-3-Clause */
/* json_depth.h - is JSON of somebody else safe to give to a parser that recurses? */
#ifndef BATON_JSON_DEPTH_H
#define BATON_JSON_DEPTH_H

#include <stdbool.h>
#include <stddef.h>

/* Does the text nest deeper than max? One pass without recursion; a text that is not
 * JSON gets some answer and is for the parser to refuse. */
bool json_depth_exceeds(const char *text, size_t len, unsigned max);

#endif
