/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>

#include "record_device.h"
#include "record_rig.h"
#include "suite.h"

static char path[128];
static struct record_dir *dir;

static void
set_up(void)
{
    rig_set_up();
    dir = open_dir();
    (void)snprintf(path, sizeof path, "%s/disk/vda.device", dir_path);
}

static void
tear_down(void)
{
    record_dir_close(dir);
    rig_tear_down();
}

static struct record_device
make(bool has_samples)
{
    struct record_device dev = {.uuid = UUID,
                                .epoch = 7,
                                .closed = 9,
                                .name = "wwn:naa.1",
                                .has_samples = has_samples};

    for (unsigned i = 0; i < IDENTITY_SAMPLES && has_samples; i++) {
        memset(dev.samples[i], 'a' + (int)(i % 6), IDENTITY_HASH_LEN - 1);
    }
    return dev;
}

START_TEST(what_is_written_is_read_back_and_removed)
{
    struct record_device dev = make(_i == 1), back;
    struct err e = {{0}};

    ck_assert_msg(record_device_write(dir, "vda", &dev, &e) == 0, "%s", e.msg);
    record_device_read(dir, "vda", &back);
    ck_assert_mem_eq(&dev, &back, sizeof dev);
    record_device_read(dir, "vdb", &back);
    ck_assert_uint_eq(back.epoch, 0);
    ck_assert_int_eq(record_device_remove(dir, "vda", &e), 0);
    ck_assert_int_eq(record_device_remove(dir, "vda", &e), 0);
    record_device_read(dir, "vda", &back);
    ck_assert_uint_eq(back.epoch, 0);
}
END_TEST

/* It is not fsynced: a power cut may leave any part of it. */
START_TEST(what_is_not_whole_is_not_believed)
{
    struct record_device dev = make(_i == 1), back;
    struct stat st;

    ck_assert_int_eq(record_device_write(dir, "vda", &dev, NULL), 0);
    ck_assert_int_eq(stat(path, &st), 0);
    for (off_t size = st.st_size - 1; size >= 0; size--) {
        ck_assert_int_eq(truncate(path, size), 0);
        record_device_read(dir, "vda", &back);
        ck_assert_msg(back.epoch == 0, "of %jd bytes", (intmax_t)size);
    }
    ck_assert_int_eq(truncate(path, st.st_size), 0); /* zeroes */
    record_device_read(dir, "vda", &back);
    ck_assert_uint_eq(back.epoch, 0);
}
END_TEST

SUITE("record_device") = {
    CASE("record_device", .setup = set_up, .teardown = tear_down),
    LOOP(what_is_written_is_read_back_and_removed, 2),
    LOOP(what_is_not_whole_is_not_believed, 2),
};
