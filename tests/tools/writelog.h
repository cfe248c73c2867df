/* SPDX-License-Identifier: BSD-3-Clause */
/* writelog.h - the log that writelog_preload.c writes and writelog.c judges: a file
 * that is mapped by every process that writes to the devices it names. */
#ifndef BATON_TESTS_WRITELOG_H
#define BATON_TESTS_WRITELOG_H

#include <stdatomic.h>
#include <stdint.h>

#define WRITELOG_MAGIC UINT64_C(0x676f6c6574697277)
#define WRITELOG_MAX_DEVICES 8

enum writelog_kind {
    WRITELOG_WRITE = 1, /* pwrite, pwritev2, fallocate */
    WRITELOG_LOCK = 2,  /* QEMU's "I write" byte was locked */
};

struct writelog_event {
    _Atomic uint64_t begin_ns; /* release, last of all but end_ns; 0: not filled */
    _Atomic uint64_t end_ns;   /* release; 0: the call has not returned */
    uint64_t off, len;
    int32_t pid;
    uint8_t kind, device; /* enum writelog_kind; index */
};

struct writelog {
    uint64_t magic, max;
    uint64_t nr_devices;
    struct {
        uint64_t dev, ino;
    } devices[WRITELOG_MAX_DEVICES];
    _Atomic uint64_t nr; /* relaxed: hands out slots; may pass max, then it is full */
    struct writelog_event events[];
};

#endif
