/* SPDX-License-Identifier: BSD-3-Clause */
/* URIs, durations, names and UUIDs: the small parsers. The first byte of the input says
 * what the URI is for. */
#include <arpa/inet.h>
#include <inttypes.h>

#include "config.h"
#include "config_text.h"
#include "fuzz.h"
#include "record.h"
#include "record_json.h"
#include "uri.h"

/* The URI that u's parts make. */
static void
format_uri(const struct uri *u, enum uri_use use, char *text, size_t size)
{
    switch (u->kind) {
    case URI_UNIX:
        (void)snprintf(text, size, "unix:%s", u->path);
        break;
    case URI_TCP:
        (void)snprintf(text, size, strchr(u->host, ':') ? "tcp:[%s]:%u" : "tcp:%s:%u",
                       u->host, u->port);
        break;
    case URI_VSOCK:
        if (use == URI_FOR_LISTEN || use == URI_FOR_CONTROL_LISTEN) {
            (void)snprintf(text, size, "vsock:%u", u->port);
        } else {
            (void)snprintf(text, size, "vsock:%u:%u", u->cid, u->port);
        }
        break;
    case URI_SSH:
        (void)snprintf(text, size, "ssh://%s%s", u->host, u->path);
        break;
    }
}

static void
fuzz_uri(const char *s, enum uri_use use)
{
    struct uri u, untouched, again;
    struct err e = {.msg = ""};
    char text[1024];
    int rc;

    memset(&u, 0x5a, sizeof u);
    memset(&untouched, 0x5a, sizeof untouched);
    rc = uri_parse(s, use, &e, &u);
    if (rc < 0) {
        FUZZ_CHECK_REFUSAL(rc, &e);
        FUZZ_CHECK(memcmp(&u, &untouched, sizeof u) == 0);
        return;
    }
    FUZZ_CHECK(strcmp(u.text, s) == 0);
    format_uri(&u, use, text, sizeof text);
    FUZZ_CHECK(strcmp(text, s) == 0);
    FUZZ_CHECK(uri_parse(text, use, &e, &again) == 0);
    FUZZ_CHECK(again.kind == u.kind && again.cid == u.cid && again.port == u.port);
    FUZZ_CHECK(u.kind != URI_SSH || (use == URI_FOR_CONTROL && u.host[0] != '-'));
}

/* Settings and options with control characters are refused before. */
static void
fuzz_duration(const char *s)
{
    struct err e = {.msg = ""};
    uint64_t ns = 7, again;
    char text[32];
    int rc = config_parse_duration(s, &e, &ns);

    if (rc < 0) {
        FUZZ_CHECK_REFUSAL(rc, &e);
        FUZZ_CHECK(ns == 7);
        return;
    }
    FUZZ_CHECK(ns % 1000 == 0);
    (void)snprintf(text, sizeof text, "%" PRIu64 "us", ns / 1000);
    FUZZ_CHECK(config_parse_duration(text, &e, &again) == 0 && again == ns);
}

static void
fuzz_names(const char *s)
{
    struct record r = {.role = ROLE_STANDBY};

    if (name_is_valid(s)) { /* what is a name can be one in a record */
        FUZZ_CHECK(strlen(s) <= NAME_MAX_LEN && strchr(s, '/') == NULL);
        (void)snprintf(r.name, sizeof r.name, "%s", s);
        FUZZ_CHECK(record_check(&r, NULL) == 0);
    }
    if (uuid_is_valid(s)) {
        FUZZ_CHECK(strlen(s) == 36);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text;

    if (size == 0) {
        return 0;
    }
    text = fuzz_text(data + 1, size - 1);
    fuzz_uri(text, (enum uri_use)(data[0] % (URI_FOR_CHANNEL + 1)));
    if (config_text_check(text, NULL) == 0) {
        fuzz_duration(text);
    }
    fuzz_names(text);
    free(text);
    return 0;
}
