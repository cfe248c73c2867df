/* SPDX-License-Identifier: BSD-3-Clause */
/* config_text.h - what a value may be made of, for the other files of this folder. Each
 * is 0, or -EINVAL and a sentence. */
#ifndef BATON_CONFIG_TEXT_H
#define BATON_CONFIG_TEXT_H

#include <stdbool.h>

#include "err.h"

/* UTF-8 without control characters, not empty: what can go into JSON, logs and lists.
 */
int config_text_check(const char *s, struct err *e);

/* -EINVAL without a sentence: not every place has the same one. */
int config_text_switch(const char *s, bool *ret_is_on);

/* An absolute path that is not too long for the system. */
int config_text_path(const char *s, struct err *e);

/* Put a copy of value into *slot. Refused when something is there already. */
int config_text_keep(char **slot, const char *value, struct err *e);

/* The sentence for what may be given only once. */
int config_text_refuse_second(const char *before, struct err *e);

#endif
