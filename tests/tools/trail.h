/* SPDX-License-Identifier: BSD-3-Clause */
/* trail.h - the latest requests of a checker, with times: what is needed to explain a
 * fault, written down only when there is one. Any thread. */
#ifndef BATON_TRAIL_H
#define BATON_TRAIL_H

#include <stdint.h>

#define TRAIL_EVENTS (1u << 18) /* of 48 bytes; a minute or more of a busy load */

struct trail;

enum trail_what {
    TRAIL_SENT,
    TRAIL_AGAIN, /* once more: its connection broke, or an error was to be repeated */
    TRAIL_ANSWERED,
    TRAIL_FAILED, /* answered with an error */
    TRAIL_CONNECTED,
    TRAIL_BROKEN,
};

/* kind: static text. seq: the number in the stamp of a write, 0 if there is none. */
struct trail_event {
    uint64_t ns; /* set by trail_note() */
    uint64_t sector, seq;
    const char *kind;
    uint32_t nr_sectors;
    uint16_t conn;
    uint16_t what;
};

/* NULL: no memory; the functions below do nothing then. */
struct trail *trail_new(void);
void trail_free(struct trail *t);

void trail_note(struct trail *t, const struct trail_event *e);

/* One line an event, oldest first, with the time as the trace of a service has it;
 * first_sector is added to sectors. 0 or -errno. */
int trail_write(struct trail *t, uint64_t first_sector, const char *path);

#endif
