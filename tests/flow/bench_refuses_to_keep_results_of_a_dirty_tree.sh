#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# ctest: LABELS check
# scripts/bench keeps no results of a dirty tree or from a loaded machine; if it is told to,
# the title of each table says so. Nothing is built or measured here.
. "$(dirname "$0")/lib.sh"
need git cmake nbdkit qemu-storage-daemon fio dpkg-query
[ -x /usr/bin/python3 ] || skip "/usr/bin/python3 is not installed"
scripts=$(cd "$(dirname "$0")/../../scripts" && pwd)
export GIT_CEILING_DIRECTORIES=$T GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE

# A source tree with nothing in it but the benchmark; its setup installs nothing.
mkdir -p "$T"/tree/{scripts/bench.d,base,docs} "$T/bin"
cp "$scripts/bench" "$T/tree/scripts"
cp "$scripts"/bench.d/*.py "$T/tree/scripts/bench.d"
printf '#!/bin/sh\n' >"$T/tree/scripts/setup"
printf '#!/bin/sh\necho the build begins >&2\nexit 1\n' >"$T/bin/cmake"
chmod +x "$T/tree/scripts/setup" "$T/bin/cmake"
touch "$T"/tree/{base/clock.c,docs/README.md}
printf '/build*/\n' >"$T/tree/.gitignore"
cd "$T/tree"

bench() { PATH=$T/bin:$PATH scripts/bench rows "$@"; }

files() { find "$T" -name .git -prune -o -print | sort; }

# refuses FRAGMENT ARGUMENT...: in one sentence, with status 2, and nothing is written.
refuses() {
    local fragment=$1 status=0 before
    shift
    before=$(files)
    bench --results "$T/kept" "$@" >"$T/said" 2>&1 || status=$?
    eq "$status" 2 "exit status ($(cat "$T/said"))"
    contains "$(cat "$T/said")" "$fragment" "the refusal"
    eq "$(wc -l <"$T/said")" 1 "lines of the refusal"
    rm "$T/said"
    eq "$(files)" "$before" "files"
}

# titles BUSY ARGUMENT...: of the tables of a run whose parts measure nothing, while others
# keep BUSY processors busy. Each part has the same title.
titles() {
    local all
    BATON_BENCH=$T/tree/scripts/bench.d BUSY=$1 PYTHONDONTWRITEBYTECODE=1 \
        /usr/bin/python3 - one two --results "$T/kept" "${@:2}" <<'END' >"$T/said" 2>&1 ||
import os
import sys
sys.path.insert(0, os.environ["BATON_BENCH"])
import main
main.PARTS = {name: lambda ctx: ctx.report.heading("a table") for name in ("one", "two")}
main.build = lambda place: None
main.others_busy = lambda seconds: float(os.environ["BUSY"])
sys.exit(main.main())
END
        fail "$(cat "$T/said")"
    all=$(grep '^## ' "$T/kept/results.txt")
    rm -r "$T/kept" "$T/said"
    eq "$(wc -l <<<"$all")" 2 "number of titles"
    sort -u <<<"$all"
}

eq "$(titles 0)" "## a table (not pinned; unknown tree)" "titles without git"

git init -q
git add .
git -c user.name=x -c user.email=x@localhost commit -q -m x
echo changed >docs/README.md # measures the same
eq "$(titles 0)" "## a table (not pinned)" "titles of a clean tree"
eq "$(titles 1.5 --allow-load)" "## a table (not pinned; loaded: processors kept busy \
by others: 1.5 before the run, 1.5 around this part)" "titles from a loaded machine"

echo >base/new.c
refuses "base/new.c is not as committed"
rm base/new.c
echo >>base/clock.c
refuses "base/clock.c is not as committed"
refuses "--allow-dirty" --allow-load
eq "$(titles 0 --allow-dirty)" "## a table (not pinned; dirty tree)" \
    "titles of a dirty tree"
fails_with 1 "the build begins" -- bench # nothing is to be kept

while :; do :; done & # somebody else uses the machine; it ends with the test
refuses "--allow-load" --allow-dirty
