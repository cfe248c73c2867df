/* SPDX-License-Identifier: BSD-3-Clause */
/* Parsing only; sockets are in uri_listen.c and uri_connect.c.
 *
 * What a URI says ends up in a sockaddr, in the argument list of ssh, in JSON and in
 * log lines, so everything that could mean something else there is refused here:
 * control characters, bytes that are not UTF-8, a host that looks like an option, a
 * path that the remote shell would expand. Numbers are plain decimals without sign or
 * padding. */
#include "uri.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include <jansson.h>

static const char *const allowed_forms[] = {
    [URI_FOR_LISTEN] = "unix:PATH, tcp:ADDRESS:PORT, vsock:PORT",
    [URI_FOR_CONTROL_LISTEN] = "unix:PATH, tcp:ADDRESS:PORT, vsock:PORT",
    [URI_FOR_CONTROL] =
        "unix:PATH, tcp:HOST:PORT, ssh://[user@]host/PATH, vsock:CID:PORT",
    [URI_FOR_CHANNEL] = "unix:PATH, tcp:HOST:PORT, vsock:CID:PORT",
};

static bool
is_allowed(enum uri_kind kind, enum uri_use use)
{
    switch (kind) {
    case URI_UNIX:
    case URI_TCP:
    case URI_VSOCK:
        return true;
    case URI_SSH:
        return use == URI_FOR_CONTROL;
    }
    return false;
}

/* "1".."4294967294": the last number means "any" to vsock, 0 to the others. */
static bool
parse_number(const char *s, size_t len, uint32_t max, uint32_t *ret_n)
{
    uint64_t n = 0;

    if (len == 0 || len > 10 || s[0] == '0') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9') {
            return false;
        }
        n = n * 10 + (uint64_t)(s[i] - '0');
    }
    if (n > max) {
        return false;
    }
    *ret_n = (uint32_t)n;
    return true;
}

static bool
copy_part(char *to, size_t to_size, const char *from, size_t len)
{
    if (len == 0 || len >= to_size) {
        return false;
    }
    memcpy(to, from, len);
    to[len] = '\0';
    return true;
}

/* Returns NULL, or what is wrong; as the other parse_ functions below. */
static const char *
parse_unix(const char *rest, struct uri *u)
{
    struct sockaddr_un addr;

    if (rest[0] != '/') {
        return "the path must be absolute";
    }
    if (strlen(rest) >= sizeof addr.sun_path) {
        return "the path is longer than 107 bytes";
    }
    (void)copy_part(u->path, sizeof u->path, rest, strlen(rest)); /* fits: see above */
    return NULL;
}

static bool
has_only(const char *s, const char *punctuation)
{
    for (; *s != '\0'; s++) {
        bool is_alnum = (*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'z') ||
                        (*s >= 'A' && *s <= 'Z');

        if (!is_alnum && strchr(punctuation, *s) == NULL) {
            return false;
        }
    }
    return true;
}

/* A name of a host; what is all digits and dots is an address, or nothing. */
static bool
is_host_name(const char *host)
{
    return has_only(host, ".-") && strspn(host, "0123456789.") != strlen(host) &&
           host[0] != '-' && host[0] != '.';
}

static const char *
parse_tcp(const char *rest, enum uri_use use, struct uri *u)
{
    bool is_listener = use == URI_FOR_LISTEN || use == URI_FOR_CONTROL_LISTEN;
    struct in_addr a4;
    const char *host = rest, *colon = strrchr(rest, ':');
    struct in6_addr a6;
    size_t len;

    if (colon == NULL) {
        return "the port is missing";
    }
    len = (size_t)(colon - host);
    if (host[0] == '[') {
        if (len < 2 || host[len - 1] != ']') {
            return "the IPv6 address must stand in [ ]";
        }
        host++;
        len -= 2;
    }
    if (!copy_part(u->host, sizeof u->host, host, len)) {
        return "the host is missing or too long";
    }
    if ((inet_pton(AF_INET6, u->host, &a6) == 1) != (host != rest)) {
        return "an IPv6 address, and nothing else, must stand in [ ]";
    }
    if (!parse_number(colon + 1, strlen(colon + 1), UINT16_MAX, &u->port)) {
        return "the port must be a number from 1 to 65535";
    }
    if (host != rest || inet_pton(AF_INET, u->host, &a4) == 1 ||
        strcmp(u->host, "localhost") == 0) {
        return NULL;
    }
    if (is_listener) {
        return "a listener needs an address in numbers, or localhost";
    }
    return is_host_name(u->host) ? NULL : "the host is neither an address nor a name";
}

static const char *
parse_vsock(const char *rest, enum uri_use use, struct uri *u)
{
    bool is_listener = use == URI_FOR_LISTEN || use == URI_FOR_CONTROL_LISTEN;
    const char *colon = strchr(rest, ':'), *port = rest;

    u->cid = URI_ANY_CID;
    if (is_listener && colon != NULL) {
        return "a listener has no CID";
    }
    if (!is_listener) {
        if (colon == NULL) {
            return "the CID or the port is missing";
        }
        if (!parse_number(rest, (size_t)(colon - rest), UINT32_MAX - 1, &u->cid)) {
            return "the CID must be a number from 1 to 4294967294";
        }
        port = colon + 1;
    }
    if (!parse_number(port, strlen(port), UINT32_MAX - 1, &u->port)) {
        return "the port must be a number from 1 to 4294967294";
    }
    return NULL;
}

static const char *
parse_ssh(const char *rest, struct uri *u)
{
    const char *slash = strchr(rest, '/'), *at;

    if (slash == NULL || slash[1] == '\0') {
        return "the path is missing";
    }
    if (!copy_part(u->host, sizeof u->host, rest, (size_t)(slash - rest))) {
        return "the host is missing or too long";
    }
    at = strchr(u->host, '@');
    if (!has_only(u->host, ".-_@") || u->host[0] == '-' || u->host[0] == '@' ||
        (at != NULL &&
         (strchr(at + 1, '@') != NULL || at[1] == '-' || at[1] == '\0'))) {
        return "host and user may contain only letters, digits and . - _ (set a port "
               "in ssh_config)";
    }
    if (!copy_part(u->path, sizeof u->path, slash, strlen(slash))) {
        return "the path is too long";
    }
    if (!has_only(u->path, "/._-+:@,=")) {
        return "the path may contain only letters, digits and / . _ - + : @ , =";
    }
    return NULL;
}

static bool
starts_with(const char *s, const char *prefix, const char **ret_rest)
{
    size_t len = strlen(prefix);

    if (strncmp(s, prefix, len) != 0) {
        return false;
    }
    *ret_rest = s + len;
    return true;
}

/* Can s stand in a line of JSON and in a log line? */
static bool
is_clean_text(const char *s)
{
    json_t *j = json_string(s); /* NULL unless UTF-8 */
    bool is_clean = j != NULL;

    json_decref(j);
    for (; *s != '\0' && is_clean; s++) {
        is_clean = (unsigned char)*s >= 0x20 && *s != 0x7f;
    }
    return is_clean;
}

static const char *
parse_kind(const char *s, enum uri_use use, struct uri *u)
{
    static const struct {
        const char *prefix;
        enum uri_kind kind;
    } kinds[] = {{"unix:", URI_UNIX},
                 {"tcp:", URI_TCP},
                 {"vsock:", URI_VSOCK},
                 {"ssh://", URI_SSH}};
    const char *rest = NULL;
    size_t i = 0, nr = sizeof kinds / sizeof kinds[0];

    while (i < nr && !starts_with(s, kinds[i].prefix, &rest)) {
        i++;
    }
    if (i == nr) {
        return "unknown kind";
    }
    u->kind = kinds[i].kind;
    if (!is_allowed(u->kind, use)) {
        return "this kind is not possible here";
    }
    switch (u->kind) {
    case URI_UNIX:
        return parse_unix(rest, u);
    case URI_TCP:
        return parse_tcp(rest, use, u);
    case URI_VSOCK:
        return parse_vsock(rest, use, u);
    case URI_SSH:
        return parse_ssh(rest, u);
    }
    return "unknown kind";
}

/* Is host a number of this machine's loopback, or "localhost"? By number and not by
 * name: what a resolver says today proves nothing tomorrow. */
static bool
is_loopback(const char *host)
{
    struct in6_addr a6;
    struct in_addr a4;

    if (strcmp(host, "localhost") == 0) {
        return true;
    }
    if (inet_pton(AF_INET, host, &a4) == 1) {
        return (ntohl(a4.s_addr) >> 24) == IN_LOOPBACKNET;
    }
    return inet_pton(AF_INET6, host, &a6) == 1 && IN6_IS_ADDR_LOOPBACK(&a6);
}

bool
uri_is_local(const struct uri *u)
{
    return u->kind != URI_TCP || is_loopback(u->host);
}

int
uri_parse(const char *s, enum uri_use use, struct err *e, struct uri *ret_uri)
{
    struct uri u = {.kind = URI_UNIX};
    const char *wrong;

    if (!is_clean_text(s)) {
        return err_set(e, -EINVAL, "a URI must be UTF-8 without control characters");
    }
    if (strlen(s) >= sizeof u.text) {
        return err_set(e, -EINVAL, "URI \"%.40s...\" is longer than %zu bytes", s,
                       sizeof u.text - 1);
    }
    wrong = parse_kind(s, use, &u);
    if (wrong != NULL) {
        return err_set(e, -EINVAL, "URI \"%s\": %s; allowed: %s", s, wrong,
                       allowed_forms[use]);
    }
    (void)copy_part(u.text, sizeof u.text, s, strlen(s)); /* fits: see above */
    *ret_uri = u;
    return 0;
}
