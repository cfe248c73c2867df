#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# README.md's first handoff by hand, as it stands there, pasted into a shell. Only its
# folders and fio's time are others. Both handoffs happen while the load is running, and
# its verdict is printed. Packages come first; that and the build are noted, not done.
. "$(dirname "$0")/lib.sh"
need fio jq
readme=$(dirname "$0")/../../README.md

# What the example runs from its tree and from PATH.
mkdir -p "$T/tree/scripts" "$T/tree/build/release" "$T/bin" "$T/var"
cat >"$T/bin/cmake" <<'END'
#!/bin/bash
echo "${0##*/} $*" >>"$T/built"
END
cp "$T/bin/cmake" "$T/tree/scripts/setup"
cat >"$T/tree/build/release/baton" <<'END'
#!/bin/bash
performed() { "$BATON" status vda --at "unix:$T/run/a.ctl" --json | jq '.disks[0].ledger.accepted'; }
case $1 in
serve) LD_PRELOAD=$BATON_PRELOAD exec "$BATON" "$@" ;;
handoff)
    before=$(performed)
    "$BATON" "$@"
    echo "$before $(performed)" >>"$T/handoffs"
    ;;
*) exec "$BATON" "$@" ;;
esac
END
chmod +x "$T/bin/cmake" "$T/tree/scripts/setup" "$T/tree/build/release/baton"
export PATH="$T/bin:$PATH" T BATON

sed -n '/^## The first handoff by hand/,/^[^ ].*nbdkit-baton-plugin(1)/s/^    //p' "$readme" |
    sed "s,/run/baton,$T/run,g; s,/var/tmp,$T/var,g; s/--runtime=[0-9]*/--runtime=30/" >"$T/example"
grep -q 'runtime=30 ' "$T/example" || fail "README.md has no example"
cd "$T/tree"
# A session of its own: its services end with it, whatever happens.
setsid timeout 180 bash -s <"$T/example" >"$T/example.log" 2>&1 &
SERVICE_PID[example]=$!
wait "${SERVICE_PID[example]}" || fail "the example ends with status $?"

eq "$(head -n 1 "$T/built")" "setup " "what is done first"
eq "$(wc -l <"$T/handoffs")" 2 "handoffs"
eq "$(awk '$2 > $1' "$T/handoffs" | wc -l)" 2 "handoffs with a load ($(xargs <"$T/handoffs"))"
said=$(cat "$T/example.log")
contains "$said" "vda: handed from a to b at epoch 2" "the example"
contains "$said" "vda: handed from b to a at epoch 3" "the example"
contains "$said" "every block that fio read back was what it had written" "the example"
grep -q 'err= 0' "$T/example.log" || fail "fio's report is missing"
