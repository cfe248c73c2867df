/* SPDX-License-Identifier: BSD-3-Clause */
#include "say.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "rpc_frame.h"

/* What cli_end() needs to know. */
static struct {
    char sentence[2048]; /* the last one */
    int rc;              /* that belongs to it */
    bool is_json_printed;
    bool has_changed;
} said;

/* Replace control characters, those of UTF-8 too. */
static void
clean(char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text, next = (unsigned char)text[1];

        if (c == 0xc2 && next >= 0x80 && next < 0xa0) { /* U+0080 to U+009F */
            *text++ = '?';
            *text = '?';
        } else if (iscntrl(c)) {
            *text = '?';
        }
    }
}

__attribute__((format(printf, 3, 0))) static void
say(int rc, const char *command, const char *fmt, va_list ap)
{
    size_t len = strlen(command);
    const char *text = said.sentence;

    (void)vsnprintf(said.sentence, sizeof said.sentence, fmt, ap);
    said.rc = rc;
    clean(said.sentence);
    if (strncmp(text, command, len) == 0 && strncmp(text + len, ": ", 2) == 0) {
        text += len + 2; /* of a failed call, whose method has the command's name */
    }
    (void)fprintf(stderr, "baton: %s: %s\n", command, text);
}

int
cli_fail(int status, const char *command, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(status == CLI_USAGE || status == 0 ? -EINVAL : -EIO, command, fmt, ap);
    va_end(ap);
    return status;
}

int
cli_refuse(int rc, const char *command, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(rc, command, fmt, ap);
    va_end(ap);
    return CLI_REFUSED;
}

void
cli_note_change(void)
{
    said.has_changed = true;
}

/* Is --json on the command line? That may have been refused before --json was read. */
static bool
wants_json(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            return true;
        }
    }
    return false;
}

int
cli_end(int argc, char **argv, int status)
{
    if (status != CLI_DONE && !said.is_json_printed && wants_json(argc, argv)) {
        cli_print_error(status, said.rc, said.sentence);
    }
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == CLI_DONE) {
        status =
            said.has_changed
                ? cli_fail(CLI_COMMITTED, "output",
                           "it is done, but standard output cannot be written; "
                           "see baton status")
                : cli_fail(CLI_REFUSED, "output", "cannot write to standard output");
    }
    return status;
}

const char *
cli_text(const json_t *o, const char *key, char *buf, size_t size)
{
    const json_t *v = json_object_get(o, key);

    (void)snprintf(buf, size, "-");
    if (json_is_integer(v)) {
        (void)snprintf(buf, size, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    } else if (json_is_string(v) && json_string_length(v) > 0) {
        (void)snprintf(buf, size, "%s", json_string_value(v));
        clean(buf);
    }
    return buf;
}

uint64_t
cli_number(const json_t *o, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(o, key));

    return n > 0 ? (uint64_t)n : 0;
}

void
cli_print_json(const json_t *o)
{
    if (json_dumpf(o, stdout, JSON_COMPACT | JSON_ENCODE_ANY) == 0) {
        (void)fputc('\n', stdout); /* cli_end() sees a failed write */
        said.is_json_printed = true;
    }
    (void)fflush(stdout);
}

void
cli_print_error(int code, int rc, const char *message)
{
    const char *name = strerrorname_np(-rc);
    json_t *o =
        json_pack("{s:{s:i, s:o, s:s}}", "error", "code", code, "message",
                  rpc_frame_text(message), "errno", name != NULL ? name : "EIO");

    cli_print_json(o); /* without memory o is NULL, and nothing is printed */
    json_decref(o);
}
