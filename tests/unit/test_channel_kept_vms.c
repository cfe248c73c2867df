/* SPDX-License-Identifier: BSD-3-Clause */
/* What is kept of a VM is sent again as long as the VM is there, whichever of its
 * connections it came over: one that has lost power will not flush, and may write the
 * same place elsewhere. */
#include <check.h>

#include "../channel_fixture.h"
#include "../kept_owner.h"
#include "port_mem.h"
#include "suite.h"
#include "vm_conns.h"

#define M1 "baton-owner;instance=m1;epoch=2;flushed-by=-"
#define M2 "baton-owner;instance=m2;epoch=2;flushed-by=-"

static struct vm_conns conns;
static struct vm_conn first, second, other;

static bool
has_vm(void *opaque, uint64_t vm)
{
    return vm_conns_has(opaque, vm);
}

/* A VM of two connections, and another VM. */
static void
begin(unsigned lanes)
{
    kept_begin();
    vm_conns_init(&conns);
    vm_conns_enter(&conns, &first, "process 1");
    vm_conns_enter(&conns, &second, "process 1");
    vm_conns_enter(&conns, &other, "process 2");
    policy.has_vm = has_vm;
    policy.has_vm_opaque = &conns;
    start_m(M1);
    new_channel(lanes, server.address, NULL);
}

static void
end(void)
{
    vm_conns_done(&conns);
    kept_end();
}

static void
put_by(const struct vm_conn *conn, char c, uint64_t off)
{
    char buf[512];
    const struct req rq = {
        .op = REQ_WRITE, .off = off, .len = sizeof buf, .buf = buf, .vm = conn->vm};

    memset(buf, c, sizeof buf);
    ck_assert_int_eq(port_submit(port, &rq), 0);
}

static void
meet_next_machine(void)
{
    lose_machine();
    start_m(M2);
    ck_assert_int_eq(do_io(REQ_READ, (char[512]){0}, 8192, 512), 0);
}

START_TEST(vm_is_gone_with_its_last_connection)
{
    begin(1);
    ck_assert(!vm_conns_leave(&conns, &first));
    ck_assert(vm_conns_has(&conns, first.vm));
    ck_assert(vm_conns_leave(&conns, &second));
    ck_assert(!vm_conns_has(&conns, first.vm));
    ck_assert(vm_conns_has(&conns, other.vm));
    vm_conns_enter(&conns, &second, "process 1");
    ck_assert(vm_conns_has(&conns, first.vm));
    end();
}
END_TEST

START_TEST(what_a_vm_wrote_over_a_connection_that_is_closed_is_sent_again)
{
    begin(1);
    put_by(&first, 'a', 0);
    (void)vm_conns_leave(&conns, &first);
    meet_next_machine();
    ck_assert_int_eq(in_file(0), 'a');
    end();
}
END_TEST

START_TEST(what_a_vm_that_comes_back_has_written_is_sent_again)
{
    begin(1);
    put_by(&other, 'a', 0);
    ck_assert(vm_conns_leave(&conns, &other));
    vm_conns_enter(&conns, &other, "process 2");
    meet_next_machine();
    ck_assert_int_eq(in_file(0), 'a');
    end();
}
END_TEST

START_TEST(what_a_vm_that_is_gone_has_written_is_not_sent_again)
{
    begin(1);
    put_by(&first, 'a', 0);
    put_by(&other, 'b', 512);
    ck_assert(vm_conns_leave(&conns, &other));
    meet_next_machine();
    ck_assert_int_eq(in_file(0), 'a');
    ck_assert_int_eq(in_file(512), 0);
    ck_assert_int_eq(do_io(REQ_FLUSH, NULL, 0, 0), 0);
    ck_assert_uint_eq(nr_kept(), 0);
    end();
}
END_TEST

START_TEST(our_own_device_gets_nothing_of_a_vm_that_is_gone)
{
    const struct channel_owner us = {.epoch = 3};
    char buf[1024];
    const struct req rq = {.op = REQ_READ, .len = sizeof buf, .buf = buf};
    struct port *mem;
    uint64_t nr;

    ck_assert_int_eq(port_mem_new(4 * MIB, &mem), 0);
    begin(1);
    put_by(&first, 'a', 0);
    put_by(&other, 'b', 512);
    ck_assert(vm_conns_leave(&conns, &other));
    port_channel_recall(port);
    ck_assert_int_eq(port_channel_hand_over(port, &us, mem, &nr), 0);
    ck_assert_uint_eq(nr, 1);
    ck_assert_int_eq(port_submit(mem, &rq), 0);
    ck_assert_int_eq(buf[0], 'a');
    ck_assert_int_eq(buf[512], 0);
    port_close(mem);
    end();
}
END_TEST

static void *
read_is_done(void *opaque)
{
    char buf[512];

    (void)opaque;
    return do_io(REQ_READ, buf, 8192, sizeof buf) == 0 ? NULL : (void *)1;
}

/* An owner that does not answer a write before it is told to, and writes down what it
 * is sent. */
static void
start_slow_owner(const struct mute_server *m, const char *log)
{
    char script[400];
    const char *const args[] = {"--filter=exportname",
                                "eval",
                                ("exportdesc=fixed:" M2),
                                "get_size=echo 4194304",
                                "can_write=exit 0",
                                "can_flush=exit 0",
                                "flush=exit 0",
                                "pread=head -c $3 /dev/zero",
                                script,
                                NULL};

    (void)snprintf(script, sizeof script,
                   "pwrite=head -c 1 >>%s; cat >/dev/null; printf r >%s; head -c 1 %s "
                   ">/dev/null",
                   log, m->started, m->hang);
    nbdkit_server_start(&server, args);
}

START_TEST(vm_that_goes_while_its_writes_are_sent_again_gets_no_more_of_them)
{
    struct mute_server m;
    pthread_t thread;
    void *failed;
    char log[80], sent[8] = "";
    FILE *f;

    begin(1);
    put_by(&other, 'a', 0);
    put_by(&other, 'b', 1024);
    lose_machine();
    mute_server_pipes(&m, &server);
    (void)snprintf(log, sizeof log, "%s/order", server.dir);
    start_slow_owner(&m, log);
    ck_assert_int_eq(pthread_create(&thread, NULL, read_is_done, NULL), 0);
    mute_server_wait(&m, 1);
    (void)vm_conns_leave(&conns, &other);
    ck_assert_int_eq(write(m.hang_fd, "xx", 2), 2);
    pthread_join(thread, &failed);
    ck_assert_ptr_null(failed);
    f = fopen(log, "re");
    ck_assert_ptr_nonnull(fgets(sent, sizeof sent, f));
    (void)fclose(f);
    ck_assert_str_eq(sent, "a");
    (void)unlink(log);
    mute_server_done(&m);
    end();
}
END_TEST

SUITE("channel_kept_vms") = {
    CASE("channel_kept_vms"),
    TEST(vm_is_gone_with_its_last_connection),
    TEST(what_a_vm_wrote_over_a_connection_that_is_closed_is_sent_again),
    TEST(what_a_vm_that_comes_back_has_written_is_sent_again),
    TEST(what_a_vm_that_is_gone_has_written_is_not_sent_again),
    TEST(our_own_device_gets_nothing_of_a_vm_that_is_gone),
    TEST(vm_that_goes_while_its_writes_are_sent_again_gets_no_more_of_them),
};
