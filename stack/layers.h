/* SPDX-License-Identifier: BSD-3-Clause */
/* layers.h - every layer type there is, for the registry, the stack and the tests. */
#ifndef BATON_LAYERS_H
#define BATON_LAYERS_H

#include "layer.h"

extern const struct layer_type layer_stats;
extern const struct layer_type layer_slice;
extern const struct layer_type layer_limit;

#define LAYER_NR_TYPES 3
extern const struct layer_type *const layer_types[LAYER_NR_TYPES];

#endif
