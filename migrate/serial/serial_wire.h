/* SPDX-License-Identifier: BSD-3-Clause */
/* serial_wire.h (wire_*) - frames over a line that has no connections of its own, such
 * as a virtio-serial port: its other end may be closed and opened anew in the middle of
 * a frame, and nothing in the bytes shows that. No system calls but getrandom(2); one
 * thread. Prefix: wire_.
 *
 * One side is the caller: the host, which connects. Its call contains a random number,
 * the answer contains another one, and every frame ends with the number that its
 * receiver has chosen. So a frame is never delivered if it was cut, if it is of an
 * earlier call, or if its end is the beginning of something else. A call begins with as
 * many zeros as a frame can be long; they complete a frame that was cut.
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
    uint64_t own, theirs; /* the numbers that end frames to us, and frames to them */
    size_t in_pos, in_end, out_pos, out_end;
    unsigned char in[2 * WIRE_FRAME_MAX];
    unsigned char out[WIRE_OUT_SIZE];
};

/* The line is new: drop what the buffers hold. The caller calls; the other side asks to
 * be called, in case the caller has not noticed that the line is new. */
void wire_start(struct wire *w, bool is_caller);

/* Nobody is at the other end now. */
void wire_hang_up(struct wire *w);

enum wire_event {
    WIRE_NOTHING, /* more bytes are needed */
    WIRE_BEGUN,   /* a call has begun, and an earlier one has ended */
    WIRE_ENDED,   /* the call has ended */
    WIRE_FRAME,
};
enum wire_event wire_next(struct wire *w, struct wire_frame *ret_frame);

/* Is there a call, and may data be sent now without making other streams wait? */
bool wire_has_room(const struct wire *w);
/* Is there room for the answers to what would be read now? */
bool wire_may_read(const struct wire *w);

/* Queue a frame; only during a call, and with room as above. */
void wire_put(struct wire *w, enum wire_type type, uint32_t stream, const void *data,
              size_t len);
/* The same without a copy: write up to WIRE_MAX_DATA bytes to the space, then put len
 * of them. */
void *wire_data_space(struct wire *w);
void wire_put_data(struct wire *w, uint32_t stream, size_t len);

/* For the line: where bytes that come go to, and those that are to be sent. */
void *wire_in_space(struct wire *w, size_t *ret_len);
void wire_in_added(struct wire *w, size_t len);
const void *wire_out(const struct wire *w, size_t *ret_len);
void wire_out_sent(struct wire *w, size_t len);

#endif
