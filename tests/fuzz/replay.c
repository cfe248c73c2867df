/* SPDX-License-Identifier: BSD-3-Clause */
/* replay.c - runs every file of the folders that it is given through a fuzz target: the
 * seeds and what was found once, with any compiler and sanitizer. */
#include <dirent.h>
#include <limits.h>

#include "fuzz.h"

#define MAX_FILE (1U << 20)

static void
run_file(const char *path)
{
    static uint8_t data[MAX_FILE];
    FILE *f = fopen(path, "rb");
    size_t n;

    FUZZ_CHECK(f != NULL);
    n = fread(data, 1, sizeof data, f);
    FUZZ_CHECK(!ferror(f));
    (void)fclose(f); /* it was read */
    (void)LLVMFuzzerTestOneInput(data, n);
}

static unsigned
run_folder(const char *folder)
{
    char path[PATH_MAX];
    struct dirent *entry;
    unsigned nr = 0;
    DIR *d = opendir(folder);

    FUZZ_CHECK(d != NULL);
    while ((entry = readdir(d)) != NULL) {
        if (entry->d_name[0] != '.') {
            (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            (void)fprintf(stderr, "%s\n", path);
            run_file(path);
            nr++;
        }
    }
    (void)closedir(d);
    return nr;
}

int
main(int argc, char **argv)
{
    unsigned nr = 0;

    for (int i = 1; i < argc; i++) {
        nr += run_folder(argv[i]);
    }
    (void)printf("%u inputs\n", nr);
    return nr > 0 ? 0 : 1;
}
