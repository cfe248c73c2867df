/* SPDX-License-Identifier: BSD-3-Clause */
/* channel_name.h - the export name that a channel asks for, and its right to be one.
 *
 *   baton-channel;uuid=U;epoch=N;client=C;session=S;proof=P
 *
 * N and S are decimal, C is [A-Za-z0-9._-]{1,63}, P is 64 digits of lower case hex.
 *
 * S is the number of the link (port_channel.h) that asks, which is a session of the
 * owner's. A channel passes the layers of a disk and fences sessions of the client that
 * it names. So it has to prove that it was told the right of the disk's owner, a secret
 * of this ownership that goes over control connections only. P is a MAC of all that
 * stands before it, with the right as its key: a peer that sees a name can repeat it as
 * long as it is that client's newest, and can make no other one. */
#ifndef BATON_CHANNEL_NAME_H
#define BATON_CHANNEL_NAME_H

#include <stdbool.h>
#include <stdint.h>

#define CHANNEL_NAME_PREFIX "baton-channel;"
#define CHANNEL_NAME_MAX 512
#define CHANNEL_RIGHT_SIZE 33 /* of 32 digits of hex: 128 random bits */
#define CHANNEL_PROOF_SIZE 65

struct channel_name {
    char uuid[37];
    uint64_t epoch;
    char client[64];
    uint64_t session;
    char proof[CHANNEL_PROOF_SIZE];
};

/* 0, or -EINVAL for anything but the exact form above. */
int channel_name_parse(const char *s, struct channel_name *ret_name);
/* Returns the length; buf has CHANNEL_NAME_MAX bytes. */
int channel_name_format(const struct channel_name *n, char *buf);

/* A new right, by the system's random numbers. */
void channel_right_new(char *ret_right);
bool channel_right_is_valid(const char *s);

/* How much of a name, or of any text, people may see: it ends before a proof. */
int channel_name_shown(const char *name);

/* Put the proof of right into n, whose other members say what is asked for. */
void channel_name_prove(struct channel_name *n, const char *right);
/* Is it the proof of right? Takes as long whatever it is. */
bool channel_name_is_proved(const struct channel_name *n, const char *right);

#endif
