/* SPDX-License-Identifier: BSD-3-Clause */
/* suite.h - the table that ends a suite and says all of it; suite.c has the main.
 *
 *     SUITE("uri") = {
 *         CASE("parse"),
 *         EACH(a_bad_uri_is_refused_with_its_reason, bad),
 *         TEST(the_parts_of_a_uri_are_taken_apart),
 *         CASE("sockets", .setup = make_folder, .teardown = remove_folder),
 *         TEST(a_unix_socket_carries_bytes),
 *     };
 *
 * Tests run in the order of the table, each in the case above it. A test that is
 * written but not listed does not compile: START_TEST defines a static variable, and an
 * unused one is an error in every program that links baton_suite (CMakeLists.txt). */
#ifndef BATON_SUITE_H
#define BATON_SUITE_H

#include <stdbool.h>

#include <check.h>

/* A case, if it has a name, or else a test. */
struct suite_row {
    const char *name;

    /* Optional: run before and after each test, in its process. */
    void (*setup)(void);
    void (*teardown)(void);

    int timeout_s; /* of each test; 0: libcheck's default of 4 s */

    /* Optional: each test of the case runs so many times, whatever its row says. For a
     * number that only the running program knows. */
    int (*times_of_each)(void);

    /* Optional: if it says false, the program ends with SUITE_SKIPPED. */
    bool (*can_run)(void);

    const TTest *const *test;
    int times; /* _i goes from 0 to below it */
};

#define CASE(...)                                                                      \
    {                                                                                  \
        .name = __VA_ARGS__                                                            \
    }
#define TEST(fn) LOOP(fn, 1)
#define LOOP(fn, nr)                                                                   \
    {                                                                                  \
        .test = &(fn), .times = (nr)                                                   \
    }
#define EACH(fn, array) LOOP(fn, sizeof(array) / sizeof((array)[0]))

#define SUITE(name)                                                                    \
    const char *const suite_name = (name);                                             \
    const struct suite_row suite_rows[SUITE_MAX_ROWS]

#define SUITE_MAX_ROWS 64 /* the last one stays empty */
#define SUITE_SKIPPED 77  /* SKIP_RETURN_CODE of CTest */

extern const char *const suite_name;
extern const struct suite_row suite_rows[SUITE_MAX_ROWS];

#endif
