/* SPDX-License-Identifier: BSD-3-Clause */
/* config_parts.h - what the files of this folder share; nobody else includes it. A disk
 * arrives as items (key, value, place) from an option and from the file alike, so that
 * both are judged by the same code. Who calls whom: config.c calls config_file.c, that
 * calls config_settings.c, that calls all others. */
#ifndef BATON_CONFIG_PARTS_H
#define BATON_CONFIG_PARTS_H

#include "config_rows.h"
#include "err.h"

#define CONFIG_MAX_ITEMS 32 /* every key once and every layer, with room to spare */

struct config_item {
    char *key;
    char *value;
    char *place; /* "--disk", "a.conf:7" */
};

struct config_items {
    unsigned nr;
    struct config_item item[CONFIG_MAX_ITEMS];
};

/* Copies the strings. -EINVAL and a sentence when there are too many; -ENOMEM. */
int config_items_add(struct config_items *items, const char *key, const char *value,
                     const char *place, struct err *e);
/* Split "k=v,k=v", where ",," is a comma, and add all. */
int config_items_split(struct config_items *items, const char *text, const char *place,
                       struct err *e);
void config_items_done(struct config_items *items);

/* Judge the items and fill *ret_disk (config_disk_done releases it). place is for what
 * is missing, every other sentence has the place of its item. */
int config_disk_build(const struct config_items *items, const char *place,
                      struct err *e, struct disk_config *ret_disk);
void config_disk_done(struct disk_config *d);
extern const struct config_row config_disk_keys[];

/* Apply one setting to c, which is unchanged when it is refused. row is not "config".
 */
int config_settings_apply(struct service_config *c, const struct config_row *row,
                          const char *value, const char *where, struct err *e);

/* Apply a file's settings to c, which is half changed after an error. where is for a
 * file that cannot be read. */
int config_file_apply(struct service_config *c, const char *path, const char *where,
                      struct err *e);

/* Parsers of rows (config_rows.h). */
int config_net_set_certificates(struct service_config *c, const char *value,
                                struct err *e);
int config_net_set_psk(struct service_config *c, const char *value, struct err *e);
int config_net_set_psk_user(struct service_config *c, const char *value, struct err *e);
int config_net_set_plain_tcp(struct service_config *c, const char *value,
                             struct err *e);
int config_access_set_owner(struct service_config *c, const char *value, struct err *e);
int config_access_set_group(struct service_config *c, const char *value, struct err *e);
int config_access_set_mode(struct service_config *c, const char *value, struct err *e);
int config_access_set_control(struct service_config *c, const char *value,
                              struct err *e);

/* What holds without them: before the first setting, and after the last. */
void config_access_init(struct service_config *c);
void config_access_complete(struct service_config *c);

/* Do TLS, addresses and allow-lists go together? */
int config_net_check(const struct service_config *c, struct err *e);

#endif
