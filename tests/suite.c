/* SPDX-License-Identifier: BSD-3-Clause */
#include "suite.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

static TCase *
add_case(Suite *s, const struct suite_row *row)
{
    TCase *c = tcase_create(row->name);

    if (row->can_run != NULL && !row->can_run()) {
        exit(SUITE_SKIPPED);
    }
    tcase_add_checked_fixture(c, row->setup, row->teardown);
    if (row->timeout_s > 0) {
        tcase_set_timeout(c, row->timeout_s);
    }
    suite_add_tcase(s, c);
    return c;
}

static Suite *
new_suite(void)
{
    Suite *s = suite_create(suite_name);
    const struct suite_row *row = &suite_rows[SUITE_MAX_ROWS - 1];
    TCase *c = NULL;
    int times_of_each = 0;

    /* A compiler may only warn of a table that is too long, and cut it off. */
    assert(row->name == NULL && row->test == NULL);
    for (row = suite_rows; row->name != NULL || row->test != NULL; row++) {
        if (row->name != NULL) {
            c = add_case(s, row);
            times_of_each = row->times_of_each == NULL ? 0 : row->times_of_each();
            continue;
        }
        assert(c != NULL); /* a table begins with a case */
        tcase_add_loop_test(c, *row->test, 0,
                            times_of_each > 0 ? times_of_each : row->times);
    }
    return s;
}

int
main(void)
{
    SRunner *r = srunner_create(new_suite());
    int nr_failed;

    srunner_run_all(r, CK_ENV);
    nr_failed = srunner_ntests_failed(r);
    srunner_free(r);
    return nr_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
