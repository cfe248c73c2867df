/* SPDX-License-Identifier: BSD-3-Clause */
/* Two wires and the bytes between them, which are cut at every place. */
#include <string.h>

#include <check.h>

#include "serial_wire.h"
#include "suite.h"

#define NR_FRAMES 3
#define FRAME_DATA 100U

/* Static: half a MiB each. */
static struct wire host, vm;

/* Carry at most `most` bytes; returns how many. What does not fit is lost. */
static size_t
carry(struct wire *from, struct wire *to, size_t most)
{
    size_t len, room, n;
    const void *p = wire_out(from, &len);
    void *q = wire_in_space(to, &room);

    n = len < most ? len : most;
    ck_assert_uint_le(n, room);
    memcpy(q, p, n);
    wire_in_added(to, n);
    wire_out_sent(from, n);
    return n;
}

static void
expect(struct wire *w, enum wire_event event)
{
    struct wire_frame f;

    ck_assert_int_eq(wire_next(w, &f), event);
}

static void
start(void)
{
    wire_start(&host, true);
    wire_start(&vm, false);
    wire_hang_up(&vm); /* the question is for a caller that has not noticed */
    carry(&host, &vm, SIZE_MAX);
    expect(&vm, WIRE_BEGUN);
    carry(&vm, &host, SIZE_MAX);
    expect(&host, WIRE_BEGUN);
}

static void
send_frames(struct wire *w, unsigned char first)
{
    unsigned char data[FRAME_DATA];

    for (unsigned char i = 0; i < NR_FRAMES; i++) {
        memset(data, first + i, sizeof data);
        wire_put(w, WIRE_DATA, 7, data, sizeof data);
    }
}

/* Frames in order, each whole, from `first` on; then `last`. Returns how many. */
static unsigned
take_frames(struct wire *w, unsigned char first, enum wire_event last)
{
    enum wire_event event;
    struct wire_frame f;
    unsigned n = 0;

    while ((event = wire_next(w, &f)) == WIRE_FRAME) {
        ck_assert_int_eq(f.type, WIRE_DATA);
        ck_assert_uint_eq(f.stream, 7);
        ck_assert_uint_eq(f.len, FRAME_DATA);
        for (unsigned i = 0; i < FRAME_DATA; i++) {
            ck_assert_uint_eq(f.data[i], first + n);
        }
        n++;
    }
    ck_assert_int_eq(event, last);
    return n;
}

START_TEST(frames_arrive_whole_and_in_order_both_ways)
{
    start();
    send_frames(&host, 1);
    send_frames(&vm, 65);
    while (carry(&host, &vm, 1) > 0) { /* a byte at a time */
        struct wire_frame f;

        if (wire_next(&vm, &f) == WIRE_FRAME) {
            ck_assert_uint_eq(f.len, FRAME_DATA);
        }
    }
    carry(&vm, &host, SIZE_MAX);
    ck_assert_uint_eq(take_frames(&host, 65, WIRE_NOTHING), NR_FRAMES);
}
END_TEST

/* The host's end is closed and opened again, and nobody tells the VM. Whatever had
 * arrived of a frame, nothing is delivered but whole frames of one call. */
START_TEST(a_caller_that_is_new_is_noticed_wherever_it_was_cut)
{
    const size_t all = NR_FRAMES * (size_t)(16 + FRAME_DATA + 8);

    for (size_t cut = 0; cut <= all; cut++) {
        unsigned n;

        start();
        send_frames(&host, 1);
        send_frames(&vm, 65); /* for the host before: the new one must not get it */
        ck_assert_uint_eq(carry(&host, &vm, cut), cut);
        wire_start(&host, true);
        n = take_frames(&vm, 1, WIRE_NOTHING);
        ck_assert_uint_eq(n, cut / (all / NR_FRAMES));
        carry(&vm, &host, 50); /* a part of a frame, from before */
        carry(&host, &vm, SIZE_MAX);
        expect(&vm, WIRE_ENDED);
        expect(&vm, WIRE_BEGUN);
        expect(&host, WIRE_NOTHING);
        carry(&vm, &host, SIZE_MAX);
        expect(&host, WIRE_BEGUN);
        send_frames(&host, 10);
        carry(&host, &vm, SIZE_MAX);
        ck_assert_uint_eq(take_frames(&vm, 10, WIRE_NOTHING), NR_FRAMES);
    }
}
END_TEST

/* The VM's process is started again, in the middle of a frame; the host's end of the
 * port stays as it was. */
START_TEST(the_side_that_is_called_asks_for_a_new_call)
{
    const size_t all = NR_FRAMES * (size_t)(16 + FRAME_DATA + 8);

    for (size_t cut = 0; cut <= all; cut++) {
        start();
        send_frames(&vm, 65);
        carry(&vm, &host, cut);
        wire_start(&vm, false);
        (void)take_frames(&host, 65, WIRE_NOTHING);
        carry(&vm, &host, SIZE_MAX);
        expect(&host, WIRE_ENDED);
        expect(&host, WIRE_NOTHING); /* it has called once more for the question */
        carry(&host, &vm, SIZE_MAX);
        expect(&vm, WIRE_BEGUN);
        carry(&vm, &host, SIZE_MAX);
        expect(&host, WIRE_BEGUN);
    }
}
END_TEST

/* What comes behind a frame that was cut is zeros: they must not end it. One number in
 * 256 would. */
START_TEST(no_frame_ends_with_a_zero)
{
    for (unsigned i = 0; i < 4000; i++) {
        const unsigned char *p;
        size_t len;

        start();
        send_frames(&host, 1);
        p = wire_out(&host, &len);
        ck_assert_uint_ne(p[len - 1], 0);
        send_frames(&vm, 1);
        p = wire_out(&vm, &len);
        ck_assert_uint_ne(p[len - 1], 0);
    }
}
END_TEST

START_TEST(an_answer_to_an_older_call_is_none)
{
    wire_start(&host, true);
    wire_start(&vm, false);
    carry(&host, &vm, SIZE_MAX);
    expect(&vm, WIRE_BEGUN); /* the answer is on its way */
    wire_start(&host, true);
    carry(&vm, &host, SIZE_MAX);
    expect(&host, WIRE_NOTHING);
    carry(&host, &vm, SIZE_MAX);
    expect(&vm, WIRE_ENDED);
    expect(&vm, WIRE_BEGUN);
    carry(&vm, &host, SIZE_MAX);
    expect(&host, WIRE_BEGUN);
}
END_TEST

/* A length that nobody may send, behind a header that looks well. */
START_TEST(what_is_no_frame_ends_the_call)
{
    static const unsigned char header[16] = {0x42, 0x7a, 0x5e, 0x31, 2, 0, 0,
                                             0,    7,    0,    0,    0, 1, 0x80};
    size_t room;

    start();
    memcpy(wire_in_space(&vm, &room), header, sizeof header);
    wire_in_added(&vm, sizeof header);
    expect(&vm, WIRE_ENDED);
    expect(&vm, WIRE_NOTHING);
    memcpy(wire_in_space(&host, &room), "garbage", 7);
    wire_in_added(&host, 7);
    expect(&host, WIRE_ENDED);
    carry(&host, &vm, SIZE_MAX);
    expect(&vm, WIRE_BEGUN);
}
END_TEST

SUITE("serial_wire") = {
    CASE("serial_wire"),
    TEST(frames_arrive_whole_and_in_order_both_ways),
    TEST(a_caller_that_is_new_is_noticed_wherever_it_was_cut),
    TEST(the_side_that_is_called_asks_for_a_new_call),
    TEST(no_frame_ends_with_a_zero),
    TEST(an_answer_to_an_older_call_is_none),
    TEST(what_is_no_frame_ends_the_call),
};
