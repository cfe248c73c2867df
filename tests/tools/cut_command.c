/* SPDX-License-Identifier: BSD-3-Clause */
/* The words of cutproxy's control socket, and accidents by chance. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "cut.h"

struct words {
    char *word[5];
    unsigned nr;
};

static struct words
split(char *line)
{
    struct words w = {.nr = 0};
    char *save = NULL;

    for (char *t = strtok_r(line, " \n", &save); t != NULL && w.nr < 5;
         t = strtok_r(NULL, " \n", &save)) {
        w.word[w.nr++] = t;
    }
    return w;
}

/* "all", the name of a route, or "#N". */
static bool
is_meant(const struct cut_conn *conn, const char *target)
{
    if (target[0] == '#') {
        return strtoul(target + 1, NULL, 10) == conn->id;
    }
    return strcmp(target, "all") == 0 || strcmp(target, conn->route->name) == 0;
}

static bool
read_dir(const char *word, enum cut_dir *ret_dir)
{
    static const char *const names[] = {"up", "down", "both"};

    for (unsigned i = 0; i < 3; i++) {
        if (strcmp(word, names[i]) == 0) {
            *ret_dir = (enum cut_dir)i;
            return true;
        }
    }
    return false;
}

/* Do one thing to one connection; false when there is no such thing. */
static bool
act(struct cut *c, struct cut_conn *conn, const struct words *w)
{
    const char *verb = w->word[0];
    uint64_t number = w->nr == 4 ? strtoull(w->word[2], NULL, 10) : 0;
    enum cut_dir dir = CUT_BOTH;

    if (w->nr == 2 && strcmp(verb, "release") == 0) {
        cut_release(c, conn);
    } else if (w->nr == 2 && strcmp(verb, "cut") == 0) {
        cut_reset(c, conn);
    } else if (w->nr == 2 && strcmp(verb, "orphan") == 0) {
        cut_orphan(c, conn);
    } else if (w->nr < 3 || !read_dir(w->word[1], &dir)) {
        return false;
    } else if (w->nr == 3 && strcmp(verb, "hold") == 0) {
        cut_hold(c, conn, dir, CLOCK_NEVER);
    } else if (w->nr == 4 && strcmp(verb, "hold") == 0) {
        cut_hold(c, conn, dir, clock_deadline_ns(number * NS_PER_MS));
    } else if (w->nr == 4 && strcmp(verb, "delay") == 0) {
        cut_delay(c, conn, dir, number * NS_PER_MS);
    } else if (w->nr == 4 && strcmp(verb, "truncate") == 0 && dir != CUT_BOTH) {
        cut_truncate(c, conn, dir, number);
    } else {
        return false;
    }
    return true;
}

static bool
set_route(struct cut *c, const struct words *w)
{
    bool is_close = strcmp(w->word[0], "close") == 0;

    if (w->nr != 2 || (!is_close && strcmp(w->word[0], "open") != 0)) {
        return false;
    }
    for (unsigned i = 0; i < c->nr_routes; i++) {
        if (strcmp(w->word[1], "all") == 0 ||
            strcmp(w->word[1], c->routes[i].name) == 0) {
            c->routes[i].is_closed = is_close;
            cut_say(c, NULL, "route %s %s", c->routes[i].name,
                    is_close ? "closed" : "open");
        }
    }
    return true;
}

static void
list(const struct cut *c, char *reply, size_t size)
{
    const struct cut_conn *conn;
    size_t at = 0;
    int n;

    TAILQ_FOREACH(conn, &c->conns, link)
    {
        n = snprintf(reply + at, size - at, "#%u %s %s up %zu down %zu\n", conn->id,
                     conn->route->name,
                     conn->fd[CUT_CLIENT] < 0 ? "orphan" : "connected",
                     conn->pipe[CUT_UP].len, conn->pipe[CUT_DOWN].len);
        if (n < 0 || (size_t)n >= size - at) {
            break; /* the rest does not fit */
        }
        at += (size_t)n;
    }
    (void)snprintf(reply + at, size - at, "ok\n");
}

static bool
is_wait(const char *word)
{
    return strcmp(word, "wait-held") == 0 || strcmp(word, "wait-answered") == 0;
}

/* "wait-held BYTES TARGET": so much waits for the server; "wait-answered BYTES TARGET":
 * it has answered so much to clients that were hung up on, or has gone; "wait-gone
 * TARGET": none of them is left. */
static bool
is_met(const struct cut *c, const struct words *w)
{
    uint64_t wanted = strtoull(w->word[1], NULL, 10), held = 0, answered = 0, nr = 0;
    const struct cut_conn *conn;

    TAILQ_FOREACH(conn, &c->conns, link)
    {
        if (is_meant(conn, w->word[w->nr - 1])) {
            nr++;
            held += conn->pipe[CUT_UP].len;
            answered += conn->answered;
        }
    }
    if (strcmp(w->word[0], "wait-gone") == 0) {
        return nr == 0;
    }
    return strcmp(w->word[0], "wait-held") == 0 ? held >= wanted
                                                : nr == 0 || answered >= wanted;
}

bool
cut_command(struct cut *c, const char *line, char *reply, size_t size)
{
    char copy[256];
    struct words w;
    struct cut_conn *conn, *next;
    unsigned nr = 0;

    (void)snprintf(copy, sizeof copy, "%s", line);
    w = split(copy);
    (void)snprintf(reply, size, "error: what is \"%.200s\"?\n", line);
    if (w.nr == 0) {
        return true;
    }
    if (w.nr == 1 && strcmp(w.word[0], "list") == 0) {
        list(c, reply, size);
        return true;
    }
    if ((w.nr == 3 && is_wait(w.word[0])) ||
        (w.nr == 2 && strcmp(w.word[0], "wait-gone") == 0)) {
        (void)snprintf(reply, size, "ok\n");
        return is_met(c, &w);
    }
    if (set_route(c, &w)) {
        (void)snprintf(reply, size, "ok\n");
        return true;
    }
    for (conn = TAILQ_FIRST(&c->conns); conn != NULL; conn = next) {
        next = TAILQ_NEXT(conn, link);
        if (is_meant(conn, w.word[w.nr - 1])) {
            if (!act(c, conn, &w)) {
                return true;
            }
            nr++;
        }
    }
    (void)snprintf(reply, size, "ok %u\n", nr);
    return true;
}

uint64_t
cut_chance(uint64_t *rng, uint64_t below)
{
    *rng ^= *rng << 13; /* xorshift64 */
    *rng ^= *rng >> 7;
    *rng ^= *rng << 17;
    return (*rng >> 11) % below;
}

/* Always draws the same number of times, so that the choices depend on the seed only,
 * and not on how many connections there are. */
void
cut_accident(struct cut *c, uint64_t *rng)
{
    uint64_t which = cut_chance(rng, CUT_MAX_CONNS), what = cut_chance(rng, 6);
    enum cut_dir dir = (enum cut_dir)cut_chance(rng, 2);
    uint64_t ms = 10 + cut_chance(rng, 500), bytes = 1 + cut_chance(rng, 70000);
    struct cut_conn *conn = TAILQ_FIRST(&c->conns);

    if (conn == NULL) {
        return;
    }
    for (which %= c->nr_conns; which > 0; which--) {
        conn = TAILQ_NEXT(conn, link);
    }
    switch (what) {
    case 0: /* the others go on: their bytes overtake these */
        cut_hold(c, conn, CUT_BOTH, clock_deadline_ns(ms * NS_PER_MS));
        break;
    case 1:
        cut_hold(c, conn, dir, clock_deadline_ns(ms * NS_PER_MS));
        break;
    case 2:
        cut_delay(c, conn, dir, ms / 50 * NS_PER_MS);
        break;
    case 3:
        cut_truncate(c, conn, dir, bytes);
        break;
    case 4:
        cut_reset(c, conn);
        break;
    case 5:
        cut_hold(c, conn, CUT_UP, clock_deadline_ns(ms * NS_PER_MS));
        cut_orphan(c, conn);
        break;
    }
}
