/* SPDX-License-Identifier: BSD-3-Clause */
/* layer.h - a layer is a port over another port. It borrows `below`: closing a layer
 * does not close what is under it, because under the lowest layer is a port that
 * outlives the stack. A layer does not know what is below it.
 */
#ifndef BATON_LAYER_H
#define BATON_LAYER_H

#include "err.h"
#include "port.h"

/* One parameter of a layer, as configured. Strings are borrowed for the call. */
struct layer_param {
    const char *key;
    const char *value;
};

struct layer_type {
    const char *name;   /* "stats", "slice", "limit" */
    const char *params; /* for error messages: "partition=N | label=TEXT | ..." */

    /* Are the parameters in order, as far as can be said without the device? 0 or
     * -EINVAL and a sentence that names the parameter and what is allowed. */
    int (*check)(const struct layer_param *params, unsigned nr, struct err *e);

    /* Make the layer over below. May read below. -EINVAL, -ENOENT (no such partition),
     * -ENOMEM, or the error of a read. */
    int (*open)(struct port *below, const struct layer_param *params, unsigned nr,
                struct err *e, struct port **ret_layer);
};

/* NULL when there is no layer of this name. */
const struct layer_type *layer_find(const char *name);

#endif
