/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_options.h"

#include <assert.h>
#include <stdio.h>

#include "cli.h"
#include "cli_tls.h"

#define FIRST_VAL 0x100 /* none of getopt's own */

/* In getopt's words, --help last. Returns its val. */
static int
to_getopt(const struct cli_option *options, struct option all[CLI_MAX_OPTIONS])
{
    int n = 0;

    for (; options[n].name != NULL; n++) {
        assert(n + 2 < CLI_MAX_OPTIONS);
        all[n] = (struct option){
            options[n].name, options[n].text != NULL ? required_argument : no_argument,
            NULL, FIRST_VAL + n};
    }
    all[n] = (struct option){"help", no_argument, NULL, FIRST_VAL + n};
    all[n + 1] = (struct option){0};
    return FIRST_VAL + n;
}

static bool
take(const char *command, const struct cli_option *o)
{
    char name[64];

    if (o->text == NULL) {
        *o->flag = true;
        return true;
    }
    (void)snprintf(name, sizeof name, "--%s", o->name);
    return cli_take_once(command, name, o->text);
}

bool
cli_take_options(int argc, char **argv, const char *command, const char *help,
                 const struct cli_option *options, int *ret_status)
{
    struct option all[CLI_MAX_OPTIONS];
    const int help_val = to_getopt(options, all);
    int val;

    *ret_status = CLI_USAGE;
    while ((val = cli_next_option(argc, argv, all)) != -1) {
        if (val == help_val) {
            (void)fputs(help, stdout);
            *ret_status = CLI_DONE;
            return false;
        }
        if (val == '?' || !take(command, &options[val - FIRST_VAL])) {
            return false; /* it was said why */
        }
    }
    return true;
}
