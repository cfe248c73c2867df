/* SPDX-License-Identifier: BSD-3-Clause */
/* config.h (config_*, service_config_*) - what a service is told by options, plugin
 * parameters and its file.
 *
 * The three say the same things in the same words: --disk name=D,device=/x on the
 * command line, disk=name=D,device=/x to the plugin, and in the file (libconfig)
 *   name = "a"; listen = [ "unix:/run/baton/a.nbd" ]; control =
 * "unix:/run/baton/a.ctl"; state-dir = "/var/lib/baton/a"; disks = ( { name = "D";
 * device = "/x"; vm = "web"; layers = [ "limit:iops=500" ]; } ); Every mistake is one
 * sentence with its place ("a.conf:7: disk D: cache=fast: ... allowed: none, writeback,
 * writethrough") and -EINVAL. Not thread-safe.
 */
#ifndef BATON_CONFIG_H
#define BATON_CONFIG_H

#include "config_rows.h"
#include "err.h"
#include "port_channel.h"
#include "port_file.h"
#include "record.h"
#include "stack.h"
#include "tls_settings.h"
#include "uri.h"

#define CONFIG_MAX_LISTEN 8
#define CONFIG_MAX_DISKS 4096

/* Who may write at a time: one VM of those that libvirt tells of (lease.h); also one of
 * the clients that nobody tells of (writers.h); or anybody. */
enum config_writers { WRITERS_VM, WRITERS_ONE, WRITERS_ANY };

/* What config_disk_keys[] (config_disk.c) says of a disk; nbdkit-baton-plugin(1) says
 * what the keys mean. */
struct disk_config {
    char name[NAME_MAX_LEN + 1];
    char vm[NAME_MAX_LEN + 1]; /* "" when none */
    char uuid[37];             /* "" when not given */
    char *device;
    char *description;   /* NULL when none */
    char *peers_allowed; /* who may come by TLS or vsock, with commas; NULL: anybody */
    bool is_nbd;         /* device is an NBD URI */
    bool readonly;
    enum role role; /* ROLE_OWNER or ROLE_STANDBY; only for a disk without a record */
    enum file_cache cache;
    enum channel_durability durability;
    enum config_writers writers;
    unsigned connections;
    bool reconnects;            /* to an nbd device whose server has ended */
    uint64_t fail_after_ns;     /* CLOCK_NEVER: wait for ever */
    uint64_t appears_within_ns; /* that a device is waited for; 0: not at all */
    struct stack_spec layers;
};

struct service_config {
    char name[NAME_MAX_LEN + 1];
    unsigned nr_listen;
    struct uri listen[CONFIG_MAX_LISTEN];
    unsigned nr_announce; /* how peers reach the listeners, where that differs */
    struct uri announce[CONFIG_MAX_LISTEN];
    bool has_control;
    struct uri control;      /* the unix socket */
    unsigned nr_net_control; /* tcp, by TLS, and vsock */
    struct uri net_control[CONFIG_MAX_LISTEN];
    bool has_announce_control; /* how peers reach one of these */
    struct uri announce_control;
    struct uri_access listen_access; /* who may connect to unix listeners */
    struct uri_access control_access;
    struct tls_settings tls;
    unsigned nr_peers; /* whom to ask who owns a disk, when its owner does not answer */
    struct uri peers[CONFIG_MAX_LISTEN];
    bool has_heir; /* handoff-on-term: who gets the disks when the service is stopped */
    struct uri heir;
    char *state_dir;
    unsigned nr_disks, max_disks; /* there are, there is room for */
    struct disk_config *disks;
};

extern const struct config_row config_settings[];

/* Not config_init(): libconfig exports a symbol of that name. */
void service_config_init(struct service_config *c);
void service_config_done(struct service_config *c);

/* One setting. key is a word of config_settings[] (config_rows.h), among them config, a
 * file to read. where names the place in errors ("--disk", "parameter"). -EINVAL with a
 * sentence; c is unchanged, to the byte, by a setting or a file that is refused. */
int config_set(struct service_config *c, const char *key, const char *value,
               const char *where, struct err *e);

/* All there, no two disks of one name, of one device, or of one uuid? Fills what may be
 * left out. Devices are not opened. */
int config_complete(struct service_config *c, struct err *e);

/* The control URI by which a peer that we reach at `to` reaches us; "" when there is
 * none. */
const char *config_control_for(const struct service_config *c, const struct uri *to);

/* Is u, as it is written, where this service is controlled? */
bool config_is_own_control(const struct service_config *c, const struct uri *u);

/* "30s", "500ms", "50us", "2m", "0"; 0 or -EINVAL and a sentence. */
int config_parse_duration(const char *s, struct err *e, uint64_t *ret_ns);

#endif
