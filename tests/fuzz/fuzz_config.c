/* SPDX-License-Identifier: BSD-3-Clause */
/* Settings as the command line gives them, one KEY=VALUE a line; what follows a line
 * "---" is a configuration file. A setting that is refused changes nothing; what was
 * accepted can be said again as options, and says the same. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "config.h"
#include "fuzz.h"

/* libconfig forgets a string that has no end, an empty one too. */
/* NOLINTNEXTLINE(bugprone-reserved-identifier): the sanitizer's name for it */
const char *__lsan_default_suppressions(void);
const char *
__lsan_default_suppressions(void) /* NOLINT(bugprone-reserved-identifier) */
{
    return "leak:strbuf_append\nleak:libconfig_yylex\n";
}

struct text {
    char *s;
    size_t len;
    FILE *f;
};

static FILE *
text_begin(struct text *t)
{
    t->f = open_memstream(&t->s, &t->len);
    FUZZ_CHECK(t->f != NULL);
    return t->f;
}

static char *
text_end(struct text *t)
{
    FUZZ_CHECK(fclose(t->f) == 0);
    return t->s;
}

static void
put_escaped(FILE *f, const char *s, const char *doubled)
{
    for (; *s != '\0'; s++) {
        if (strchr(doubled, *s) != NULL) {
            (void)fputc(*s, f);
        }
        (void)fputc(*s, f);
    }
}

static void
put_layers(FILE *f, const struct stack_spec *layers)
{
    for (unsigned i = 0; i < layers->nr_layers; i++) {
        const struct layer_spec *l = &layers->layers[i];

        (void)fputs(",layer=", f);
        put_escaped(f, l->name, ",:");
        for (unsigned k = 0; k < l->nr_params; k++) {
            (void)fputc(':', f);
            put_escaped(f, l->params[k].key, ",:");
            (void)fputc('=', f);
            put_escaped(f, l->params[k].value, ",:");
        }
    }
}

static void
put_disk(FILE *f, const struct disk_config *d)
{
    static const char *const caches[] = {
        [FILE_CACHE_NONE] = "none",
        [FILE_CACHE_WRITEBACK] = "writeback",
        [FILE_CACHE_WRITETHROUGH] = "writethrough",
    };

    (void)fprintf(f, "disk=name=%s,device=", d->name);
    put_escaped(f, d->device, ",");
    (void)fprintf(f, ",role=%s,readonly=%s,connections=%u", role_name(d->role),
                  d->readonly ? "on" : "off", d->connections);
    if (!d->is_nbd) {
        (void)fprintf(f, ",cache=%s", caches[d->cache]);
    }
    if (d->vm[0] != '\0') {
        (void)fprintf(f, ",vm=%s", d->vm);
    }
    if (d->uuid[0] != '\0') {
        (void)fprintf(f, ",uuid=%s", d->uuid);
    }
    if (d->description != NULL) {
        (void)fputs(",description=", f);
        put_escaped(f, d->description, ",");
    }
    if (d->fail_after_ns != CLOCK_NEVER) {
        (void)fprintf(f, ",fail-after=%" PRIu64 "us", d->fail_after_ns / NS_PER_US);
    }
    put_layers(f, &d->layers);
    (void)fputc('\n', f);
}

/* c as the settings that would make it, to be freed. */
static char *
format_config(const struct service_config *c)
{
    struct text t = {0};
    FILE *f = text_begin(&t);

    if (c->name[0] != '\0') {
        (void)fprintf(f, "name=%s\n", c->name);
    }
    for (unsigned i = 0; i < c->nr_listen; i++) {
        (void)fprintf(f, "listen=%s\n", c->listen[i].text);
    }
    for (unsigned i = 0; i < c->nr_announce; i++) {
        (void)fprintf(f, "announce=%s\n", c->announce[i].text);
    }
    if (c->has_control) {
        (void)fprintf(f, "control=%s\n", c->control.text);
    }
    if (c->state_dir != NULL) {
        (void)fprintf(f, "state-dir=%s\n", c->state_dir);
    }
    for (unsigned i = 0; i < c->nr_disks; i++) {
        put_disk(f, &c->disks[i]);
    }
    return text_end(&t);
}

static int
set_checked(struct service_config *c, const char *key, const char *value)
{
    struct err e = {.msg = ""};
    char *before = format_config(c), *after;
    int rc = config_set(c, key, value, "fuzz", &e);

    if (rc < 0) {
        FUZZ_CHECK_REFUSAL(rc, &e);
        after = format_config(c);
        FUZZ_CHECK(strcmp(before, after) == 0);
        free(after);
    }
    free(before);
    return rc;
}

/* lines is changed. */
static void
set_lines(struct service_config *c, char *lines, bool must_work)
{
    char *line, *value;

    while ((line = strsep(&lines, "\n")) != NULL) {
        value = strchr(line, '=');
        /* A file is read from where the harness puts it, and nowhere else. */
        if (value == NULL || strncmp(line, "config=", 7) == 0) {
            continue;
        }
        *value++ = '\0';
        FUZZ_CHECK(set_checked(c, line, value) == 0 || !must_work);
    }
}

static void
set_file(struct service_config *c, const char *text)
{
    static char path[32];
    static int fd = -1;

    if (strstr(text, "@include") != NULL) { /* reads files of the machine */
        return;
    }
    if (fd < 0) { /* one for the life of the process, so that names repeat */
        fd = memfd_create("config", MFD_CLOEXEC);
        FUZZ_CHECK(fd >= 0);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    FUZZ_CHECK(ftruncate(fd, 0) == 0);
    FUZZ_CHECK(pwrite(fd, text, strlen(text), 0) == (ssize_t)strlen(text));
    (void)set_checked(c, "config", path);
}

static void
check_config(struct service_config *c)
{
    struct service_config again;
    struct err e = {.msg = ""};
    char *said = format_config(c), *lines = strdup(said), *said_again;
    int rc;

    service_config_init(&again);
    set_lines(&again, lines, true);
    said_again = format_config(&again);
    FUZZ_CHECK(strcmp(said, said_again) == 0);
    service_config_done(&again);
    free(said);
    free(said_again);
    free(lines);
    rc = config_complete(c, &e);
    if (rc < 0) {
        FUZZ_CHECK_REFUSAL(rc, &e);
    } else {
        FUZZ_CHECK(c->name[0] != '\0' && c->nr_disks > 0 && c->state_dir != NULL);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size), *file = strstr(text, "---\n");
    struct service_config c;

    service_config_init(&c);
    if (file != NULL) {
        *file = '\0';
        file += 4;
    }
    set_lines(&c, text, false);
    if (file != NULL) {
        set_file(&c, file);
    }
    check_config(&c);
    service_config_done(&c);
    free(text);
    return 0;
}
