/* SPDX-License-Identifier: BSD-3-Clause */
#include "stack.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "layers.h"

struct stack {
    unsigned nr; /* ports in use; the last one is the stats layer */
    struct port *ports[STACK_MAX_LAYERS + 1];
};

static void
layer_spec_done(struct layer_spec *l)
{
    unsigned i;

    for (i = 0; i < l->nr_params; i++) {
        free(l->params[i].key);
        free(l->params[i].value);
    }
    free(l->name);
    *l = (struct layer_spec){.name = NULL};
}

void
stack_spec_done(struct stack_spec *s)
{
    while (s->nr_layers > 0) {
        layer_spec_done(&s->layers[--s->nr_layers]);
    }
}

/* The text up to the next single ':' with "::" made ":"; *s moves behind that colon and
 * becomes NULL at the end of the text. NULL when out of memory. */
static char *
next_word(const char **s)
{
    char *word = malloc(strlen(*s) + 1), *to = word;
    const char *p = *s;

    if (word == NULL) {
        return NULL;
    }
    while (*p != '\0' && (*p != ':' || p[1] == ':')) {
        p += *p == ':';
        *to++ = *p++;
    }
    *to = '\0';
    *s = *p == ':' ? p + 1 : NULL;
    return word;
}

static int
parse_param(struct layer_spec *l, const char **s, struct err *e)
{
    AUTO_FREE char *word = next_word(s);
    char *equals, *key, *value;

    if (word == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    equals = strchr(word, '=');
    if (equals == NULL || equals == word) {
        return err_set(e, -EINVAL, "\"%s\" is not of the form key=value", word);
    }
    if (l->nr_params == LAYER_MAX_PARAMS) {
        return err_set(e, -EINVAL, "more than %d parameters", LAYER_MAX_PARAMS);
    }
    key = strndup(word, (size_t)(equals - word));
    value = strdup(equals + 1);
    if (key == NULL || value == NULL) {
        free(key);
        free(value);
        return err_set(e, -ENOMEM, "out of memory");
    }
    l->params[l->nr_params].key = key;
    l->params[l->nr_params].value = value;
    l->nr_params++;
    return 0;
}

static int
find_type(const char *name, struct err *e, const struct layer_type **ret_type)
{
    const struct layer_type *type = layer_find(name);
    char names[128] = "";
    size_t n = 0;
    unsigned i;

    if (type != NULL) {
        *ret_type = type;
        return 0;
    }
    for (i = 0; i < LAYER_NR_TYPES; i++) {
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", i > 0 ? ", " : "",
                              layer_types[i]->name);
        assert(n < sizeof names);
    }
    return err_set(e, -EINVAL, "there is no layer \"%s\"; allowed: %s", name, names);
}

static void
lend_params(const struct layer_spec *l, struct layer_param *params)
{
    unsigned i;

    for (i = 0; i < l->nr_params; i++) {
        params[i] = (struct layer_param){l->params[i].key, l->params[i].value};
    }
}

static int
parse_layer(const char *text, struct layer_spec *l, struct err *e)
{
    struct layer_param params[LAYER_MAX_PARAMS];
    const struct layer_type *type;
    const char *s = text;
    int rc;

    l->name = next_word(&s);
    if (l->name == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    rc = find_type(l->name, e, &type);
    if (rc < 0) {
        return rc;
    }
    while (rc == 0 && s != NULL) {
        rc = parse_param(l, &s, e);
    }
    if (rc == 0) {
        lend_params(l, params);
        rc = type->check(params, l->nr_params, e);
    }
    return rc < 0 ? err_prefix(e, rc, "layer %s", l->name) : 0;
}

int
stack_spec_add(struct stack_spec *s, const char *text, struct err *e)
{
    struct layer_spec l = {.name = NULL};
    int rc;

    if (s->nr_layers == STACK_MAX_LAYERS) {
        return err_set(e, -EINVAL, "more than %d layers", STACK_MAX_LAYERS);
    }
    rc = parse_layer(text, &l, e);
    if (rc < 0) {
        layer_spec_done(&l);
        return rc;
    }
    s->layers[s->nr_layers++] = l;
    return 0;
}

static int
open_layer(const struct layer_spec *l, struct port *below, struct err *e,
           struct port **ret_layer)
{
    struct layer_param params[LAYER_MAX_PARAMS];
    const struct layer_type *type = NULL;
    int rc = find_type(l->name, e, &type);

    if (rc < 0) {
        return rc;
    }
    assert(type != NULL);
    lend_params(l, params);
    rc = type->open(below, params, l->nr_params, e, ret_layer);
    return rc < 0 ? err_prefix(e, rc, "layer %s", l->name) : 0;
}

int
stack_open(const struct stack_spec *spec, struct port *bottom, struct err *e,
           struct stack **ret_stack)
{
    struct stack *s = calloc(1, sizeof *s);
    struct port *top = bottom;
    unsigned i;
    int rc;

    if (s == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    for (i = 0; i < spec->nr_layers; i++) {
        rc = open_layer(&spec->layers[i], top, e, &s->ports[s->nr]);
        if (rc < 0) {
            goto fail;
        }
        top = s->ports[s->nr++];
    }
    rc = layer_stats_new(top, &s->ports[s->nr]);
    if (rc < 0) {
        rc = err_set(e, rc, "layer stats: out of memory");
        goto fail;
    }
    s->nr++;
    *ret_stack = s;
    return 0;

fail:
    stack_close(s);
    return rc;
}

struct port *
stack_top(struct stack *s)
{
    return s->ports[s->nr - 1];
}

void
stack_close(struct stack *s)
{
    if (s == NULL) {
        return;
    }
    while (s->nr > 0) {
        port_close(s->ports[--s->nr]);
    }
    free(s);
}

void
stack_latency(struct stack *s, enum req_op op, struct layer_latency *ret_latency)
{
    layer_stats_latency(stack_top(s), op, ret_latency);
}
