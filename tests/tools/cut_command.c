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

enum verb {
    VERB_RELEASE,
    VERB_CUT,
    VERB_ORPHAN,
    VERB_HOLD,
    VERB_HOLD_FOR,
    VERB_DELAY,
    VERB_TRUNCATE,
};

/* What can be done to a connection: its name, and how many words there are with the
 * target; from three on the second is a direction, of four the third a number. */
static const struct {
    const char *name;
    unsigned nr;
    enum verb verb;
} verbs[] = {{"release", 2, VERB_RELEASE},  {"cut", 2, VERB_CUT},
             {"orphan", 2, VERB_ORPHAN},    {"hold", 3, VERB_HOLD},
             {"hold", 4, VERB_HOLD_FOR},    {"delay", 4, VERB_DELAY},
             {"truncate", 4, VERB_TRUNCATE}};

struct action {
    enum verb verb;
    enum cut_dir dir;
    uint64_t number;
};

static bool
read_action(const struct words *w, struct action *ret_a)
{
    char *end = NULL;

    for (unsigned i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (w->nr != verbs[i].nr || strcmp(w->word[0], verbs[i].name) != 0) {
            continue;
        }
        *ret_a = (struct action){.verb = verbs[i].verb, .dir = CUT_BOTH};
        if (w->nr > 2 && !read_dir(w->word[1], &ret_a->dir)) {
            return false;
        }
        if (w->nr == 4) {
            ret_a->number = strtoull(w->word[2], &end, 10);
        }
        return (end == NULL || *end == '\0') &&
               (verbs[i].verb != VERB_TRUNCATE || ret_a->dir != CUT_BOTH);
    }
    return false;
}

static void
act(struct cut *c, struct cut_conn *conn, const struct action *a)
{
    uint64_t ns = a->number * NS_PER_MS;

    switch (a->verb) {
    case VERB_RELEASE:
        cut_release(conn);
        break;
    case VERB_CUT:
        cut_reset(c, conn);
        break;
    case VERB_ORPHAN:
        cut_orphan(c, conn);
        break;
    case VERB_HOLD:
        cut_hold(c, conn, a->dir, CLOCK_NEVER);
        break;
    case VERB_HOLD_FOR:
        cut_hold(c, conn, a->dir, clock_deadline_ns(ns));
        break;
    case VERB_DELAY:
        cut_delay(c, conn, a->dir, ns);
        break;
    case VERB_TRUNCATE:
        cut_truncate(c, conn, a->dir, a->number);
        break;
    }
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
            cut_say(NULL, "route %s %s", c->routes[i].name,
                    is_close ? "closed" : "open");
        }
    }
    return true;
}

/* " held up" and so on, of what is done to it. */
static const char *
kept_text(const struct cut_conn *conn)
{
    uint64_t now_ns = clock_now_ns();
    bool is_up = now_ns < conn->pipe[CUT_UP].held_until_ns;
    bool is_down = now_ns < conn->pipe[CUT_DOWN].held_until_ns;

    if (is_up || is_down) {
        return !is_down ? " held up" : is_up ? " held both" : " held down";
    }
    return conn->pipe[CUT_UP].delay_ns > 0 || conn->pipe[CUT_DOWN].delay_ns > 0
               ? " delayed"
               : "";
}

static void
list(const struct cut *c, char *reply, size_t size)
{
    const struct cut_conn *conn;
    char text[CUT_TEXT];
    size_t at = 0;
    int n;

    TAILQ_FOREACH(conn, &c->conns, link)
    {
        n = snprintf(reply + at, size - at,
                     "#%u %s %s up %zu down %zu passed %" PRIu64 " %" PRIu64
                     " answered-late %" PRIu64 "%s for \"%s\"%s\n",
                     conn->id, conn->route->name,
                     conn->fd[CUT_CLIENT] < 0 ? "orphan" : "connected",
                     conn->pipe[CUT_UP].len, conn->pipe[CUT_DOWN].len,
                     conn->pipe[CUT_UP].passed, conn->pipe[CUT_DOWN].passed,
                     conn->answered, kept_text(conn), conn->sniff.name,
                     cut_waiting(conn, text));
        if (n < 0 || (size_t)n >= size - at) {
            (void)snprintf(reply + at, size - at, "the rest does not fit\n");
            return;
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
    struct action action;
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
    if (w.nr == 1 && strcmp(w.word[0], "time") == 0) {
        (void)snprintf(reply, size, "ok %" PRIu64 "\n", clock_now_ns() / NS_PER_US);
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
    if (!read_action(&w, &action)) {
        return true;
    }
    for (conn = TAILQ_FIRST(&c->conns); conn != NULL; conn = next) {
        next = TAILQ_NEXT(conn, link);
        if (is_meant(conn, w.word[w.nr - 1])) {
            act(c, conn, &action);
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

/* Always draws and says the same, so that the choices depend on the seed only; whom
 * they meet depends on who is connected then. */
void
cut_accident(struct cut *c, uint64_t *rng)
{
    uint64_t which = cut_chance(rng, CUT_MAX_CONNS), what = cut_chance(rng, 6);
    enum cut_dir dir = (enum cut_dir)cut_chance(rng, 2);
    uint64_t ms = 10 + cut_chance(rng, 500), bytes = 1 + cut_chance(rng, 70000);
    struct cut_conn *conn = TAILQ_FIRST(&c->conns);
    static const char *const names[] = {"hold both", "hold",  "delay",
                                        "truncate",  "reset", "orphan"};

    cut_say(NULL, "accident: %s, %s, %" PRIu64 " ms, %" PRIu64 " bytes", names[what],
            dir == CUT_UP ? "up" : "down", ms, bytes);
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
