/* SPDX-License-Identifier: BSD-3-Clause */
/* fuzz.h - what the fuzz targets share. A target is one file with
 * LLVMFuzzerTestOneInput(); it is linked with libFuzzer, or with replay.c, which runs
 * the files of a corpus through it. Every input starts from the same state, so that a
 * file alone repeats what it shows. */
#ifndef BATON_TESTS_FUZZ_H
#define BATON_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"

/* libFuzzer's name for it. */
/* NOLINTNEXTLINE(readability-identifier-naming) */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A claim about the program that no input may break. */
#define FUZZ_CHECK(claim)                                                              \
    do {                                                                               \
        if (!(claim)) {                                                                \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #claim);  \
            abort();                                                                   \
        }                                                                              \
    } while (0)

/* A refusal: a negative errno, and a sentence of one line that says why. */
#define FUZZ_CHECK_REFUSAL(rc, e)                                                      \
    do {                                                                               \
        FUZZ_CHECK((rc) < 0 && (rc) > -4096);                                          \
        FUZZ_CHECK((e)->msg[0] != '\0' && strchr((e)->msg, '\n') == NULL);             \
    } while (0)

/* The input as a string of its own, so that reading past its end is noticed; it ends at
 * the first NUL for who reads it as one. */
static inline char *
fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    FUZZ_CHECK(text != NULL);
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    return text;
}

#endif
