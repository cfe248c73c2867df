/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>
#include <stdint.h>

#include <check.h>

#include "suite.h"
#include "thread_number.h"

#define NR_THREADS 8

static void *
ask_twice(void *arg)
{
    unsigned *number = arg;

    *number = thread_number();
    return thread_number() == *number ? arg : NULL;
}

START_TEST(threads_have_the_first_numbers_and_keep_them)
{
    unsigned numbers[NR_THREADS];
    pthread_t threads[NR_THREADS];
    uint32_t seen = 0;
    void *kept;

    for (unsigned i = 0; i < NR_THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_twice, &numbers[i]), 0);
    }
    for (unsigned i = 0; i < NR_THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], &kept), 0);
        ck_assert_ptr_nonnull(kept);
        ck_assert_uint_lt(numbers[i], NR_THREADS);
        seen |= 1U << numbers[i];
    }
    ck_assert_uint_eq(seen, (1U << NR_THREADS) - 1); /* so N of them spread over N */
}
END_TEST

SUITE("thread_number") = {
    CASE("thread_number"),
    TEST(threads_have_the_first_numbers_and_keep_them),
};
