/* SPDX-License-Identifier: BSD-3-Clause */
/* QEMU's tools and a file port keep each other out, tried with the real tools. They die
 * with the test that started them. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "port_file.h"
#include "suite.h"

static char path[64], sock[80], copy[80];

static void
setup(void)
{
    int fd;

    (void)snprintf(path, sizeof path, "file-lock-qemu-XXXXXX");
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    (void)snprintf(sock, sizeof sock, "%s.sock", path);
    (void)snprintf(copy, sizeof copy, "%s.copy", path);
    ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
    ck_assert_int_eq(close(fd), 0);
}

static void
teardown(void)
{
    ck_assert_int_eq(unlink(path), 0);
    (void)unlink(sock); /* only one test has it, and the daemon may remove it */
    (void)unlink(copy); /* only one test has it */
}

/* -1 on failure. No asserts: is_qemu_installed() uses it before any test runs. */
static pid_t
start(const char *const *argv, int in, int out)
{
    pid_t parent = getpid(), pid = fork();
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (pid != 0) {
        (void)close(null); /* nothing was written to it */
        return pid;
    }
    (void)dup2(in >= 0 ? in : null, STDIN_FILENO); /* a failure shows in the result */
    (void)dup2(out >= 0 ? out : null, STDOUT_FILENO);
    (void)dup2(null, STDERR_FILENO);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent) {
        (void)execvp(argv[0], (char *const *)(uintptr_t)argv); /* returns on failure */
    }
    _exit(127);
}

static int
wait_for(pid_t pid)
{
    int status = 0;

    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int
run(const char *const *argv)
{
    return wait_for(start(argv, -1, -1));
}

static bool
is_installed(const char *tool)
{
    const char *const argv[] = {tool, "--version", NULL};

    if (run(argv) == 0) {
        return true;
    }
    printf("skipped: %s is not installed\n", tool);
    return false;
}

/* A tool that has the file open: it said something on its standard output, and ends
 * when its standard input does or it is killed. */
struct holder {
    pid_t pid;
    int to, from;
};

static struct holder
start_holder(const char *const *argv, const char *say)
{
    struct holder h;
    int in[2], out[2];
    char c;

    ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    h = (struct holder){.pid = start(argv, in[0], out[1]), .to = in[1], .from = out[0]};
    ck_assert_int_eq(close(in[0]), 0);
    ck_assert_int_eq(close(out[1]), 0);
    ck_assert_int_eq(write(h.to, say, strlen(say)), (ssize_t)strlen(say));
    ck_assert_int_eq(read(h.from, &c, 1), 1);
    return h;
}

static void
end_holder(struct holder *h)
{
    ck_assert_int_eq(kill(h->pid, SIGKILL), 0);
    (void)wait_for(h->pid); /* 137, or 0 if it was faster */
    ck_assert_int_eq(close(h->to), 0);
    ck_assert_int_eq(close(h->from), 0);
}

static struct port *
open_port(bool readonly, bool share)
{
    const struct port_file_opts opts = {.readonly = readonly, .share = share};
    struct port *p = NULL;
    struct err e = {""};
    int rc = port_file_open(path, &opts, &e, &p);

    ck_assert_msg(rc == 0, "%s", e.msg);
    return p;
}

static struct port *
own_port(bool readonly)
{
    struct port *p = open_port(readonly, false);

    ck_assert_int_eq(port_own(p, NULL), 0);
    return p;
}

static void
close_port(struct port *p)
{
    port_disown(p);
    port_close(p);
}

static int
qemu_io_writes(void)
{
    const char *const argv[] = {"qemu-io",     "-f", "raw", "-c",
                                "write 0 512", path, NULL};

    return run(argv);
}

/* Converting, unlike info of a raw file, asks that nobody writes meanwhile. */
static int
qemu_img_converts(const char *force)
{
    const char *const plain[] = {"qemu-img", "convert", "-f", "raw", "-O",
                                 "raw",      path,      copy, NULL};
    const char *const forced[] = {"qemu-img", "convert", force, "-f", "raw",
                                  "-O",       "raw",     path,  copy, NULL};

    return run(force == NULL ? plain : forced);
}

static int
qemu_img_info_forced(void)
{
    const char *const argv[] = {"qemu-img", "info", "-U", path, NULL};

    return run(argv);
}

static int
qemu_io_reads(void)
{
    const char *const argv[] = {"qemu-io", "-r",         "-f", "raw",
                                "-c",      "read 0 512", path, NULL};

    return run(argv);
}

START_TEST(qemu_io_is_refused_while_we_write)
{
    struct port *p = own_port(false);

    ck_assert_int_ne(qemu_io_writes(), 0);
    close_port(p);
    ck_assert_int_eq(qemu_io_writes(), 0);
}
END_TEST

START_TEST(qemu_img_converts_only_with_force_while_we_write)
{
    struct port *p = own_port(false);

    ck_assert_int_ne(qemu_img_converts(NULL), 0);
    ck_assert_int_eq(qemu_img_converts("-U"), 0);
    ck_assert_int_eq(qemu_img_info_forced(), 0);
    close_port(p);
    ck_assert_int_eq(qemu_img_converts(NULL), 0);
}
END_TEST

START_TEST(qemu_may_read_but_not_write_while_we_only_read)
{
    struct port *p = own_port(true);

    ck_assert_int_ne(qemu_io_writes(), 0);
    ck_assert_int_eq(qemu_io_reads(), 0);
    close_port(p);
}
END_TEST

START_TEST(a_port_that_is_only_open_keeps_nobody_out)
{
    struct port *p = open_port(false, false);

    ck_assert_int_eq(qemu_io_writes(), 0);
    port_close(p);
}
END_TEST

/* Its export is writable and shares everything, so only what we bar keeps it out. */
struct daemon_args {
    char node[96], server[128];
    const char *argv[12];
};

static void
fill_daemon_args(struct daemon_args *d)
{
    const char *const argv[] = {"qemu-storage-daemon",
                                "--chardev",
                                "stdio,id=c",
                                "--blockdev",
                                d->node,
                                "--nbd-server",
                                d->server,
                                "--export",
                                "nbd,id=e,node-name=f,writable=on",
                                "--monitor",
                                "c",
                                NULL};

    (void)snprintf(d->node, sizeof d->node, "file,node-name=f,filename=%s", path);
    (void)snprintf(d->server, sizeof d->server, "addr.type=unix,addr.path=%s", sock);
    memcpy(d->argv, argv, sizeof argv);
}

START_TEST(qemu_storage_daemon_is_refused_while_we_write)
{
    struct port *p = own_port(false);
    struct daemon_args d;

    fill_daemon_args(&d);
    ck_assert_int_eq(run(d.argv), 1);
    close_port(p);
}
END_TEST

/* We are refused as long as the holder has the file, and the refusal names it. */
static void
check_refused_by(struct holder *h, const char *program)
{
    struct port *p = open_port(false, false);
    struct err e = {""};
    char who[160];

    (void)snprintf(who, sizeof who, "is in use by %s (pid %d), which holds a read lock",
                   program, (int)h->pid);
    ck_assert_int_eq(port_own(p, &e), -EBUSY);
    ck_assert_msg(strstr(e.msg, who) != NULL, "%s", e.msg);
    ck_assert_msg(strncmp(e.msg, path, strlen(path)) == 0, "%s", e.msg);
    end_holder(h);
    ck_assert_int_eq(port_own(p, &e), 0);
    close_port(p);
}

START_TEST(we_are_refused_while_qemu_io_writes)
{
    const char *const argv[] = {"qemu-io", "-f", "raw", path, NULL};
    struct holder h = start_holder(argv, "length\n");

    check_refused_by(&h, "qemu-io");
}
END_TEST

START_TEST(we_are_refused_while_qemu_storage_daemon_exports_for_writing)
{
    struct daemon_args d;
    struct holder h;

    fill_daemon_args(&d);
    h = start_holder(d.argv, ""); /* the monitor greets when everything is set up */
    check_refused_by(&h, "qemu-storage-daemon");
}
END_TEST

START_TEST(a_reader_is_refused_and_a_sharer_admitted_while_qemu_writes)
{
    const char *const argv[] = {"qemu-io", "-f", "raw", path, NULL};
    struct holder h = start_holder(argv, "length\n");
    struct port *reader = open_port(true, false), *sharer = open_port(true, true);

    ck_assert_int_eq(port_own(reader, NULL), -EBUSY);
    ck_assert_int_eq(port_own(sharer, NULL), 0);
    end_holder(&h);
    port_close(reader);
    close_port(sharer);
}
END_TEST

static bool
is_qemu_installed(void)
{
    return is_installed("qemu-img") && is_installed("qemu-io") &&
           is_installed("qemu-storage-daemon");
}

SUITE("file_lock against QEMU") = {
    /* Each starts up to three programs. */
    CASE("one file", .setup = setup, .teardown = teardown, .timeout_s = 30,
         .can_run = is_qemu_installed),
    TEST(qemu_io_is_refused_while_we_write),
    TEST(qemu_img_converts_only_with_force_while_we_write),
    TEST(qemu_may_read_but_not_write_while_we_only_read),
    TEST(a_port_that_is_only_open_keeps_nobody_out),
    TEST(qemu_storage_daemon_is_refused_while_we_write),
    TEST(we_are_refused_while_qemu_io_writes),
    TEST(we_are_refused_while_qemu_storage_daemon_exports_for_writing),
    TEST(a_reader_is_refused_and_a_sharer_admitted_while_qemu_writes),
};
