/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "config_parts.h"

int
config_items_add(struct config_items *items, const char *key, const char *value,
                 const char *place, struct err *e)
{
    struct config_item it;

    if (items->nr == CONFIG_MAX_ITEMS) {
        return err_set(e, -EINVAL, "%s: too many keys; allowed: at most %d in one disk",
                       place, CONFIG_MAX_ITEMS);
    }
    it.key = strdup(key);
    it.value = strdup(value);
    it.place = strdup(place);
    if (it.key == NULL || it.value == NULL || it.place == NULL) {
        free(it.key);
        free(it.value);
        free(it.place);
        return err_set(e, -ENOMEM, "%s: out of memory", place);
    }
    items->item[items->nr++] = it;
    return 0;
}

/* Cut the next item off *rest, turning ",," into "," in place. NULL at the end. */
static char *
next_item(char **rest)
{
    char *start = *rest, *from = start, *to = start;

    if (start == NULL) {
        return NULL;
    }
    while (*from != '\0' && (*from != ',' || from[1] == ',')) {
        from += *from == ',' ? 1 : 0;
        *to++ = *from++;
    }
    *rest = *from == ',' ? from + 1 : NULL;
    *to = '\0';
    return start;
}

int
config_items_split(struct config_items *items, const char *text, const char *place,
                   struct err *e)
{
    AUTO_FREE char *copy = strdup(text);
    char *rest = copy, *item;
    int rc = 0;

    if (copy == NULL) {
        return err_set(e, -ENOMEM, "%s: out of memory", place);
    }
    while (rc == 0 && (item = next_item(&rest)) != NULL) {
        char *equals = strchr(item, '=');

        if (equals == NULL || equals == item) {
            return err_set(e, -EINVAL,
                           "%s: \"%.100s\" is not KEY=VALUE; allowed: KEY=VALUE,... "
                           "with \",,\" for a comma in a value",
                           place, item);
        }
        *equals = '\0';
        rc = config_items_add(items, item, equals + 1, place, e);
    }
    return rc;
}

void
config_items_done(struct config_items *items)
{
    for (unsigned i = 0; i < items->nr; i++) {
        free(items->item[i].key);
        free(items->item[i].value);
        free(items->item[i].place);
    }
    items->nr = 0;
}
