/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_serial.c - baton serial: makes sockets of one machine appear in another, over a
 * virtio-serial port. It runs at both ends of the port until it is killed. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "cli.h"
#include "cli_options.h"
#include "clock.h"
#include "log.h"
#include "name.h"
#include "serial_line.h"
#include "serial_mux.h"

struct names {
    unsigned nr;
    struct serial_name names[SERIAL_MAX_NAMES];
    int fds[SERIAL_MAX_NAMES]; /* the listening sockets of --reach */
};

struct bridge {
    struct names offers, reach;
    const char *mode_text;
    unsigned mode;
    struct serial_line line;
    struct serial_mux *mux;
};

static int
add_name(struct names *list, const char *option, const char *text)
{
    const char *equals = strchr(text, '=');
    size_t len = equals != NULL ? (size_t)(equals - text) : 0;
    struct serial_name n = {.name = ""};
    struct err e = {.msg = ""};

    if (len == 0 || len >= sizeof n.name) {
        return cli_fail(CLI_USAGE, "serial", "--%s %.100s: allowed: NAME=unix:PATH",
                        option, text);
    }
    memcpy(n.name, text, len);
    if (!name_is_valid(n.name) ||
        uri_parse(equals + 1, URI_FOR_LISTEN, &e, &n.uri) < 0 ||
        n.uri.kind != URI_UNIX) {
        return cli_fail(CLI_USAGE, "serial", "--%s %.100s: allowed: NAME=unix:PATH%s%s",
                        option, text, e.msg[0] != '\0' ? "; " : "", e.msg);
    }
    for (unsigned i = 0; i < list->nr; i++) {
        if (strcmp(list->names[i].name, n.name) == 0) {
            return cli_fail(CLI_USAGE, "serial", "--%s %s is given twice", option,
                            n.name);
        }
    }
    if (list->nr == SERIAL_MAX_NAMES) {
        return cli_fail(CLI_USAGE, "serial", "--%s: allowed: at most %d times", option,
                        SERIAL_MAX_NAMES);
    }
    list->names[list->nr++] = n;
    return CLI_DONE;
}

static int
take_mode(struct bridge *b)
{
    char *end = NULL;

    b->mode = 0600;
    if (b->mode_text == NULL) {
        return CLI_DONE;
    }
    b->mode = (unsigned)strtoul(b->mode_text, &end, 8);
    if (b->mode_text[0] < '0' || b->mode_text[0] > '7' || *end != '\0' ||
        b->mode > 0777) {
        return cli_fail(CLI_USAGE, "serial",
                        "--socket-mode %.100s: allowed: octal 0 to 0777", b->mode_text);
    }
    return CLI_DONE;
}

/* opaque is the list that the name is added to. */
static bool
take_name(const struct cli_option *o, const char *text)
{
    return add_name(o->opaque, o->name, text) == CLI_DONE;
}

/* Returns the status to end with, or -1 to go on. */
static int
parse_options(int argc, char **argv, struct bridge *b)
{
    static const struct cli_usage usage = {
        "serial",
        "usage: baton serial PORT [--offer NAME=unix:PATH]... [--reach "
        "NAME=unix:PATH]...\n"
        "  PORT                in a VM the port's device, on the host unix:PATH of "
        "its\n"
        "                      chardev\n",
        NULL, 18};
    const struct cli_option options[] = {
        {"offer", "NAME=unix:PATH",
         "a socket here that the other side reaches by its name", .take = take_name,
         .opaque = &b->offers},
        {"reach", "NAME=unix:PATH",
         "a socket to make here, for what the other side offers", .take = take_name,
         .opaque = &b->reach},
        {"socket-mode", "MODE", "octal mode of the sockets made here (default: 0600)",
         .text = &b->mode_text},
        {0},
    };
    int status;

    if (!cli_take_options(argc, argv, &usage, options, &status)) {
        return status;
    }
    if (argc - optind != 1) {
        return cli_fail(CLI_USAGE, "serial", "one PORT is needed (see --help)");
    }
    if (b->offers.nr + b->reach.nr == 0) {
        return cli_fail(CLI_USAGE, "serial",
                        "the port would carry nothing; give --offer or --reach");
    }
    status = take_mode(b);
    return status == CLI_DONE ? -1 : status;
}

static int
listen_all(struct bridge *b, struct err *e)
{
    for (unsigned i = 0; i < b->reach.nr; i++) {
        const struct uri *u = &b->reach.names[i].uri;
        int rc = uri_listen(u, b->mode, e, &b->reach.fds[i]);

        if (rc < 0) {
            return rc;
        }
        if (fcntl(b->reach.fds[i], F_SETFL, O_NONBLOCK) < 0) {
            return err_set(e, -errno, "cannot listen on %s", u->text);
        }
    }
    return 0;
}

/* While nobody is at the other end of the line, the connection is accepted and closed
 * at once: so the client learns immediately that it has to try again. */
static void
accept_from(struct bridge *b, unsigned i)
{
    int fd = accept4(b->reach.fds[i], NULL, NULL, SOCK_CLOEXEC);

    if (fd >= 0) {
        serial_mux_open(b->mux, b->reach.names[i].name, fd);
    }
}

__attribute__((noreturn)) static void
run(struct bridge *b)
{
    struct pollfd fds[SERIAL_LINE_FDS + SERIAL_MAX_NAMES + SERIAL_MAX_STREAMS];
    struct pollfd *listeners = fds + SERIAL_LINE_FDS;
    struct pollfd *streams = listeners + b->reach.nr;
    struct wire *w = serial_mux_wire(b->mux);
    unsigned nr = SERIAL_LINE_FDS + b->reach.nr + SERIAL_MAX_STREAMS;

    for (;;) {
        uint64_t until_ns;

        serial_mux_hear(b->mux); /* of frames that found no room before */
        until_ns = serial_line_prepare(&b->line, w, fds);
        for (unsigned i = 0; i < b->reach.nr; i++) {
            listeners[i] = (struct pollfd){
                .fd = serial_mux_may_open(b->mux) ? b->reach.fds[i] : -1,
                .events = POLLIN};
        }
        serial_mux_prepare(b->mux, streams);
        if (poll(fds, nr, clock_poll_ms(until_ns)) <= 0) {
            continue; /* interrupted, or time to open the line again */
        }
        serial_line_serve(&b->line, w, fds);
        serial_mux_hear(b->mux);
        serial_mux_serve(b->mux, streams);
        for (unsigned i = 0; i < b->reach.nr; i++) {
            if (listeners[i].revents != 0) {
                accept_from(b, i);
            }
        }
    }
}

int
cmd_serial(int argc, char **argv)
{
    AUTO_FREE struct bridge *b = calloc(1, sizeof *b);
    struct err e = {.msg = ""};
    int status, rc;

    if (b == NULL) {
        return cli_fail(CLI_REFUSED, "serial", "out of memory");
    }
    status = parse_options(argc, argv, b);
    if (status != -1) {
        return status;
    }
    log_set_name("serial");
    (void)signal(SIGPIPE, SIG_IGN); /* cannot fail for SIGPIPE */
    rc = serial_line_init(&b->line, argv[optind], &e);
    if (rc < 0) {
        return cli_fail(CLI_USAGE, "serial", "%s", err_text(&e, rc));
    }
    rc = serial_mux_new(b->offers.names, b->offers.nr, &b->mux);
    if (rc == 0) {
        rc = listen_all(b, &e);
    }
    if (rc < 0) {
        serial_mux_free(b->mux);
        serial_line_done(&b->line);
        return cli_fail(CLI_REFUSED, "serial", "%s", err_text(&e, rc));
    }
    log_info("ready");
    run(b);
}
