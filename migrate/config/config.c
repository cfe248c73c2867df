/* SPDX-License-Identifier: BSD-3-Clause */
/* config.c - the top of the configuration: it alone knows that a setting can be a file
 * of others. A file is applied to a scratch copy that takes the place of the
 * configuration when all of it was accepted. */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "config_parts.h"
#include "config_text.h"

/* Where the texts are that a configuration owns; NULL behind the last. */
static char **
owned_text(struct service_config *c, unsigned i)
{
    char **const texts[] = {&c->state_dir, &c->tls.certificates, &c->tls.psk,
                            &c->tls.psk_user};

    return i < sizeof texts / sizeof texts[0] ? texts[i] : NULL;
}

void
service_config_init(struct service_config *c)
{
    *c = (struct service_config){0};
    config_access_init(c);
}

void
service_config_done(struct service_config *c)
{
    char **text;

    for (unsigned i = 0; i < c->nr_disks; i++) {
        config_disk_done(&c->disks[i]);
    }
    free(c->disks);
    for (unsigned i = 0; (text = owned_text(c, i)) != NULL; i++) {
        free(*text);
    }
    *c = (struct service_config){0};
}

/* A copy that has an array of disks of its own, while c lends it what the disks and
 * the other settings point to. So a setting adds to what is there and replaces nothing.
 */
static int
scratch_begin(const struct service_config *c, struct err *e,
              struct service_config *ret_scratch)
{
    struct disk_config *disks = NULL;

    if (c->nr_disks > 0) {
        disks = reallocarray(NULL, c->nr_disks, sizeof *disks);
        if (disks == NULL) {
            return err_set(e, -ENOMEM, "out of memory");
        }
        memcpy(disks, c->disks, c->nr_disks * sizeof *disks);
    }
    *ret_scratch = *c;
    ret_scratch->disks = disks;
    ret_scratch->max_disks = c->nr_disks;
    return 0;
}

/* Free what scratch has and c does not. */
static void
scratch_drop(struct service_config *scratch, struct service_config *c)
{
    char **text;

    for (unsigned i = c->nr_disks; i < scratch->nr_disks; i++) {
        config_disk_done(&scratch->disks[i]);
    }
    free(scratch->disks);
    for (unsigned i = 0; (text = owned_text(scratch, i)) != NULL; i++) {
        if (*text != *owned_text(c, i)) {
            free(*text);
        }
    }
}

static void
scratch_take(struct service_config *scratch, struct service_config *c)
{
    free(c->disks); /* the array: what is in it has moved */
    *c = *scratch;
}

static int
set_file(struct service_config *c, const char *path, const char *where, struct err *e)
{
    struct service_config scratch;
    int rc = config_text_check(path, e);

    if (rc == 0) {
        rc = scratch_begin(c, e, &scratch);
    }
    if (rc < 0) {
        return err_prefix(e, rc, "%s", where);
    }
    rc = config_file_apply(&scratch, path, where, e);
    if (rc < 0) {
        scratch_drop(&scratch, c);
        return rc;
    }
    scratch_take(&scratch, c);
    return 0;
}

int
config_set(struct service_config *c, const char *key, const char *value,
           const char *where, struct err *e)
{
    const struct config_row *row = config_rows_find(config_settings, key, false);
    char list[CONFIG_LIST_LEN];

    if (row == NULL) {
        config_rows_list(config_settings, false, list, sizeof list);
        return err_set(e, -EINVAL, "%s: unknown setting \"%.100s\"; allowed: %s", where,
                       key, list);
    }
    if (row->form == CONFIG_NOT_IN_FILE) {
        return set_file(c, value, where, e);
    }
    return config_settings_apply(c, row, value, where, e);
}

bool
config_is_own_control(const struct service_config *c, const struct uri *u)
{
    bool is_own =
        (c->has_control && strcmp(u->text, c->control.text) == 0) ||
        (c->has_announce_control && strcmp(u->text, c->announce_control.text) == 0);

    for (unsigned i = 0; i < c->nr_net_control && !is_own; i++) {
        is_own = strcmp(u->text, c->net_control[i].text) == 0;
    }
    return is_own;
}

const char *
config_control_for(const struct service_config *c, const struct uri *to)
{
    /* The path of a socket means something on its own host only. */
    if (to->kind != URI_UNIX && c->has_announce_control) {
        return c->announce_control.text;
    }
    if (to->kind != URI_UNIX && c->nr_net_control > 0) {
        return c->net_control[0].text;
    }
    return c->has_control ? c->control.text : "";
}
