/* SPDX-License-Identifier: BSD-3-Clause */
/* serial_wire.h - frames over a line that has no connections of its own: a
 * virtio-serial port, whose other end may be closed and opened anew in the middle of a
 * frame, with nothing in between to tell. No system calls but getrandom(2); one thread.
 *
 * One side is the caller: the one that connects (the host). Its call has a random
 * number, the answer another one, and every frame ends with the number that its
 * receiver has chosen. So a frame that was cut, or is of a call before, is never
 * delivered, and neither is one whose end is somebody else's beginning. Before a call
 * there are as many zeros as a frame can be long, so that a frame that was cut ends.
 *
 *   DEAF --the other side's call, or its answer to the latest call--> TALKING
 *   TALKING --hang_up, something that is no frame of this call------> DEAF
 */
#ifndef BATON_SERIAL_WIRE_H
#define BATON_SERIAL_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_MAX_DATA 32768U
#define WIRE_FRAME_MAX (16U + WIRE_MAX_DATA + 8U)
#define WIRE_OUT_SIZE (512U * 1024)

enum wire_type { WIRE_OPEN = 1, WIRE_DATA, WIRE_CREDIT, WIRE_END, WIRE_CLOSE };

struct wire_frame {
    enum wire_type type;
    uint32_t stream;
    uint32_t len;
    const unsigned char *data; /* valid until the next call */
};

struct wire {
    bool is_caller;
    bool is_talking;
    uint64_t own, theirs; /* what frames to us end with, and frames to them */
    size_t in_pos, in_end, out_pos, out_end;
    unsigned char in[2 * WIRE_FRAME_MAX];
    unsigned char out[WIRE_OUT_SIZE];
};

/* The line is new: nothing that was in the buffers counts. The caller calls; the other
 * side asks to be called, in case that the caller has not noticed. */
void wire_start(struct wire *w, bool is_caller);

/* Nobody is at the other end now. */
void wire_hang_up(struct wire *w);

enum wire_event {
    WIRE_NOTHING, /* more bytes are needed */
    WIRE_BEGUN,   /* talking; whatever was before has ended */
    WIRE_ENDED,   /* not any more */
    WIRE_FRAME,
};
enum wire_event wire_next(struct wire *w, struct wire_frame *ret_frame);

/* Talking, and may a frame of data be sent now without making others wait? */
bool wire_has_room(const struct wire *w);
/* Is so little waiting to be sent that answers to what is read find room? */
bool wire_may_read(const struct wire *w);

/* Queue a frame; only while talking, and with room as above. */
void wire_put(struct wire *w, enum wire_type type, uint32_t stream, const void *data,
              size_t len);
/* The same without a copy: room for WIRE_MAX_DATA, of which len are sent. */
void *wire_data_space(struct wire *w);
void wire_put_data(struct wire *w, uint32_t stream, size_t len);

/* Bytes from the line, and to it. */
void *wire_in_space(struct wire *w, size_t *ret_len);
void wire_in_added(struct wire *w, size_t len);
const void *wire_out(const struct wire *w, size_t *ret_len);
void wire_out_sent(struct wire *w, size_t len);

#endif
