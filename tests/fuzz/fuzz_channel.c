/* SPDX-License-Identifier: BSD-3-Clause */
/* Channel export names, one a line, as peers would ask for them one after the other: a
 * line is parsed, formatted again, proved, and opens a session. A small model says
 * which of them have to be refused. */
#include <errno.h>
#include <stdbool.h>

#include "channel_name.h"
#include "clock.h"
#include "fuzz.h"
#include "port_mem.h"
#include "session.h"

#define MAX_SESSIONS 64
#define DISK_SIZE 65536
#define RIGHT "0123456789abcdef0123456789abcdef"
#define EPOCH 5          /* that is served */
#define EXPECTED_EPOCH 6 /* admitted only */
#define MAX_NUMBER (UINT64_C(1) << 63)
#define MAX_AHEAD (UINT64_C(1) << 61)

struct opened {
    struct channel_name name;
    struct session *session;
};

struct world {
    struct redir *redir;
    struct session_table *table;
    unsigned nr;
    struct opened opened[MAX_SESSIONS];
};

static void
make_world(struct world *w)
{
    struct port *mem, *old = NULL;

    w->nr = 0;
    FUZZ_CHECK(port_mem_new(DISK_SIZE, &mem) == 0);
    FUZZ_CHECK(redir_new("d", &mem->info, CLOCK_NEVER, &w->redir) == 0);
    FUZZ_CHECK(redir_swap(w->redir, mem, REDIR_LOCAL, NULL, &old) == 0);
    FUZZ_CHECK(redir_release(w->redir) == 0);
    FUZZ_CHECK(session_table_new("d", w->redir, &w->table) == 0);
    session_table_open(w->table, EPOCH);
    session_table_expect(w->table, EXPECTED_EPOCH);
}

static void
end_world(struct world *w)
{
    for (unsigned i = 0; i < w->nr; i++) {
        session_close(w->opened[i].session);
    }
    session_table_free(w->table);
    redir_free(w->redir);
}

/* The newest session that this client has opened, or NULL. */
static const struct channel_name *
newest_of(const struct world *w, const char *client)
{
    const struct channel_name *newest = NULL;

    for (unsigned i = 0; i < w->nr; i++) {
        const struct channel_name *n = &w->opened[i].name;

        if (strcmp(n->client, client) == 0 &&
            (newest == NULL || n->session > newest->session)) {
            newest = n;
        }
    }
    return newest;
}

static bool
must_be_admitted(const struct world *w, const struct channel_name *n)
{
    const struct channel_name *newest = newest_of(w, n->client);

    return (n->epoch == EPOCH || n->epoch == EXPECTED_EPOCH) &&
           n->session <= MAX_NUMBER &&
           (newest == NULL || n->session <= newest->session + MAX_AHEAD) &&
           (newest == NULL || n->session > newest->session ||
            (n->session == newest->session && n->epoch == newest->epoch));
}

/* Only the newest session of a client, and of an epoch that is served, may write. */
static void
check_who_may_write(const struct world *w)
{
    char byte = 1;
    const struct req rq = {.op = REQ_WRITE, .len = 1, .off = 0, .buf = &byte};

    for (unsigned i = 0; i < w->nr; i++) {
        const struct channel_name *n = &w->opened[i].name;
        bool may = n->epoch == EPOCH && n->session == newest_of(w, n->client)->session;

        FUZZ_CHECK(session_submit(w->opened[i].session, &rq) == (may ? 0 : -ESTALE));
    }
}

static void
open_one(struct world *w, const struct channel_name *n)
{
    struct session *s = NULL;
    struct err e = {.msg = ""};
    bool is_expected = must_be_admitted(w, n);
    int rc = session_open(w->table, n->client, n->session, n->epoch,
                          clock_deadline_ns(20 * NS_PER_S), &e, &s);

    FUZZ_CHECK((rc == 0) == is_expected);
    if (rc < 0) {
        FUZZ_CHECK((rc == -ESTALE || rc == -ERANGE) && s == NULL);
        FUZZ_CHECK_REFUSAL(rc, &e);
        return;
    }
    w->opened[w->nr].name = *n;
    w->opened[w->nr++].session = s;
}

/* Only the proof of the right is one, and only of this name. */
static void
check_proof(const struct channel_name *n)
{
    struct channel_name proved = *n;

    channel_name_prove(&proved, RIGHT);
    FUZZ_CHECK(channel_name_is_proved(&proved, RIGHT));
    FUZZ_CHECK(channel_name_is_proved(n, RIGHT) ==
               (strcmp(n->proof, proved.proof) == 0));
    proved.session++;
    FUZZ_CHECK(!channel_name_is_proved(&proved, RIGHT));
}

static void
take_line(struct world *w, const char *line)
{
    char text[CHANNEL_NAME_MAX];
    struct channel_name n, untouched;
    int rc;

    memset(&n, 0x5a, sizeof n);
    memset(&untouched, 0x5a, sizeof untouched);
    rc = channel_name_parse(line, &n);
    if (rc < 0) {
        FUZZ_CHECK(rc == -EINVAL && memcmp(&n, &untouched, sizeof n) == 0);
        return;
    }
    FUZZ_CHECK((size_t)channel_name_format(&n, text) == strlen(line));
    FUZZ_CHECK(strcmp(text, line) == 0); /* there is one form only */
    check_proof(&n);
    if (w->nr < MAX_SESSIONS) {
        open_one(w, &n);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size), *rest = text, *line;
    struct world *w = malloc(sizeof *w);

    FUZZ_CHECK(w != NULL);
    make_world(w);
    while ((line = strsep(&rest, "\n")) != NULL) {
        take_line(w, line);
    }
    check_who_may_write(w);
    end_world(w);
    free(w);
    free(text);
    return 0;
}
