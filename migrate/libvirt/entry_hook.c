/* SPDX-License-Identifier: BSD-3-Clause */
/* entry_hook.c - the program that libvirtd runs, with the arguments NAME OPERATION
 * SUB-OPERATION EXTRA and the domain's XML on standard input. See hook.h. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "hook.h"
#include "log.h"
#include "socket_path.h"

#define DEFAULT_CONFIG "/etc/baton/hook.conf"
#define READ_NS (5 * NS_PER_S) /* libvirtd has the text ready */

/* All of standard input, at most HOOK_MAX_XML. */
static int
read_input(struct err *e, char **ret_text, size_t *ret_len)
{
    const uint64_t deadline_ns = clock_deadline_ns(READ_NS);
    AUTO_FREE char *text = malloc(HOOK_MAX_XML + 1);
    size_t len = 0;

    if (text == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    for (;;) {
        struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
        ssize_t n;

        if (poll(&p, 1, clock_poll_ms(deadline_ns)) == 0) {
            return err_set(e, -ETIMEDOUT, "the domain's XML did not arrive in time");
        }
        n = read(STDIN_FILENO, text + len, HOOK_MAX_XML + 1 - len);
        if (n < 0 && errno != EINTR) {
            return err_set(e, -errno, "standard input cannot be read");
        }
        if (n == 0) {
            break;
        }
        len += n > 0 ? (size_t)n : 0;
        if (len > HOOK_MAX_XML) {
            return err_set(e, -E2BIG, "the domain's XML is too long");
        }
    }
    *ret_text = TAKE(text);
    *ret_len = len;
    return 0;
}

static const char *
map_socket(const void *config, const char *from)
{
    const struct hook_config *c = config;

    for (unsigned i = 0; i < c->nr_maps; i++) {
        if (socket_path_is_same(c->maps[i].from, from)) {
            return c->maps[i].to;
        }
    }
    return NULL;
}

static int
load_config(struct err *e, struct hook_config *ret_c)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    const char *path = getenv("BATON_HOOK_CONF");

    return hook_config_load(path != NULL ? path : DEFAULT_CONFIG, e, ret_c);
}

static int
tell_services(enum hook_event event, const struct hook_config *c,
              const struct hook_domain *dom, struct err *e)
{
    const uint64_t deadline_ns = clock_deadline_ns(c->timeout_ns);

    switch (event) {
    case HOOK_COMING:
        return hook_coming(c, dom, deadline_ns, e);
    case HOOK_RESTORED:
        return hook_restored(c, dom, deadline_ns, e);
    case HOOK_GONE:
        return hook_gone(c, dom, deadline_ns, e);
    case HOOK_REWRITE:
        if (hook_migrating(c, dom, clock_deadline_ns(c->timeout_ns / 4), e) < 0) {
            log_warn("%s migrate: %s", dom->name, e->msg); /* prepare may refuse it */
        }
        return 0;
    case HOOK_NOTHING:
        break;
    }
    return 0;
}

/* Tell the services of the domain in text, the XML that it will have here. */
static int
tell_of(enum hook_event event, const struct hook_config *c, const char *vm,
        const char *text, size_t len, struct err *e)
{
    struct hook_domain dom;
    int rc = hook_domain_parse(text, len, e, &dom);

    if (rc < 0) {
        return rc;
    }
    dom.name = vm;
    rc = tell_services(event, c, &dom, e);
    hook_domain_done(&dom);
    return rc;
}

/* For migrate and restore. Give the domain the socket paths of this host, tell the
 * services of it, and print it if a path differs. */
static int
rewrite_xml(enum hook_event event, const struct hook_config *c, const char *vm,
            const char *xml, size_t len, struct err *e)
{
    AUTO_FREE char *text = NULL;
    const struct hook_map map = {map_socket, c};
    size_t text_len = 0;
    int rc;

    if (c->nr_maps > 0) {
        rc = hook_domain_rewrite(xml, len, &map, e, &text, &text_len);
        if (rc < 0) {
            return rc;
        }
    }
    if (text == NULL) { /* no path differs */
        return tell_of(event, c, vm, xml, len, e);
    }
    rc = tell_of(event, c, vm, text, text_len, e);
    if (rc < 0) {
        return rc;
    }
    if (fwrite(text, 1, text_len, stdout) != text_len || fflush(stdout) != 0) {
        return err_set(e, -EIO, "standard output cannot be written");
    }
    return 0;
}

static int
run(enum hook_event event, const char *vm, const char *xml, size_t len, struct err *e)
{
    struct hook_domain dom;
    struct hook_config c;
    int rc = hook_domain_parse(xml, len, e, &dom);

    if (rc < 0) {
        return rc;
    }
    dom.name = vm;
    if (dom.nr > 0) { /* or the domain is none of our business */
        rc = load_config(e, &c);
    }
    if (rc == 0 && dom.nr > 0) {
        rc = event == HOOK_REWRITE || event == HOOK_RESTORED
                 ? rewrite_xml(event, &c, vm, xml, len, e)
                 : tell_services(event, &c, &dom, e);
    }
    hook_domain_done(&dom);
    return rc;
}

int
main(int argc, char **argv)
{
    AUTO_FREE char *xml = NULL;
    struct err e = {{0}};
    enum hook_event event;
    size_t len = 0;
    int rc;

    log_set_name("hook");
    if (argc < 4) {
        (void)fprintf(stderr, "usage: baton-libvirt-hook NAME OPERATION SUB-OPERATION "
                              "[EXTRA] < XML; run by libvirtd\n");
        return 2;
    }
    event = hook_event_of(argv[2], argv[3]);
    rc = read_input(&e, &xml, &len); /* for every event, since libvirtd writes it */
    if (event == HOOK_NOTHING) {
        return 0;
    }
    if (rc == 0) {
        rc = run(event, argv[1], xml, len, &e);
    }
    if (rc == 0) {
        return 0;
    }
    log_error("%s %s: %s", argv[1], argv[2], err_text(&e, rc));
    return event == HOOK_GONE ? 0 : 1;
}
