/* SPDX-License-Identifier: BSD-3-Clause */
/* stack.h - the layers of one disk, built over a port that it borrows. */
#ifndef BATON_STACK_H
#define BATON_STACK_H

#include "layer.h"
#include "layer_stats.h"

#define STACK_MAX_LAYERS 8
#define LAYER_MAX_PARAMS 8

/* As configured; owns its strings (stack_spec_done). layer[0] is the lowest. */
struct stack_spec {
    unsigned nr_layers;
    struct layer_spec {
        char *name;
        unsigned nr_params;
        struct {
            char *key;
            char *value;
        } params[LAYER_MAX_PARAMS];
    } layers[STACK_MAX_LAYERS];
};

void stack_spec_done(struct stack_spec *s);

/* Parse "name" or "name:key=value:key=value" and add it on top. The text form used in
 * --disk ...,layer=slice:partition=1. -EINVAL with a sentence; s is unchanged then. */
int stack_spec_add(struct stack_spec *s, const char *text, struct err *e);

struct stack;

/* Build spec over bottom, which must outlive the stack; a stats layer is always put
 * on top, so that status and reports have latencies. Errors of layer_type.open. */
int stack_open(const struct stack_spec *spec, struct port *bottom, struct err *e,
               struct stack **ret_stack);
struct port *stack_top(struct stack *s);
/* No request is in s. NULL is accepted. */
void stack_close(struct stack *s);

/* Of one operation, since the stack was opened. */
void stack_latency(struct stack *s, enum req_op op, struct layer_latency *ret_latency);

#endif
