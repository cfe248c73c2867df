/* SPDX-License-Identifier: BSD-3-Clause */
/* Partition tables are made here, byte by byte, in 512- and 4096-byte sectors. */
#include <errno.h>
#include <string.h>

#include <check.h>

#include "layers.h"
#include "port_mem.h"
#include "stack.h"
#include "suite.h"

#define MIB (UINT64_C(1) << 20)
#define SIZE (256 * MIB)

static struct port *mem, *layer;
static struct err e;

static void
setup(void)
{
    layer = NULL;
    e.msg[0] = '\0';
    ck_assert_int_eq(port_mem_new(SIZE, &mem), 0);
}

static void
teardown(void)
{
    port_close(layer);
    port_close(mem);
}

static int
open_slice(const char *text)
{
    struct layer_param params[LAYER_MAX_PARAMS];
    struct stack_spec spec = {.nr_layers = 0};
    unsigned i;
    int rc;

    ck_assert_msg(stack_spec_add(&spec, text, &e) == 0, "%s", e.msg);
    for (i = 0; i < spec.layers[0].nr_params; i++) {
        params[i] = (struct layer_param){spec.layers[0].params[i].key,
                                         spec.layers[0].params[i].value};
    }
    rc = layer_slice.open(mem, params, i, &e, &layer);
    stack_spec_done(&spec);
    return rc;
}

static void
put(uint64_t off, const void *data, uint32_t len)
{
    struct req rq = {
        .op = REQ_WRITE, .off = off, .len = len, .buf = (void *)(uintptr_t)data};

    ck_assert_int_eq(port_submit(mem, &rq), 0);
}

static void
le(unsigned char *to, uint64_t value, int bytes)
{
    int i;

    for (i = 0; i < bytes; i++) {
        to[i] = (unsigned char)(value >> (8 * i));
    }
}

/* A boot record at sector `at` with up to two entries; sectors count from its base. */
/* NOLINTBEGIN(readability-function-size): a row of a table */
static void
put_mbr(uint64_t at, unsigned char type, uint32_t start, uint32_t size,
        unsigned char type2, uint32_t start2, uint32_t size2)
/* NOLINTEND(readability-function-size) */
{
    unsigned char s[512] = {[446 + 4] = type, [462 + 4] = type2, [510] = 0x55, 0xaa};

    le(s + 440, 0xdeadbeef, 4);
    le(s + 446 + 8, start, 4);
    le(s + 446 + 12, size, 4);
    le(s + 462 + 8, start2, 4);
    le(s + 462 + 12, size2, 4);
    put(at * 512, s, sizeof s);
}

/* One primary partition and three logical ones, the last two beyond the copied MiB. */
static void
put_mbr_table(void)
{
    put_mbr(0, 0x83, 2048, 4096, 0x05, 8192, 400000);
    put_mbr(8192, 0x83, 2048, 4096, 0x05, 20480 - 8192, 8192);
    put_mbr(20480, 0x83, 2048, 4096, 0x05, 300000 - 8192, 8192);
    put_mbr(300000, 0x83, 100, 1000, 0, 0, 0);
}

static uint32_t
crc32_of(const unsigned char *data, size_t len)
{
    uint32_t crc = UINT32_MAX;
    int bit;

    while (len-- > 0) {
        crc ^= *data++;
        for (bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (UINT32_C(0xedb88320) & (0 - (crc & 1)));
        }
    }
    return ~crc;
}

static void
gpt_entry(unsigned char *to, unsigned char id, uint64_t first, uint64_t last,
          const char *name)
{
    int i;

    memset(to, 0xaf, 16); /* any type that is not zero */
    memset(to + 16, id, 16);
    le(to + 32, first, 8);
    le(to + 40, last, 8);
    for (i = 0; name[i] != '\0'; i++) {
        le(to + 56 + 2 * i, (unsigned char)name[i], 2);
    }
}

static void
put_gpt_header(uint64_t at, uint64_t other, uint64_t entries_at, uint32_t entries_crc,
               uint32_t sector)
{
    unsigned char h[92] = "EFI PART";

    le(h + 8, 0x10000, 4);
    le(h + 12, sizeof h, 4);
    le(h + 24, at, 8);
    le(h + 32, other, 8);
    le(h + 40, 34, 8);
    le(h + 48, SIZE / sector - 34, 8);
    memset(h + 56, 0x77, 16);
    le(h + 72, entries_at, 8);
    le(h + 80, 128, 4);
    le(h + 84, 128, 4);
    le(h + 88, entries_crc, 4);
    le(h + 16, crc32_of(h, sizeof h), 4);
    put(at * sector, h, sizeof h);
}

/* Partitions root and data of 8 MiB each at 4 and 16 MiB, and a second "data". */
static void
put_gpt(uint32_t sector)
{
    static unsigned char entries[128 * 128];
    uint64_t last = SIZE / sector - 1, mib = MIB / sector;

    memset(entries, 0, sizeof entries);
    gpt_entry(entries, 0x11, 4 * mib, 12 * mib - 1, "root");
    gpt_entry(entries + 128, 0x22, 16 * mib, 24 * mib - 1, "data\x1b");
    gpt_entry(entries + 256, 0x33, 24 * mib, 25 * mib - 1, "twin");
    gpt_entry(entries + 384, 0x44, 25 * mib, 26 * mib - 1, "twin");
    put_mbr(0, 0xee, 1, (uint32_t)last, 0, 0, 0);
    put_gpt_header(1, last, 2, crc32_of(entries, sizeof entries), sector);
    put(2 * (uint64_t)sector, entries, sizeof entries);
    put_gpt_header(last, 1, last - sizeof entries / sector,
                   crc32_of(entries, sizeof entries), sector);
    put(last * sector - sizeof entries, entries, sizeof entries);
}

static void
expect_slice(const char *text, uint64_t off, uint64_t size)
{
    char out[] = "here", in[sizeof out];
    struct req rq = {.op = REQ_WRITE, .len = sizeof out, .buf = out};

    ck_assert_msg(open_slice(text) == 0, "%s", e.msg);
    ck_assert_uint_eq(layer->info.size, size);
    ck_assert_int_eq(port_submit(layer, &rq), 0);
    rq = (struct req){.op = REQ_READ, .off = off, .len = sizeof in, .buf = in};
    ck_assert_int_eq(port_submit(mem, &rq), 0);
    ck_assert_str_eq(in, out);
    port_close(layer);
    layer = NULL;
}

static void
expect_refused(const char *text, int rc, const char *sentence_has)
{
    ck_assert_int_eq(open_slice(text), rc);
    ck_assert_ptr_null(layer);
    ck_assert_msg(strstr(e.msg, sentence_has) != NULL, "%s", e.msg);
}

START_TEST(primary_and_logical_mbr_partitions_are_found)
{
    put_mbr_table();
    expect_slice("slice:partition=1", 2048 * 512, 4096 * 512);
    expect_slice("slice:partition=5", (8192 + 2048) * 512, 4096 * 512);
    expect_slice("slice:partition=6", (20480 + 2048) * 512, 4096 * 512);
    expect_slice("slice:partition=7", (300000 + 100) * 512, 1000 * 512);
    expect_slice("slice:partuuid=DEADBEEF-07", (300000 + 100) * 512, 1000 * 512);
}
END_TEST

START_TEST(extended_partition_is_no_slice)
{
    put_mbr_table();
    expect_refused("slice:partition=2", -ENOENT, "container");
}
END_TEST

START_TEST(chain_of_logical_partitions_that_loops_ends)
{
    put_mbr_table();
    put_mbr(300000, 0x83, 100, 1000, 0x05, 20480 - 8192, 8192);
    expect_slice("slice:partition=1", 2048 * 512, 4096 * 512);
}
END_TEST

START_TEST(gpt_partitions_are_found_by_number_label_and_uuid)
{
    put_gpt(512);
    expect_slice("slice:partition=2", 16 * MIB, 8 * MIB);
    expect_slice("slice:label=root", 4 * MIB, 8 * MIB);
    expect_slice("slice:partuuid=22222222-2222-2222-2222-222222222222", 16 * MIB,
                 8 * MIB);
}
END_TEST

START_TEST(gpt_in_4096_byte_sectors_is_found)
{
    put_gpt(4096);
    expect_slice("slice:partition=2", 16 * MIB, 8 * MIB);
    mem->info.min_block = 4096;
    ck_assert_int_eq(open_slice("slice:label=root"), 0);
    ck_assert_uint_eq(layer->info.size, 8 * MIB);
}
END_TEST

START_TEST(backup_gpt_is_used_when_the_first_is_lost)
{
    static const char zeroes[65536];

    put_gpt(512);
    put(512, zeroes, sizeof zeroes);
    expect_slice("slice:label=root", 4 * MIB, 8 * MIB);
}
END_TEST

START_TEST(missing_partition_is_refused_with_a_printable_list)
{
    put_gpt(512);
    expect_refused("slice:partition=9", -ENOENT,
                   "no partition has partition=9; there are: 1 (root, 11111111-1111-");
    ck_assert_ptr_nonnull(strstr(e.msg, "2 (data?, 22222222-")); /* no escape codes */
    expect_refused("slice:label=nope", -ENOENT, "no partition has label=nope");
    expect_refused("slice:partuuid=99", -ENOENT, "no partition has partuuid=99");
}
END_TEST

START_TEST(label_that_two_partitions_have_is_refused)
{
    put_gpt(512);
    expect_refused("slice:label=twin", -ENOENT,
                   "more than one partition has label=twin");
}
END_TEST

START_TEST(device_without_a_table_is_refused)
{
    expect_refused("slice:partition=1", -ENOENT, "no partition table");
}
END_TEST

START_TEST(tiny_and_empty_devices_have_no_table)
{
    static const uint64_t sizes[] = {0, 1, 511, 512, 513, 65537};

    port_close(mem);
    ck_assert_int_eq(port_mem_new(sizes[_i], &mem), 0);
    expect_refused("slice:partition=1", -ENOENT, "no partition table");
}
END_TEST

START_TEST(partition_past_the_end_is_refused)
{
    put_mbr(0, 0x83, 2048, SIZE / 512, 0, 0, 0);
    expect_refused("slice:partition=1", -EINVAL, "partition 1 ends at sector 526336");
}
END_TEST

START_TEST(range_past_the_end_is_refused)
{
    expect_refused("slice:offset=255M:size=2M", -EINVAL, "past the end");
    expect_refused("slice:offset=1T:size=1", -EINVAL, "past the end");
    expect_refused("slice:offset=255M:size=18446744073709551615", -EINVAL,
                   "past the end");
}
END_TEST

START_TEST(range_off_the_smallest_block_is_refused)
{
    mem->info.min_block = 4096;
    expect_refused("slice:offset=512:size=1M", -EINVAL, "multiple of 4096");
    expect_refused("slice:offset=1M:size=4095", -EINVAL, "multiple of 4096");
    ck_assert_int_eq(open_slice("slice:offset=4K:size=8K"), 0);
}
END_TEST

START_TEST(preferred_block_shrinks_to_the_alignment_of_the_slice)
{
    mem->info.pref_block = MIB;
    ck_assert_int_eq(open_slice("slice:offset=192K:size=1M"), 0);
    ck_assert_uint_eq(layer->info.pref_block, 65536);
    port_close(layer);
    ck_assert_int_eq(open_slice("slice:offset=1:size=1M"), 0);
    ck_assert_uint_eq(layer->info.pref_block, 512);
}
END_TEST

struct list {
    struct extent_sink sink;
    unsigned nr;
    struct {
        uint64_t off, len;
        uint32_t type;
    } at[4];
};

static int
list_add(struct extent_sink *s, uint64_t off, uint64_t len, uint32_t type)
{
    struct list *l = (struct list *)s;

    l->at[l->nr].off = off;
    l->at[l->nr].len = len;
    l->at[l->nr++].type = type;
    return 0;
}

/* Below: [0, 2M) hole, [2M, 3M) data, [3M, end) hole, whatever is asked for. */
static int
extents_submit(struct port *p, const struct req *rq)
{
    struct extent_sink *s = rq->extents;

    ck_assert_int_eq(s->add(s, 0, 2 * MIB, EXTENT_HOLE), 0);
    ck_assert_int_eq(s->add(s, 2 * MIB, MIB, 0), 0);
    return s->add(s, 3 * MIB, p->info.size - 3 * MIB, EXTENT_HOLE);
}

START_TEST(extents_are_moved_and_clamped_to_the_slice)
{
    static const struct port_ops ops = {.name = "extents", .submit = extents_submit};
    struct port below = {&ops, mem->info};
    const struct layer_param params[] = {{"offset", "1M"}, {"size", "3M"}};
    struct list l = {.sink.add = list_add};
    struct req rq = {.op = REQ_EXTENTS, .len = 3 * MIB, .extents = &l.sink};

    ck_assert_int_eq(layer_slice.open(&below, params, 2, &e, &layer), 0);
    ck_assert_int_eq(port_submit(layer, &rq), 0);
    ck_assert_uint_eq(l.nr, 3);
    ck_assert(l.at[0].off == 0 && l.at[0].len == MIB && l.at[0].type == EXTENT_HOLE);
    ck_assert(l.at[1].off == MIB && l.at[1].len == MIB && l.at[1].type == 0);
    ck_assert(l.at[2].off == 2 * MIB && l.at[2].len == MIB);
    port_close(layer);
    layer = NULL;
}
END_TEST

SUITE("layer slice") = {
    CASE("slice", .setup = setup, .teardown = teardown),
    TEST(primary_and_logical_mbr_partitions_are_found),
    TEST(extended_partition_is_no_slice),
    TEST(chain_of_logical_partitions_that_loops_ends),
    TEST(gpt_partitions_are_found_by_number_label_and_uuid),
    TEST(gpt_in_4096_byte_sectors_is_found),
    TEST(backup_gpt_is_used_when_the_first_is_lost),
    TEST(missing_partition_is_refused_with_a_printable_list),
    TEST(label_that_two_partitions_have_is_refused),
    TEST(device_without_a_table_is_refused),
    LOOP(tiny_and_empty_devices_have_no_table, 6),
    TEST(partition_past_the_end_is_refused),
    TEST(range_past_the_end_is_refused),
    TEST(range_off_the_smallest_block_is_refused),
    TEST(preferred_block_shrinks_to_the_alignment_of_the_slice),
    TEST(extents_are_moved_and_clamped_to_the_slice),
};
