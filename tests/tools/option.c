/* SPDX-License-Identifier: BSD-3-Clause */
#include "option.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char suffixes[] = "kmg";

static void
refuse(const char *name, const char *text, uint64_t least, uint64_t most)
{
    (void)fprintf(stderr,
                  "--%s: \"%s\" is not a number from %" PRIu64 " to %" PRIu64 "\n",
                  name, text, least, most);
    exit(2);
}

uint64_t
option_number(const char *name, const char *text, uint64_t least, uint64_t most)
{
    char *end = NULL;
    const char *suffix;
    unsigned shift = 0;
    uint64_t value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno != 0 || text[0] < '0' || text[0] > '9') {
        refuse(name, text, least, most);
    }
    suffix = *end == '\0' ? NULL : strchr(suffixes, *end | 0x20);
    if (suffix != NULL) {
        shift = 10 * (unsigned)(suffix - suffixes + 1);
        end++;
    }
    if (*end != '\0' || value > most >> shift || value << shift < least) {
        refuse(name, text, least, most);
    }
    return value << shift;
}

void
option_range(const char *name, const char *text, uint64_t least, uint64_t most,
             uint64_t *ret_from, uint64_t *ret_to)
{
    const char *dots = strstr(text, "..");
    char from[32];

    if (dots == NULL) {
        *ret_from = *ret_to = option_number(name, text, least, most);
        return;
    }
    (void)snprintf(from, sizeof(from), "%.*s", (int)(dots - text), text);
    *ret_from = option_number(name, from, least, most);
    *ret_to = option_number(name, dots + 2, *ret_from, most);
}
