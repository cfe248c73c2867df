/* SPDX-License-Identifier: BSD-3-Clause */
/* Fabricated histories of one or two sectors: what the model must accept and refuse.
 * The order of the calls is the order of the events. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "history.h"
#include "stamp.h"
#include "suite.h"

#define RUN 77
#define FIRST 1000 /* the area begins at this sector of the disk */

static struct hist *h;
static char text[4096];

static void
open_history(void)
{
    const struct hist_params p = {.run = RUN, .first_sector = FIRST, .nr_sectors = 4};

    ck_assert_int_eq(hist_new(&p, &h), 0);
}

static void
close_history(void)
{
    hist_free(h);
    h = NULL;
}

static struct hist_write
begin(enum hist_kind kind)
{
    struct hist_write w = {.kind = kind, .sector = 1, .nr_sectors = 1, .writer = 3};

    ck_assert_int_eq(hist_write_begin(h, &w), 0);
    return w;
}

static struct hist_write
done(enum hist_kind kind)
{
    struct hist_write w = begin(kind);

    hist_write_end(h, &w);
    return w;
}

static void
content(const struct hist_write *w, unsigned char *sector)
{
    const struct stamp_id id = {
        .run = RUN, .sector = FIRST + w->sector, .seq = w->seq, .writer = w->writer};

    if (w->kind == HIST_WRITE) {
        stamp_fill(sector, &id);
    } else {
        memset(sector, 0, STAMP_SECTOR);
    }
}

static int
end_read(struct hist_read *r, const struct hist_write *found)
{
    unsigned char sector[STAMP_SECTOR];

    content(found, sector);
    return hist_read_end(h, r, sector, text, sizeof(text));
}

/* A read that begins and ends now. */
static int
read_now(const struct hist_write *found)
{
    struct hist_read r = {.sector = 1, .nr_sectors = 1};

    hist_read_begin(h, &r);
    return end_read(&r, found);
}

static int
read_mix_now(const struct hist_write *head, const struct hist_write *tail)
{
    unsigned char sector[STAMP_SECTOR], other[STAMP_SECTOR];
    struct hist_read r = {.sector = 1, .nr_sectors = 1};

    content(head, sector);
    content(tail, other);
    memcpy(sector + 200, other + 200, STAMP_SECTOR - 200);
    hist_read_begin(h, &r);
    return hist_read_end(h, &r, sector, text, sizeof(text));
}

START_TEST(an_acknowledged_write_is_read_back)
{
    struct hist_write w = done(HIST_WRITE);

    ck_assert_int_eq(read_now(&w), 0);
}
END_TEST

START_TEST(a_lost_write_is_refused)
{
    struct hist_write old = done(HIST_WRITE);

    (void)done(HIST_WRITE); /* lost: the disk still holds old */
    ck_assert_int_eq(read_now(&old), -EILSEQ);
    ck_assert_ptr_nonnull(strstr(text, "sector 1001"));
}
END_TEST

START_TEST(a_stale_read_of_a_superseded_write_is_refused_with_both_named)
{
    struct hist_write old = done(HIST_WRITE), new;
    struct hist_read held = {.sector = 3, .nr_sectors = 1};

    hist_read_begin(h, &held); /* keeps the model from forgetting */
    new = done(HIST_WRITE);
    ck_assert_int_eq(read_now(&new), 0);
    ck_assert_int_eq(read_now(&old), -EILSEQ);
    ck_assert_ptr_nonnull(strstr(text, "it may hold [write"));
    ck_assert_ptr_nonnull(strstr(text, "because of"));
    hist_read_lost(h, &held);
}
END_TEST

START_TEST(a_read_begun_before_a_write_ended_may_see_either)
{
    struct hist_write old = done(HIST_WRITE), new;
    struct hist_read r1 = {.sector = 1, .nr_sectors = 1}, r2 = r1;

    hist_read_begin(h, &r1);
    hist_read_begin(h, &r2);
    new = done(HIST_WRITE);
    ck_assert_int_eq(end_read(&r1, &old), 0);
    ck_assert_int_eq(end_read(&r2, &new), 0);
}
END_TEST

START_TEST(a_value_seen_to_change_does_not_change_back)
{
    struct hist_write old = done(HIST_WRITE), new = begin(HIST_WRITE);

    ck_assert_int_eq(read_now(&old), 0); /* not there yet */
    ck_assert_int_eq(read_now(&new), 0); /* now it is, without a reply yet */
    ck_assert_int_eq(read_now(&old), -EILSEQ);
}
END_TEST

START_TEST(overlapping_writes_may_end_in_either_order)
{
    for (int i = 0; i < 2; i++) {
        struct hist_write a = begin(HIST_WRITE), b = begin(HIST_WRITE);

        hist_write_end(h, &a);
        hist_write_end(h, &b);
        ck_assert_int_eq(read_now(i == 0 ? &a : &b), 0);
    }
}
END_TEST

START_TEST(overlapping_writes_do_not_swap_after_a_read_has_told_their_order)
{
    struct hist_write a = begin(HIST_WRITE), b = begin(HIST_WRITE);

    hist_write_end(h, &a);
    hist_write_end(h, &b);
    ck_assert_int_eq(read_now(&a), 0);
    ck_assert_int_eq(read_now(&b), -EILSEQ);
}
END_TEST

START_TEST(a_ghost_write_that_lands_after_its_own_retry_is_refused)
{
    struct hist_write w = begin(HIST_WRITE), newer;

    ck_assert_int_eq(hist_write_again(h, &w), 0);
    hist_write_end(h, &w);
    newer = done(HIST_WRITE);
    ck_assert_int_eq(read_now(&newer), 0);
    ck_assert_int_eq(read_now(&w), -EILSEQ); /* the first copy came late */
}
END_TEST

START_TEST(a_retried_write_may_take_effect_twice_before_its_reply)
{
    struct hist_write w = begin(HIST_WRITE), other;

    ck_assert_int_eq(read_now(&w), 0);
    other = done(HIST_WRITE);
    ck_assert_int_eq(read_now(&other), 0);
    ck_assert_int_eq(hist_write_again(h, &w), 0);
    hist_write_end(h, &w);
    ck_assert_int_eq(read_now(&w), 0);
    ck_assert_int_eq(read_now(&other), -EILSEQ);
}
END_TEST

START_TEST(a_write_sent_once_does_not_take_effect_twice)
{
    struct hist_write w = begin(HIST_WRITE), other;

    ck_assert_int_eq(read_now(&w), 0);
    other = done(HIST_WRITE);
    ck_assert_int_eq(read_now(&other), 0);
    hist_write_end(h, &w);
    ck_assert_int_eq(read_now(&w), -EILSEQ);
}
END_TEST

START_TEST(the_order_that_a_forgotten_write_told_is_kept)
{
    struct hist_read held = {.sector = 3, .nr_sectors = 1};
    struct hist_write a, b, c;

    hist_read_begin(h, &held); /* nothing is forgotten for now */
    a = begin(HIST_WRITE);
    c = begin(HIST_WRITE);
    hist_write_end(h, &a);
    b = begin(HIST_WRITE);
    hist_write_end(h, &c);
    ck_assert_int_eq(read_now(&a), 0); /* so c came before a */
    hist_read_lost(h, &held);
    hist_write_end(h, &b); /* and a is forgotten, being first in the list */
    ck_assert_int_eq(read_now(&c), -EILSEQ);
}
END_TEST

START_TEST(a_write_without_reply_may_be_there_or_not)
{
    struct hist_write old = done(HIST_WRITE), open = begin(HIST_WRITE);
    struct hist_cand *v;
    size_t nr;

    ck_assert_int_eq(hist_possible(h, 1, &v, &nr), 0);
    ck_assert_uint_eq(nr, 2);
    free(v);
    ck_assert_int_eq(read_now(&old), 0);
    ck_assert_int_eq(read_now(&open), 0);
}
END_TEST

START_TEST(a_torn_sector_is_refused_when_no_write_races)
{
    struct hist_write a = done(HIST_WRITE), b = done(HIST_WRITE);

    ck_assert_int_eq(read_mix_now(&a, &b), -EILSEQ);
    ck_assert_ptr_nonnull(strstr(text, "torn"));
}
END_TEST

START_TEST(a_torn_sector_is_refused_when_overlapping_writes_have_ended)
{
    struct hist_write a = begin(HIST_WRITE), b = begin(HIST_WRITE);

    hist_write_end(h, &a);
    hist_write_end(h, &b);
    ck_assert_int_eq(read_mix_now(&a, &b), -EILSEQ);
}
END_TEST

START_TEST(a_torn_sector_is_counted_when_a_write_races)
{
    struct hist_write a = done(HIST_WRITE), b = begin(HIST_WRITE);

    ck_assert_int_eq(read_mix_now(&b, &a), 0);
    ck_assert_uint_eq(hist_nr_torn(h), 1);
}
END_TEST

START_TEST(a_torn_sector_with_bytes_of_a_superseded_write_is_refused)
{
    struct hist_write older = done(HIST_WRITE), b;

    (void)done(HIST_WRITE);
    b = begin(HIST_WRITE);
    ck_assert_int_eq(read_mix_now(&b, &older), -EILSEQ);
}
END_TEST

START_TEST(a_trim_may_keep_or_zero_but_not_both_in_turn)
{
    struct hist_write zero = {.kind = HIST_ZERO, .sector = 1}, w = done(HIST_WRITE);

    (void)done(HIST_TRIM);
    ck_assert_int_eq(read_now(&w), 0);
    ck_assert_int_eq(read_now(&zero), -EILSEQ);
    (void)done(HIST_TRIM);
    ck_assert_int_eq(read_now(&zero), 0);
    ck_assert_int_eq(read_now(&w), -EILSEQ);
}
END_TEST

START_TEST(a_trim_does_not_hide_a_lost_write)
{
    struct hist_write old = done(HIST_WRITE);

    (void)done(HIST_WRITE);
    (void)done(HIST_TRIM);
    ck_assert_int_eq(read_now(&old), -EILSEQ);
}
END_TEST

START_TEST(a_late_trim_is_refused)
{
    struct hist_write trim = done(HIST_TRIM);

    (void)done(HIST_WRITE);
    ck_assert_int_eq(read_now(&trim), -EILSEQ);
}
END_TEST

START_TEST(zeroes_read_back_as_zeroes_only)
{
    struct hist_write w = done(HIST_WRITE), zero = done(HIST_ZERO);

    ck_assert_int_eq(read_now(&zero), 0);
    ck_assert_int_eq(read_now(&w), -EILSEQ);
}
END_TEST

START_TEST(a_sector_in_the_wrong_place_is_refused)
{
    struct hist_write w = done(HIST_WRITE);

    w.sector = 2; /* as if it had been written one sector off */
    ck_assert_int_eq(read_now(&w), -EILSEQ);
    ck_assert_ptr_nonnull(strstr(text, "misplaced"));
}
END_TEST

START_TEST(a_stamp_of_another_run_is_refused)
{
    const struct stamp_id id = {.run = RUN + 1, .sector = FIRST + 1, .seq = 1};
    struct hist_read r = {.sector = 1, .nr_sectors = 1};
    unsigned char sector[STAMP_SECTOR];

    (void)done(HIST_WRITE);
    stamp_fill(sector, &id);
    hist_read_begin(h, &r);
    ck_assert_int_eq(hist_read_end(h, &r, sector, text, sizeof(text)), -EILSEQ);
    ck_assert_ptr_nonnull(strstr(text, "another run"));
}
END_TEST

/* How many writes may sector 1 hold after a power cut? */
static size_t
nr_after_power_cut(bool is_fua, bool is_flushed)
{
    const struct hist_params p = {.nr_sectors = 4, .is_power_cut = true};
    struct hist_write w = {.sector = 1, .nr_sectors = 1, .is_fua = is_fua};
    struct hist_cand *v;
    size_t nr;

    close_history();
    ck_assert_int_eq(hist_new(&p, &h), 0);
    (void)done(HIST_WRITE);
    hist_flush_end(h, hist_flush_begin(h));
    ck_assert_int_eq(hist_write_begin(h, &w), 0);
    hist_write_end(h, &w);
    if (is_flushed) {
        hist_flush_end(h, hist_flush_begin(h));
    }
    ck_assert_int_eq(hist_possible(h, 1, &v, &nr), 0);
    free(v);
    return nr;
}

START_TEST(a_power_cut_may_undo_only_what_no_flush_or_fua_covers)
{
    ck_assert_uint_eq(nr_after_power_cut(false, false), 2);
    ck_assert_uint_eq(nr_after_power_cut(false, true), 1);
    ck_assert_uint_eq(nr_after_power_cut(true, false), 1);
}
END_TEST

SUITE("stamp") = {
    CASE("history", .setup = open_history, .teardown = close_history),
    TEST(an_acknowledged_write_is_read_back),
    TEST(a_lost_write_is_refused),
    TEST(a_stale_read_of_a_superseded_write_is_refused_with_both_named),
    TEST(a_read_begun_before_a_write_ended_may_see_either),
    TEST(a_value_seen_to_change_does_not_change_back),
    TEST(overlapping_writes_may_end_in_either_order),
    TEST(overlapping_writes_do_not_swap_after_a_read_has_told_their_order),
    TEST(a_ghost_write_that_lands_after_its_own_retry_is_refused),
    TEST(a_retried_write_may_take_effect_twice_before_its_reply),
    TEST(a_write_sent_once_does_not_take_effect_twice),
    TEST(the_order_that_a_forgotten_write_told_is_kept),
    TEST(a_write_without_reply_may_be_there_or_not),
    TEST(a_torn_sector_is_refused_when_no_write_races),
    TEST(a_torn_sector_is_refused_when_overlapping_writes_have_ended),
    TEST(a_torn_sector_is_counted_when_a_write_races),
    TEST(a_torn_sector_with_bytes_of_a_superseded_write_is_refused),
    TEST(a_trim_may_keep_or_zero_but_not_both_in_turn),
    TEST(a_trim_does_not_hide_a_lost_write),
    TEST(a_late_trim_is_refused),
    TEST(zeroes_read_back_as_zeroes_only),
    TEST(a_sector_in_the_wrong_place_is_refused),
    TEST(a_stamp_of_another_run_is_refused),
    TEST(a_power_cut_may_undo_only_what_no_flush_or_fua_covers),
};
