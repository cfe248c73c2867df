/* SPDX-License-Identifier: BSD-3-Clause */
#include "hook_config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "config.h"

#define DEFAULT_TIMEOUT_NS (2 * NS_PER_S)
#define MIN_TIMEOUT_NS (50 * NS_PER_MS)
#define MAX_TIMEOUT_NS (60 * NS_PER_S)

/* s without the white space at both ends. Changes s. */
static char *
trim(char *s)
{
    size_t len;

    while (isspace((unsigned char)*s)) {
        s++;
    }
    for (len = strlen(s); len > 0 && isspace((unsigned char)s[len - 1]); len--) {
        s[len - 1] = '\0';
    }
    return s;
}

static int
take_uri(const char *value, struct uri *uris, unsigned *nr, struct err *e)
{
    if (*nr == HOOK_MAX) {
        return err_set(e, -EINVAL, "is given more than %d times", HOOK_MAX);
    }
    if (uri_parse(value, URI_FOR_CONTROL, e, &uris[*nr]) < 0) {
        return -EINVAL;
    }
    (*nr)++;
    return 0;
}

static int
take_path(const char *value, char *path, struct err *e)
{
    if (value[0] != '/' || strlen(value) >= HOOK_PATH_LEN) {
        return err_set(e, -EINVAL, "\"%s\": an absolute path of a socket expected",
                       value);
    }
    (void)snprintf(path, HOOK_PATH_LEN, "%s", value);
    return 0;
}

static int
take_socket(struct hook_config *c, const char *value, struct err *e)
{
    int rc;

    if (c->nr_sockets == HOOK_MAX) {
        return err_set(e, -EINVAL, "is given more than %d times", HOOK_MAX);
    }
    rc = take_path(value, c->sockets[c->nr_sockets], e);
    if (rc == 0) {
        c->nr_sockets++;
    }
    return rc;
}

static int
take_map(struct hook_config *c, char *value, struct err *e)
{
    char *to = value + strcspn(value, " \t");
    int rc;

    if (c->nr_maps == HOOK_MAX) {
        return err_set(e, -EINVAL, "is given more than %d times", HOOK_MAX);
    }
    if (*to != '\0') {
        *to++ = '\0';
    }
    rc = take_path(value, c->maps[c->nr_maps].from, e);
    if (rc == 0) {
        rc = take_path(trim(to), c->maps[c->nr_maps].to, e);
    }
    if (rc == 0) {
        c->nr_maps++;
    }
    return rc;
}

static int
take_timeout(struct hook_config *c, const char *value, struct err *e)
{
    uint64_t ns;

    if (config_parse_duration(value, e, &ns) < 0) {
        return -EINVAL;
    }
    if (ns < MIN_TIMEOUT_NS || ns > MAX_TIMEOUT_NS) {
        return err_set(e, -EINVAL, "%s: allowed: 50ms to 60s", value);
    }
    c->timeout_ns = ns;
    return 0;
}

static int
take_policy(struct hook_config *c, const char *value, struct err *e)
{
    c->is_early = strcmp(value, "early") == 0;
    return c->is_early || strcmp(value, "late") == 0
               ? 0
               : err_set(e, -EINVAL, "%s: allowed: late, early", value);
}

static int
take(struct hook_config *c, const char *key, char *value, struct err *e)
{
    if (strcmp(key, "control") == 0) {
        return take_uri(value, c->controls, &c->nr_controls, e);
    }
    if (strcmp(key, "peer") == 0) {
        return take_uri(value, c->peers, &c->nr_peers, e);
    }
    if (strcmp(key, "socket") == 0) {
        return take_socket(c, value, e);
    }
    if (strcmp(key, "map") == 0) {
        return take_map(c, value, e);
    }
    if (strcmp(key, "timeout") == 0) {
        return take_timeout(c, value, e);
    }
    if (strcmp(key, "policy") == 0) {
        return take_policy(c, value, e);
    }
    return err_set(e, -EINVAL,
                   "no such key; allowed: control, socket, peer, map, timeout, policy");
}

static int
take_line(struct hook_config *c, char *line, struct err *e)
{
    char *key, *value;

    line[strcspn(line, "#\n")] = '\0';
    key = trim(line);
    if (*key == '\0') {
        return 0;
    }
    value = strchr(key, '=');
    if (value == NULL) {
        return err_set(e, -EINVAL, "\"%s\": key = value expected", key);
    }
    *value++ = '\0';
    key = trim(key);
    return take(c, key, trim(value), e) < 0 ? err_prefix(e, -EINVAL, "%s", key) : 0;
}

int
hook_config_load(const char *path, struct err *e, struct hook_config *ret_c)
{
    AUTO_FILE FILE *f = fopen(path, "re");
    struct hook_config c = {.timeout_ns = DEFAULT_TIMEOUT_NS};
    char line[2048];

    if (f == NULL) {
        int rc = -errno;

        return err_set(e, rc, "%s: %s", path, err_text(NULL, rc));
    }
    for (unsigned nr = 1; fgets(line, sizeof line, f) != NULL; nr++) {
        if (take_line(&c, line, e) < 0) {
            return err_prefix(e, -EINVAL, "%s:%u", path, nr);
        }
    }
    if (c.nr_controls == 0) {
        return err_set(e, -EINVAL, "%s: no control = URI of a service of this host",
                       path);
    }
    *ret_c = c;
    return 0;
}
