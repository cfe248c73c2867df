/* SPDX-License-Identifier: BSD-3-Clause */
/* record_device.h - disk/<name>.device of a state directory: what the device was called
 * and was like when the disk was last owned here (device_check.h). Lines of text:
 *   baton-device 1
 *   uuid UUID            of the disk
 *   epoch N              of that ownership
 *   closed N             incarnation that closed it in order; 0: none has
 *   name TEXT            what lasts of its name, see file_ident.h; may be empty
 *   sample HEX           IDENTITY_SAMPLES times, or not at all
 *   end
 * Not a record: without it a device is taken by its size alone, so it is not fsynced,
 * and what is not whole is not believed. */
#ifndef BATON_RECORD_DEVICE_H
#define BATON_RECORD_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "identity.h"

struct record_dir;

struct record_device {
    char uuid[37];
    uint64_t epoch; /* 0: nothing is known */
    uint64_t closed;
    char name[IDENTITY_DEVICE_LEN];
    bool has_samples;
    char samples[IDENTITY_SAMPLES][IDENTITY_HASH_LEN];
};

int record_device_write(struct record_dir *d, const char *disk,
                        const struct record_device *dev, struct err *e);
/* Durably: it is not believed again after a power cut. */
int record_device_remove(struct record_dir *d, const char *disk, struct err *e);
void record_device_read(struct record_dir *d, const char *disk,
                        struct record_device *ret_dev);

#endif
