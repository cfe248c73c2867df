/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "breakpoint.h"
#include "suite.h"

#ifdef BATON_BREAKPOINTS

static char dir[64];

static void
set_up(void)
{
    (void)snprintf(dir, sizeof dir, "/tmp/baton-break.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(setenv("BATON_BREAK_DIR", dir, 1), 0);
}

static void
tear_down(void)
{
    char cmd[128];

    (void)snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    ck_assert_int_eq(system(cmd), 0);
}

static void
put(const char *file, const char *text)
{
    char path[128];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/%s", dir, file);
    f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

static bool
is_there(const char *file)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/%s", dir, file);
    return access(path, F_OK) == 0;
}

/* A child that reaches the point and then ends with status 7. */
static pid_t
reach_in_child(const char *name)
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        (void)BREAKPOINT(name);
        _exit(7);
    }
    return pid;
}

START_TEST(a_point_that_is_not_armed_does_nothing)
{
    ck_assert(!breakpoint_is_set("owner-held"));
    ck_assert_int_eq(BREAKPOINT("owner-held"), 0);
    ck_assert_int_eq(unsetenv("BATON_BREAK_DIR"), 0);
    ck_assert_int_eq(BREAKPOINT("owner-held"), 0);
}
END_TEST

START_TEST(fail_is_the_value_of_the_point_once)
{
    put("owner-held", "fail\n");
    ck_assert(breakpoint_is_set("owner-held"));
    ck_assert_int_eq(BREAKPOINT("owner-drained"), 0);
    ck_assert_int_eq(BREAKPOINT("owner-held"), -EIO);
    ck_assert(is_there("owner-held.hit"));
    ck_assert(!breakpoint_is_set("owner-held"));
    ck_assert_int_eq(BREAKPOINT("owner-held"), 0);
}
END_TEST

START_TEST(kill_ends_the_process_after_the_file_was_renamed)
{
    int status;

    put("next-locked", "kill");
    ck_assert_int_gt(waitpid(reach_in_child("next-locked"), &status, 0), 0);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    ck_assert(is_there("next-locked.hit"));
}
END_TEST

START_TEST(stop_stops_the_process_until_it_is_continued)
{
    pid_t pid;
    int status;

    put("next-locked", "stop\n");
    pid = reach_in_child("next-locked");
    ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
    ck_assert(WIFSTOPPED(status));
    ck_assert_int_eq(kill(pid, SIGCONT), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}
END_TEST

/* A pipe whose writing end only the child has: it is closed when the child ends. */
START_TEST(wait_goes_on_when_the_go_file_is_there)
{
    int ends[2], status;
    struct pollfd end;
    pid_t pid;

    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    put("owner-held", "wait\n");
    pid = reach_in_child("owner-held");
    (void)close(ends[1]);
    end = (struct pollfd){.fd = ends[0], .events = POLLIN};
    ck_assert_int_eq(poll(&end, 1, 200), 0); /* it waits */
    put("other.go", "");
    put("owner-held.go", "");
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    (void)close(ends[0]);
}
END_TEST

START_TEST(a_go_file_that_is_there_already_lets_a_waiter_pass)
{
    put("owner-held", "wait");
    put("owner-held.go", "");
    ck_assert_int_eq(BREAKPOINT("owner-held"), 0);
    ck_assert(is_there("owner-held.hit"));
}
END_TEST

START_TEST(an_unknown_action_only_uses_the_point_up)
{
    put("owner-held", "an action that is far too long");
    ck_assert_int_eq(BREAKPOINT("owner-held"), 0);
    ck_assert(is_there("owner-held.hit"));
}
END_TEST

START_TEST(every_name_is_a_file_name_and_there_once)
{
    for (unsigned i = 0; breakpoint_name(i) != NULL; i++) {
        const char *name = breakpoint_name(i);

        ck_assert_uint_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
        for (unsigned j = 0; j < i; j++) {
            ck_assert_str_ne(breakpoint_name(j), name);
        }
    }
}
END_TEST

#else

START_TEST(without_breakpoints_an_armed_point_does_nothing)
{
    ck_assert_int_eq(setenv("BATON_BREAK_DIR", "/", 1), 0);
    ck_assert(!breakpoint_is_set("tmp")); /* a file that is there */
    ck_assert_int_eq(BREAKPOINT("tmp"), 0);
}
END_TEST

#endif

SUITE("breakpoint") = {
#ifdef BATON_BREAKPOINTS
    CASE("points", .setup = set_up, .teardown = tear_down),
    TEST(a_point_that_is_not_armed_does_nothing),
    TEST(fail_is_the_value_of_the_point_once),
    TEST(kill_ends_the_process_after_the_file_was_renamed),
    TEST(stop_stops_the_process_until_it_is_continued),
    TEST(wait_goes_on_when_the_go_file_is_there),
    TEST(a_go_file_that_is_there_already_lets_a_waiter_pass),
    TEST(an_unknown_action_only_uses_the_point_up),
    TEST(every_name_is_a_file_name_and_there_once),
#else
    CASE("points"),
    TEST(without_breakpoints_an_armed_point_does_nothing),
#endif
};
