/* SPDX-License-Identifier: BSD-3-Clause */
#include "layer.h"

#include <stddef.h>
#include <string.h>

#include "layers.h"

const struct layer_type *const layer_types[LAYER_NR_TYPES] = {
    &layer_stats, &layer_slice, &layer_limit};

const struct layer_type *
layer_find(const char *name)
{
    unsigned i;

    for (i = 0; i < LAYER_NR_TYPES; i++) {
        if (strcmp(layer_types[i]->name, name) == 0) {
            return layer_types[i];
        }
    }
    return NULL;
}
