/* SPDX-License-Identifier: BSD-3-Clause */
/* disk_durability.h (disk_*) - what an owner tells the channels about where
 * acknowledged writes are (channel_owner.h), and what becomes of those that a channel
 * has kept. */
#ifndef BATON_DISK_DURABILITY_H
#define BATON_DISK_DURABILITY_H

#include "channel_owner.h"
#include "disk.h"
#include "port_channel.h"

/* Where writes are that this service acknowledges for d and has not flushed: in the
 * page cache, for a file or block device, so the boot id. With an NBD device they are
 * in a server that we know nothing about: when it dies our port fails for good and this
 * process has to be started again, or it is promised that they outlive it
 * (port_nbd.h), so this life of the service. buf has
 * CHANNEL_INSTANCE_MAX bytes. */
void disk_instance(struct disk *d, char *buf);

/* Why the device that we own does not serve though it was opened: its NBD server is
 * gone. "": no such thing is known. text has SEARCH_TEXT bytes. */
void disk_device_lost(struct disk *d, char *text);

/* The statement for a channel that asks for this epoch; buf has CHANNEL_OWNER_MAX
 * bytes. */
void disk_statement(struct disk *d, uint64_t asked_epoch, char *buf);

/* We became the owner, as the record says; recall the channel and write to port A what
 * it has kept, unless it is known to be flushed. */
void disk_repeat_kept(struct disk *d, struct port *channel, struct port *to);

/* How many acknowledged changes port B keeps; a moment ago. */
uint64_t disk_nr_kept(struct disk *d);

/* A VM's connection to d here is gone. If that was the VM's last, whoever writes next
 * may be elsewhere, and nothing kept for it is sent again: flushes. After the last VM
 * (is_last) the channel's lanes go. May block. */
void disk_rest_after_vm(struct disk *d, struct vm_conn *conn, bool is_last);

#endif
