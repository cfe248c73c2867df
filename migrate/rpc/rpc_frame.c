/* SPDX-License-Identifier: BSD-3-Clause */
#include "rpc_frame.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cleanup.h"
#include "clock.h"

#define FIRST_SIZE 4096U

void
rpc_frame_reader_init(struct rpc_frame_reader *r, int fd, size_t max)
{
    *r = (struct rpc_frame_reader){.fd = fd, .max = max};
}

void
rpc_frame_reader_done(struct rpc_frame_reader *r)
{
    free(r->buf);
    r->buf = NULL;
}

/* 0: an event, or the end of the connection, which the next call on fd will tell. */
static int
wait_for(int fd, short events, uint64_t deadline_ns)
{
    struct pollfd p = {.fd = fd, .events = events};
    int n;

    do {
        n = poll(&p, 1, clock_poll_ms(deadline_ns));
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return -errno;
    }
    return n == 0 ? -ETIMEDOUT : 0;
}

/* Have room for at least one more byte of the line. */
static int
make_room(struct rpc_frame_reader *r)
{
    size_t used = r->end - r->begin, size = r->size;
    char *buf;

    if (r->end < r->size) {
        return 0;
    }
    if (r->begin > 0) {
        memmove(r->buf, r->buf + r->begin, used);
        r->scanned -= r->begin;
        r->begin = 0;
        r->end = used;
        return 0;
    }
    if (size >= r->max) {
        return -EMSGSIZE;
    }
    size = size == 0 ? FIRST_SIZE : size * 2;
    size = size > r->max ? r->max : size;
    buf = realloc(r->buf, size);
    if (buf == NULL) {
        return -ENOMEM;
    }
    r->buf = buf;
    r->size = size;
    return 0;
}

/* Bytes received, 0 at the end of the connection, or -errno. */
static ssize_t
receive(struct rpc_frame_reader *r, uint64_t deadline_ns)
{
    for (;;) {
        ssize_t n = recv(r->fd, r->buf + r->end, r->size - r->end, MSG_DONTWAIT);
        int rc;

        if (n >= 0) {
            r->end += (size_t)n;
            return n;
        }
        if (errno == EAGAIN) {
            rc = wait_for(r->fd, POLLIN, deadline_ns);
            if (rc < 0) {
                return rc;
            }
        } else if (errno != EINTR) {
            return -errno;
        }
    }
}

int
rpc_frame_read(struct rpc_frame_reader *r, uint64_t deadline_ns, const char **ret_line,
               size_t *ret_len)
{
    for (;;) {
        char *newline = NULL;
        ssize_t n;
        int rc;

        if (r->end > r->scanned) {
            newline = memchr(r->buf + r->scanned, '\n', r->end - r->scanned);
        }
        if (newline != NULL) {
            *ret_line = r->buf + r->begin;
            *ret_len = (size_t)(newline - *ret_line);
            r->begin += *ret_len + 1;
            r->scanned = r->begin;
            return 1;
        }
        r->scanned = r->end;
        rc = make_room(r);
        if (rc < 0) {
            return rc;
        }
        n = receive(r, deadline_ns);
        if (n <= 0) {
            return (int)n;
        }
    }
}

ssize_t
rpc_frame_write_some(int fd, const char *data, size_t len)
{
    ssize_t n;

    do {
        n = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return errno == EAGAIN ? 0 : -errno;
    }
    return n;
}

int
rpc_frame_write(int fd, const char *data, size_t len, uint64_t deadline_ns)
{
    while (len > 0) {
        ssize_t n = rpc_frame_write_some(fd, data, len);

        if (n == 0) {
            n = wait_for(fd, POLLOUT, deadline_ns);
        } else if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
        if (n < 0) {
            return (int)n;
        }
    }
    return 0;
}

int
rpc_frame_dump(const json_t *j, size_t max, char **ret_line, size_t *ret_len)
{
    AUTO_FREE char *text = json_dumps(j, JSON_COMPACT);
    char *line;
    size_t len;

    if (text == NULL) {
        return -ENOMEM;
    }
    len = strlen(text); /* a NUL within a string is written as an escape */
    if (len + 1 > max) {
        return -EMSGSIZE;
    }
    line = realloc(text, len + 1); /* the newline takes the place of the final NUL */
    if (line == NULL) {
        return -ENOMEM;
    }
    text = NULL;
    line[len] = '\n';
    *ret_line = line;
    *ret_len = len + 1;
    return 0;
}

json_t *
rpc_frame_text(const char *s)
{
    AUTO_FREE char *copy = NULL;
    json_t *j = json_string(s);

    if (j != NULL) {
        return j;
    }
    copy = strdup(s);
    if (copy == NULL) {
        return NULL;
    }
    for (char *c = copy; *c != '\0'; c++) {
        if ((unsigned char)*c >= 0x80) {
            *c = '?';
        }
    }
    return json_string(copy);
}
