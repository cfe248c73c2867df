/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines over a socket. The first byte of the input limits the length of a line, the
 * second is the size of the pieces that arrive; the rest is what arrives. Every line
 * has to come out as it went in, and the check of the nesting has to agree with the
 * JSON parser. */
#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include "fuzz.h"
#include "json_depth.h"
#include "rpc.h"
#include "rpc_frame.h"

#define MAX_DEPTH 6 /* shallow, so that it is reached */
#define MAX_PIECES 256

struct feed {
    const uint8_t *data;
    size_t size, sent, taken;
    size_t piece, max;
    int fds[2];
};

static unsigned
depth_of(const json_t *j)
{
    unsigned deepest = 0;
    const char *key;
    json_t *value;
    size_t i;

    if (json_is_array(j)) {
        json_array_foreach(j, i, value)
        {
            unsigned d = depth_of(value);

            deepest = d > deepest ? d : deepest;
        }
        return deepest + 1;
    }
    if (json_is_object(j)) {
        json_object_foreach((json_t *)j, key, value)
        {
            unsigned d = depth_of(value);

            deepest = d > deepest ? d : deepest;
        }
        return deepest + 1;
    }
    return 0;
}

static void
check_json(const char *line, size_t len)
{
    bool is_too_deep = json_depth_exceeds(line, len, MAX_DEPTH);
    json_t *j, *again;
    json_error_t error;
    char *text = NULL;
    size_t n;

    if (json_depth_exceeds(line, len, RPC_MAX_DEPTH)) {
        FUZZ_CHECK(is_too_deep);
        return;
    }
    j = json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (j == NULL) {
        return;
    }
    FUZZ_CHECK(is_too_deep == (depth_of(j) > MAX_DEPTH));
    if (json_is_object(j)) {
        FUZZ_CHECK(rpc_frame_dump(j, RPC_MAX_REPLY, &text, &n) == 0);
        FUZZ_CHECK(text[n - 1] == '\n' && memchr(text, '\n', n - 1) == NULL);
        again = json_loadb(text, n - 1, JSON_REJECT_DUPLICATES, &error);
        FUZZ_CHECK(again != NULL && json_equal(again, j));
        json_decref(again);
        free(text);
        text = NULL;
        FUZZ_CHECK(n < 2 || rpc_frame_dump(j, n - 1, &text, &n) == -EMSGSIZE);
    }
    json_decref(j);
}

/* A line came out: is it what went in? */
static void
check_line(struct feed *f, const char *line, size_t len)
{
    char *copy;

    FUZZ_CHECK(f->taken + len < f->sent && f->data[f->taken + len] == '\n');
    FUZZ_CHECK(memcmp(f->data + f->taken, line, len) == 0);
    FUZZ_CHECK(memchr(line, '\n', len) == NULL && len < f->max);
    f->taken += len + 1;
    copy = fuzz_text((const uint8_t *)line, len);
    check_json(copy, len);
    free(copy);
}

/* Take all lines that are there. Returns false after the last one. */
static bool
take_lines(struct feed *f, struct rpc_frame_reader *r)
{
    const char *line;
    size_t len;
    int rc;

    while ((rc = rpc_frame_read(r, 0, &line, &len)) == 1) {
        check_line(f, line, len);
    }
    FUZZ_CHECK(rc == -ETIMEDOUT || rc == -EMSGSIZE || rc == 0);
    if (rc == -EMSGSIZE) { /* only when no line of the allowed length begins here */
        FUZZ_CHECK(f->sent - f->taken >= f->max);
        FUZZ_CHECK(memchr(f->data + f->taken, '\n', f->max) == NULL);
        return false;
    }
    FUZZ_CHECK(memchr(f->data + f->taken, '\n', f->sent - f->taken) == NULL);
    return rc != 0;
}

static void
feed_all(struct feed *f)
{
    struct rpc_frame_reader r;
    bool goes_on = true;

    rpc_frame_reader_init(&r, f->fds[0], f->max);
    while (goes_on && f->sent < f->size) {
        size_t n = f->size - f->sent < f->piece ? f->size - f->sent : f->piece;

        FUZZ_CHECK(send(f->fds[1], f->data + f->sent, n, 0) == (ssize_t)n);
        f->sent += n;
        goes_on = take_lines(f, &r);
    }
    FUZZ_CHECK(shutdown(f->fds[1], SHUT_WR) == 0);
    if (goes_on) {
        FUZZ_CHECK(!take_lines(f, &r)); /* the end is seen, or the line is too long */
    }
    rpc_frame_reader_done(&r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed f = {.data = data + 2};

    if (size < 3) {
        return 0;
    }
    f.size = size - 2;
    f.max = 1 + (size_t)data[0] * 64;
    f.piece = 1 + data[1];
    f.piece = f.piece * MAX_PIECES < f.size ? f.size / MAX_PIECES + 1 : f.piece;
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, f.fds) == 0);
    feed_all(&f);
    (void)close(f.fds[0]);
    (void)close(f.fds[1]);
    return 0;
}
