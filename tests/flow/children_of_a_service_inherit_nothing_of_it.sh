#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A service runs ssh for the control URIs that ask for it. What it runs is as if no service
# had started it: no module of ours is loaded there, LD_PRELOAD is what the user gave to
# "baton serve", no variable and no socket of the service is left over.
. "$(dirname "$0")/lib.sh"

mkdir "$T/bin"
cat >"$T/bin/ssh" <<'END'
#!/bin/bash
tr '\0' '\n' </proc/$$/environ >"$SEEN.environ"
cat /proc/$$/maps >"$SEEN.maps"
ls -l /proc/$$/fd >"$SEEN.fd"
LD_PRELOAD='' exec "$BATON" proxy "${@: -1}"
END
chmod +x "$T/bin/ssh"
export PATH="$T/bin:$PATH" BATON SEEN="$T/seen"

# preload_seen: the child's LD_PRELOAD, or "none"
preload_seen() { sed -n 's/^LD_PRELOAD=//p' "$SEEN.environ" | grep . || echo none; }

look_at_child() { # SERVICE DISK WHAT: LD_PRELOAD of the child, "none" when none was given
    rm -f "$SEEN".*
    baton handoff "$2" --from "$(control_of "$1")" --to "ssh://other$T/b.ctl" --quiet
    await_file "$SEEN.fd"
    eq "$(preload_seen)" "$3" "LD_PRELOAD of ssh"
    eq "$(grep -E '^(BATON_GUARD|LISTEN_)' "$SEEN.environ" || true)" "" "variables left over"
    eq "$(grep -E 'nbdkit-guard|baton-plugin' "$SEEN.maps" || true)" "" "modules of ours in ssh"
    # Its standard input and output are one.
    eq "$(grep -c 'socket:' "$SEEN.fd")" 2 "sockets of ssh ($(cat "$SEEN.fd"))"
}

vda=$(new_device vda 16M)
vdb=$(new_device vdb 16M)
start_service b --disk "name=vda,device=$vda,role=standby" \
    --disk "name=vdb,device=$vdb,role=standby"
# With a filter, so that the guard is told to keep no turns.
start_service a --filter noparallel --disk "name=vda,device=$vda"
look_at_child a vda "${BATON_PRELOAD:-none}"

# A user's own stays.
export BATON_PRELOAD="${BATON_PRELOAD:+$BATON_PRELOAD:}$BATON_TOOLS_DIR/writelog-preload.so"
start_service c --disk "name=vdb,device=$vdb"
look_at_child c vdb "$BATON_PRELOAD"
grep -q writelog-preload "$SEEN.maps" || fail "the user's own module is gone"
