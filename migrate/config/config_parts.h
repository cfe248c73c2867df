/* SPDX-License-Identifier: BSD-3-Clause */
/* config_parts.h - what config.c, config_disk.c and config_file.c share; nobody else
 * includes it. A disk arrives as items (key, value, place) from either source, so that
 * both are judged by the same code. */
#ifndef BATON_CONFIG_PARTS_H
#define BATON_CONFIG_PARTS_H

#include "err.h"

#define CONFIG_MAX_ITEMS 32 /* every key once and every layer, with room to spare */

struct service_config;
struct disk_config;

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

/* Add a disk of these items to c. */
int config_add_disk(struct service_config *c, const struct config_items *items,
                    const char *place, struct err *e);

/* Apply a file's settings to c, which is half changed after an error: the caller
 * rolls back. where is for a file that cannot be read. */
int config_file_apply(struct service_config *c, const char *path, const char *where,
                      struct err *e);

/* Setters of config_net.c, called by config_set(). */
int config_set_tls_certificates(struct service_config *c, const char *value,
                                struct err *e);
int config_set_tls_psk(struct service_config *c, const char *value, struct err *e);
int config_set_tls_psk_user(struct service_config *c, const char *value, struct err *e);
int config_set_plain_tcp(struct service_config *c, const char *value, struct err *e);
int config_set_announce_control(struct service_config *c, const char *value,
                                struct err *e);
/* Setters of config_access.c; config_access_init() is what holds without them. */
void config_access_init(struct service_config *c);
int config_set_socket_owner(struct service_config *c, const char *value, struct err *e);
int config_set_socket_group(struct service_config *c, const char *value, struct err *e);
int config_set_socket_mode(struct service_config *c, const char *value, struct err *e);
int config_set_control_group(struct service_config *c, const char *value,
                             struct err *e);
void config_access_complete(struct service_config *c);

/* Do TLS, addresses and allow-lists go together? */
int config_check_net(const struct service_config *c, struct err *e);

/* UTF-8 without control characters, not empty: what can go into JSON, logs and lists.
 * 0 or -EINVAL and a sentence. */
int config_check_text(const char *s, struct err *e);

/* Keys of a disk that are about time (config_disk_time.c). */
int config_set_on_hold(struct disk_config *d, const char *v, struct err *e);
int config_set_fail_after(struct disk_config *d, const char *v, struct err *e);
int config_set_appears_within(struct disk_config *d, const char *v, struct err *e);

#endif
