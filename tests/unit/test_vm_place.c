/* SPDX-License-Identifier: BSD-3-Clause */
/* What services say of a domain, and what follows from several of them. */
#include <stdio.h>
#include <string.h>

#include <check.h>

#include "owner_find.h"
#include "suite.h"
#include "vm_place.h"

#define VM "11111111-2222-3333-4444-555555555555"
#define OTHER "66666666-2222-3333-4444-555555555555"

static struct owner_answer
answer(const char *id, unsigned nr_vms, unsigned nr_open, bool runs)
{
    struct owner_answer x = {.nr_vms = nr_vms, .nr_vm_open = nr_open, .vm_runs = runs};

    (void)snprintf(x.id, sizeof x.id, "%s", id);
    (void)snprintf(x.service, sizeof x.service, "service %s", id);
    (void)snprintf(x.vm_uuid, sizeof x.vm_uuid, "%s", VM);
    return x;
}

START_TEST(what_a_service_says_of_the_domain_is_judged)
{
    static const struct {
        unsigned nr_vms, nr_open;
        bool runs;
        enum vm_seen seen;
    } cases[] = {
        {0, 0, false, VM_ANNOUNCED}, {1, 0, false, VM_AWAITED}, {1, 1, false, VM_OPEN},
        {0, 0, true, VM_RUNS}, /* it has written to another disk */
        {1, 1, true, VM_RUNS},
    };
    struct owner_answer x =
        answer("x", cases[_i].nr_vms, cases[_i].nr_open, cases[_i].runs);

    ck_assert_int_eq(vm_place_seen(&x, VM), cases[_i].seen);
    ck_assert_int_eq(vm_place_seen(&x, OTHER), VM_NOWHERE);
}
END_TEST

START_TEST(the_service_that_sees_the_most_is_the_place)
{
    struct owner_answer x = answer("x", 1, 1, false), y = answer("y", 1, 1, true);
    struct vm_place p = {.seen = VM_NOWHERE};

    vm_place_add(&p, VM_NOWHERE, &y, "unix:/y");
    ck_assert_str_eq(p.id, "");
    vm_place_add(&p, VM_OPEN, &x, "unix:/x");
    ck_assert_str_eq(p.control, "unix:/x");
    vm_place_add(&p, VM_RUNS, &y, "unix:/y");
    vm_place_add(&p, VM_OPEN, &x, "unix:/x");
    ck_assert_int_eq(p.seen, VM_RUNS);
    ck_assert_str_eq(p.id, "y");
    ck_assert_str_eq(p.service, "service y");
    ck_assert(!p.is_ambiguous);
}
END_TEST

START_TEST(two_services_that_see_as_much_are_no_place)
{
    struct owner_answer x = answer("x", 1, 1, false), y = answer("y", 1, 1, false);
    struct vm_place p = {.seen = VM_NOWHERE};

    vm_place_add(&p, VM_OPEN, &x, "unix:/x");
    vm_place_add(&p, VM_OPEN, &x, "tcp:127.0.0.1:1"); /* the same by another way */
    ck_assert(!p.is_ambiguous);
    vm_place_add(&p, VM_OPEN, &y, "unix:/y");
    ck_assert(p.is_ambiguous);
    vm_place_add(&p, VM_RUNS, &y, "unix:/y");
    ck_assert(!p.is_ambiguous);
}
END_TEST

SUITE("vm_place") = {
    CASE("vm_place"),
    LOOP(what_a_service_says_of_the_domain_is_judged, 5),
    TEST(the_service_that_sees_the_most_is_the_place),
    TEST(two_services_that_see_as_much_are_no_place),
};
