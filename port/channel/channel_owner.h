/* SPDX-License-Identifier: BSD-3-Clause */
/* channel_owner.h - what an owner says of itself to a channel that connects: the
 * description of the export, so it is known before the first request is sent.
 *
 *   baton-owner;instance=I;epoch=N;flushed-by=J
 *
 * I names the owner's instance (channel_instance_*), which has what was acknowledged
 * and not flushed yet: as long as it is the same, that is there. J ("-": nobody) is the
 * owner that has flushed, after the last request that it performed, when it gave the
 * device away at an epoch before N. */
#ifndef BATON_CHANNEL_OWNER_H
#define BATON_CHANNEL_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#define CHANNEL_OWNER_PREFIX "baton-owner;"
#define CHANNEL_OWNER_MAX 512
#define CHANNEL_INSTANCE_MAX 128

struct channel_owner {
    char instance[CHANNEL_INSTANCE_MAX]; /* [A-Za-z0-9._-]+; "": it does not say */
    uint64_t epoch;
    char flushed_by[CHANNEL_INSTANCE_MAX]; /* "": nobody */
};

/* 0, or -EINVAL for anything but the exact form above. */
int channel_owner_parse(const char *s, struct channel_owner *ret_owner);
/* Returns the length; buf has CHANNEL_OWNER_MAX bytes. */
int channel_owner_format(const struct channel_owner *o, char *buf);

/* Can s stand for an instance? */
bool channel_instance_is_valid(const char *s);

#endif
