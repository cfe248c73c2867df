/* SPDX-License-Identifier: BSD-3-Clause */
#include "serial_wire.h"

#include <assert.h>
#include <string.h>
#include <sys/random.h>

#include "bytes.h"

#define HEADER_LEN 16U
#define TOKEN_LEN 8U
#define MAGIC 0x315e7a42U
#define OUT_LOW ((size_t)32 * 1024)   /* more waiting data makes other streams wait */
#define OUT_HIGH ((size_t)256 * 1024) /* with more waiting, nothing is read */

/* A message about the call itself: a signature, two numbers, and their check. */
#define SIGNATURE_LEN 16U
#define CALL_LEN (SIGNATURE_LEN + 24U)
#define CHECK 0x5bd1e9955bd1e995U

/* The signatures, and the numbers that follow. None begins like a frame or with 0. */
static const char calling[] = "Baton-serial-1 C";   /* our number, 0 */
static const char answering[] = "Baton-serial-1 A"; /* the caller's, ours */
static const char asking[] = "Baton-serial-1 W";    /* to be called: 0, 0 */

/* The last byte on the line is not zero. Otherwise the zeros before the next call could
 * complete a frame from which that byte was cut. */
static uint64_t
new_token(void)
{
    uint64_t t = 0;

    while (t >> 56 == 0) {
        ssize_t n = getrandom(&t, sizeof t, 0);

        t = n == (ssize_t)sizeof t ? t : 0;
    }
    return t;
}

static size_t
out_waiting(const struct wire *w)
{
    return w->out_end - w->out_pos;
}

/* Room for len bytes behind those that wait. */
static unsigned char *
out_space(struct wire *w, size_t len)
{
    if (w->out_end + len > sizeof w->out) {
        memmove(w->out, w->out + w->out_pos, out_waiting(w));
        w->out_end -= w->out_pos;
        w->out_pos = 0;
    }
    assert(w->out_end + len <= sizeof w->out);
    return w->out + w->out_end;
}

static void
put_call(struct wire *w, const char *signature, uint64_t a, uint64_t b)
{
    unsigned char *p = out_space(w, CALL_LEN);

    memcpy(p, signature, SIGNATURE_LEN);
    bytes_put_le64(p + SIGNATURE_LEN, a);
    bytes_put_le64(p + SIGNATURE_LEN + 8, b);
    bytes_put_le64(p + SIGNATURE_LEN + 16, a ^ ~b ^ CHECK);
    w->out_end += CALL_LEN;
}

/* Drop what waits. That may be the rest of a frame, which the zeros complete. */
static void
put_first(struct wire *w, const char *signature, uint64_t a)
{
    w->out_pos = w->out_end = 0;
    memset(out_space(w, WIRE_FRAME_MAX), 0, WIRE_FRAME_MAX);
    w->out_end += WIRE_FRAME_MAX;
    put_call(w, signature, a, 0);
}

static void
call(struct wire *w)
{
    w->own = new_token();
    put_first(w, calling, w->own);
}

void
wire_start(struct wire *w, bool is_caller)
{
    w->is_caller = is_caller;
    w->is_talking = false;
    w->in_pos = w->in_end = 0;
    if (is_caller) {
        call(w);
    } else {
        put_first(w, asking, 0);
    }
}

void
wire_hang_up(struct wire *w)
{
    w->is_talking = false;
    w->in_pos = w->in_end = 0;
    w->out_pos = w->out_end = 0;
}

/* The bytes that have come are no frame of this call; they may begin another call. */
static enum wire_event
lose(struct wire *w)
{
    w->is_talking = false;
    w->out_pos = w->out_end = 0;
    if (w->is_caller) {
        call(w);
    }
    return WIRE_ENDED;
}

/* p has a message about the call, CALL_LEN bytes. */
static enum wire_event
hear_call(struct wire *w, const unsigned char *p)
{
    uint64_t a = bytes_get_le64(p + SIGNATURE_LEN);
    uint64_t b = bytes_get_le64(p + SIGNATURE_LEN + 8);

    if (bytes_get_le64(p + SIGNATURE_LEN + 16) != (a ^ ~b ^ CHECK)) {
        return WIRE_NOTHING;
    }
    if (!w->is_caller && memcmp(p, calling, SIGNATURE_LEN) == 0 && a != 0) {
        w->own = new_token();
        w->theirs = a;
        w->out_pos = w->out_end = 0; /* the caller waits for nothing but the answer */
        put_call(w, answering, a, w->own);
        w->is_talking = true;
    } else if (w->is_caller && memcmp(p, answering, SIGNATURE_LEN) == 0 &&
               a == w->own && b != 0) {
        w->theirs = b;
        w->is_talking = true;
    } else if (w->is_caller && memcmp(p, asking, SIGNATURE_LEN) == 0) {
        call(w);
    }
    return w->is_talking ? WIRE_BEGUN : WIRE_NOTHING;
}

/* Between calls: skip everything but a message about a call. */
static enum wire_event
scan(struct wire *w)
{
    enum wire_event event = WIRE_NOTHING;

    while (event == WIRE_NOTHING && w->in_pos < w->in_end) {
        unsigned char *p = w->in + w->in_pos;
        size_t have = w->in_end - w->in_pos;
        unsigned char *at = memchr(p, calling[0], have);

        w->in_pos = at != NULL ? (size_t)(at - w->in) : w->in_end;
        have = w->in_end - w->in_pos;
        if (at == NULL ||
            memcmp(at, calling, have < SIGNATURE_LEN - 1 ? have : SIGNATURE_LEN - 1) !=
                0) {
            w->in_pos += at != NULL ? 1 : 0;
            continue;
        }
        if (have < CALL_LEN) {
            return WIRE_NOTHING;
        }
        event = hear_call(w, at);
        w->in_pos++; /* the next message begins behind this one's first byte */
    }
    if (event == WIRE_BEGUN) {
        w->in_pos += CALL_LEN - 1;
    }
    return event;
}

static enum wire_event
next_frame(struct wire *w, struct wire_frame *ret_frame)
{
    const unsigned char *p = w->in + w->in_pos;
    size_t have = w->in_end - w->in_pos;
    uint32_t type, len;

    if (have > 0 && p[0] != (MAGIC & 0xff)) {
        return lose(w);
    }
    if (have < HEADER_LEN) {
        return WIRE_NOTHING;
    }
    type = bytes_get_le32(p + 4);
    len = bytes_get_le32(p + 12);
    if (bytes_get_le32(p) != MAGIC || type < WIRE_OPEN || type > WIRE_CLOSE ||
        len > WIRE_MAX_DATA) {
        return lose(w);
    }
    if (have < HEADER_LEN + len + TOKEN_LEN) {
        return WIRE_NOTHING;
    }
    if (bytes_get_le64(p + HEADER_LEN + len) != w->own) {
        return lose(w);
    }
    *ret_frame = (struct wire_frame){.type = (enum wire_type)type,
                                     .stream = bytes_get_le32(p + 8),
                                     .len = len,
                                     .data = p + HEADER_LEN};
    w->in_pos += HEADER_LEN + len + TOKEN_LEN;
    return WIRE_FRAME;
}

enum wire_event
wire_next(struct wire *w, struct wire_frame *ret_frame)
{
    return w->is_talking ? next_frame(w, ret_frame) : scan(w);
}

bool
wire_has_room(const struct wire *w)
{
    return w->is_talking && out_waiting(w) < OUT_LOW;
}

bool
wire_may_read(const struct wire *w)
{
    return out_waiting(w) < OUT_HIGH;
}

static void
put_frame(struct wire *w, enum wire_type type, uint32_t stream, size_t len)
{
    unsigned char *p = w->out + w->out_end;

    bytes_put_le32(p, MAGIC);
    bytes_put_le32(p + 4, type);
    bytes_put_le32(p + 8, stream);
    bytes_put_le32(p + 12, (uint32_t)len);
    bytes_put_le64(p + HEADER_LEN + len, w->theirs);
    w->out_end += HEADER_LEN + len + TOKEN_LEN;
}

void
wire_put(struct wire *w, enum wire_type type, uint32_t stream, const void *data,
         size_t len)
{
    unsigned char *p = out_space(w, HEADER_LEN + len + TOKEN_LEN);

    assert(w->is_talking && len <= WIRE_MAX_DATA);
    if (len > 0) {
        memcpy(p + HEADER_LEN, data, len);
    }
    put_frame(w, type, stream, len);
}

void *
wire_data_space(struct wire *w)
{
    return out_space(w, WIRE_FRAME_MAX) + HEADER_LEN;
}

void
wire_put_data(struct wire *w, uint32_t stream, size_t len)
{
    assert(w->is_talking && len > 0 && len <= WIRE_MAX_DATA);
    put_frame(w, WIRE_DATA, stream, len);
}

void *
wire_in_space(struct wire *w, size_t *ret_len)
{
    if (w->in_pos > 0) {
        memmove(w->in, w->in + w->in_pos, w->in_end - w->in_pos);
        w->in_end -= w->in_pos;
        w->in_pos = 0;
    }
    *ret_len = sizeof w->in - w->in_end; /* never 0: a frame takes half of it at most */
    return w->in + w->in_end;
}

void
wire_in_added(struct wire *w, size_t len)
{
    w->in_end += len;
}

const void *
wire_out(const struct wire *w, size_t *ret_len)
{
    *ret_len = out_waiting(w);
    return w->out + w->out_pos;
}

void
wire_out_sent(struct wire *w, size_t len)
{
    w->out_pos += len;
    if (w->out_pos == w->out_end) {
        w->out_pos = w->out_end = 0;
    }
}
