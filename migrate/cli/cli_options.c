/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_options.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli_tls.h"
#include "say.h"

#define FIRST_VAL 0x100 /* none of getopt's own */

static void
list_options(const struct option *options, char *list, size_t size)
{
    size_t n = 0;

    list[0] = '\0';
    for (; options->name != NULL && n < size; options++) {
        n += (size_t)snprintf(list + n, size - n, "%s--%s", n == 0 ? "" : ", ",
                              options->name);
    }
}

/* argv[optind - 1] is what was refused, unless that is one letter of several. */
static void
refuse_option(const char *command, char **argv, const struct option *all)
{
    const char *arg = argv[optind - 1], *equals = strchr(arg, '=');
    char list[512], letter[3] = {'-', (char)optopt, '\0'};

    for (const struct option *o = all; o->name != NULL && equals != NULL; o++) {
        if (o->val == optopt && o->has_arg == no_argument && equals > arg + 2 &&
            strncmp(arg + 2, o->name, (size_t)(equals - arg) - 2) == 0) {
            (void)cli_fail(0, command, "--%s takes no value", o->name);
            return;
        }
    }
    list_options(all, list, sizeof list);
    (void)cli_fail(0, command, "no such option: %.100s; allowed: %s",
                   optopt != 0 ? letter : arg, list);
}

static int
next_option(const char *command, int argc, char **argv, const struct option *options)
{
    int val;

    opterr = 0;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    val = getopt_long(argc, argv, ":", options, NULL);
    if (val == ':') {
        (void)cli_fail(0, command, "%.100s needs a value", argv[optind - 1]);
        return '?';
    }
    if (val == '?') {
        refuse_option(command, argv, options);
    }
    return val;
}

bool
cli_take_number(const char *command, const char *option, const char *text, unsigned min,
                unsigned max, unsigned *ret_number)
{
    unsigned long n;
    char *end;

    errno = 0;
    n = strtoul(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || n < min ||
        n > max) {
        (void)cli_fail(0, command, "%s %.100s: allowed: %u to %u", option, text, min,
                       max);
        return false;
    }
    *ret_number = (unsigned)n;
    return true;
}

/* Every row that a command line may use: those of the command, --help, and those of
 * cli_tls.h. getopt's val of all[i] is FIRST_VAL + i. */
struct rows {
    unsigned nr;
    unsigned help; /* the index of --help */
    bool is_client;
    struct cli_option all[CLI_MAX_OPTIONS];
    struct option getopt[CLI_MAX_OPTIONS + 1];
};

static void
add_row(struct rows *r, const struct cli_option *o)
{
    assert(r->nr < CLI_MAX_OPTIONS);
    r->all[r->nr] = *o;
    r->getopt[r->nr] = (struct option){
        o->name, o->text != NULL || o->take != NULL ? required_argument : no_argument,
        NULL, FIRST_VAL + (int)r->nr};
    r->nr++;
}

static void
collect_rows(const struct cli_option *options, struct rows *r)
{
    const struct cli_option help = {.name = "help"};

    *r = (struct rows){.nr = 0};
    for (; options->name != NULL; options++) {
        add_row(r, options);
        if (strcmp(options->name, "at") == 0 || strcmp(options->name, "from") == 0) {
            r->is_client = true;
        }
    }
    r->help = r->nr;
    add_row(r, &help);
    if (r->is_client) {
        for (const struct cli_option *o = cli_tls_options(); o->name != NULL; o++) {
            add_row(r, o);
        }
    }
}

/* Two options may fill one slot; a sentence names the first of them. */
static const char *
name_of_slot(const struct rows *r, const char **slot)
{
    unsigned i = 0;

    while (r->all[i].text != slot) {
        i++;
    }
    return r->all[i].name;
}

/* False after a sentence when the option was given before or is empty. */
static bool
take_once(const char *command, const char *name, const char **slot)
{
    if (*slot != NULL) {
        (void)cli_fail(0, command, "--%s is given twice; allowed: once", name);
        return false;
    }
    if (optarg[0] == '\0') {
        (void)cli_fail(0, command, "--%s is empty; allowed: a value", name);
        return false;
    }
    *slot = optarg;
    return true;
}

static bool
take(const char *command, const struct rows *r, const struct cli_option *o)
{
    if (o->flag != NULL) {
        *o->flag = true;
        return true;
    }
    if (o->take != NULL) {
        return o->take(o, optarg);
    }
    assert(o->text != NULL); /* one of the three says where the value goes */
    return take_once(command, name_of_slot(r, o->text), o->text);
}

/* The sentence of an option, or of several, whose words are in left. That of several
 * which are too long for the column begins on a line of its own. */
static void
print_sentence(const char *left, bool is_shared, int width, const struct cli_option *o)
{
    const char *help = o->help;
    size_t len = strcspn(help, "\n");

    if (is_shared && strlen(left) > (size_t)width) {
        (void)printf("  %s\n", left);
        left = "";
    }
    (void)printf("  %-*s  %.*s", width, left, (int)len, help);
    while (help[len] == '\n') {
        help += len + 1;
        len = strcspn(help, "\n");
        (void)printf("\n  %-*s  %.*s", width, "", (int)len, help);
    }
    (void)printf("%s\n", o->repeats ? "; may be repeated" : "");
}

static void
print_help(const struct cli_usage *usage, const struct cli_option *options)
{
    char left[128] = "";
    size_t n = 0;
    bool is_shared = false;

    (void)fputs(usage->before, stdout);
    for (const struct cli_option *o = options; o->name != NULL; o++) {
        if (o->help != NULL && o->help[0] == '\0') {
            continue;
        }
        assert(n < sizeof left);
        is_shared = n > 0;
        n += (size_t)snprintf(
            left + n, sizeof left - n, "%s--%s%s%s", is_shared ? ", " : "", o->name,
            o->argument != NULL ? " " : "", o->argument != NULL ? o->argument : "");
        if (o->help != NULL) {
            print_sentence(left, is_shared, usage->width, o);
            n = 0;
        }
    }
    (void)fputs(usage->after != NULL ? usage->after : "", stdout);
}

bool
cli_take_options(int argc, char **argv, const struct cli_usage *usage,
                 const struct cli_option *options, int *ret_status)
{
    struct rows r;
    int val;

    collect_rows(options, &r);
    *ret_status = CLI_USAGE;
    while ((val = next_option(usage->command, argc, argv, r.getopt)) != -1) {
        if (val == FIRST_VAL + (int)r.help) {
            print_help(usage, options);
            *ret_status = CLI_DONE;
            return false;
        }
        if (val == '?' || !take(usage->command, &r, &r.all[val - FIRST_VAL])) {
            return false; /* a sentence says why */
        }
    }
    return !r.is_client || cli_tls_complete(usage->command);
}
