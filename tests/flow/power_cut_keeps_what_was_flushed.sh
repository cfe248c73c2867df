#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The power of a host goes at random moments, handoffs among them: every write that a
# flush or FUA covered is on the medium, and is read through the services that come up
# again. Once with the device as an NBD server, once as a file.
# ctest: PROCESSORS 2
# ctest: TIMEOUT 200
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../power_cut.sh"
need jq nbdkit nbdcopy
rounds=${BATON_CUTS:-5}
RANDOM=${BATON_SEED:-$$}
seen=()

start_all() { # KIND
    local device
    start_volatile_device disk 16M
    device=$(device_uri disk)
    if [ "$1" = fuse ]; then
        mount_device disk
        device=$T/disk.mnt/nbd
    fi
    # Both at once: one may have to ask the other.
    launch_service a-"$1" --disk "name=vda,device=$device"
    launch_service b-"$1" --disk "name=vda,device=$device,role=standby"
    wait_ready a-"$1"
    wait_ready b-"$1"
}

# Hand the disk there and back for ever. A handoff that a cut ends is no fault.
keep_moving() { # KIND
    local at=$owner next=$other then=''
    while handoff vda "$at" "$next" >>"$T/reports" 2>>"$T/command.log"; do
        then=$at at=$next next=$then
        pause_ms $((RANDOM % 100))
    done
}

one_round() { # KIND ROUND
    local load mover delay=$((RANDOM % 1200)) machine=(a-"$1" b-"$1" disk)
    [ "$1" = nbd ] || machine+=(disk-fuse)
    rm -f "$T/filled"
    # The VM is a client of a, whoever owns the disk.
    "$BATON_TOOLS_DIR/stampcheck" --uri "$(uri_of a-"$1" vda)" --seconds 300 --power-cut \
        --seed "$RANDOM" --journal "$T/journal" --ready-file "$T/filled" \
        >"$T/load.log" 2>&1 &
    load=$!
    until [ -e "$T/filled" ]; do
        kill -0 "$load" || fail "stampcheck: $(cat "$T/load.log")"
        pause_ms 20
    done
    keep_moving "$1" &
    mover=$!
    pause_ms $((300 + delay))
    power_cut "${machine[@]}"
    wait "$load" || fail "round $2: stampcheck: $(cat "$T/load.log")"
    wait "$mover" || true # it ends when there is nobody to ask
    "$BATON_TOOLS_DIR/stampcheck" --verify-file "$(medium_of disk)" \
        --journal "$T/journal" >>"$T/verify.log" || fail "round $2: on the medium"
    start_all "$1"
    settle a-"$1" b-"$1" "round $2"
    seen+=("$1:${owner%%-*}@$(status_of "$owner" vda .epoch)")
    nbdcopy "$(uri_of "$other" vda)" "$T/copy"
    "$BATON_TOOLS_DIR/stampcheck" --verify-file "$T/copy" --journal "$T/journal" \
        >>"$T/verify.log" || fail "round $2: as the services read it"
    rm "$T/copy"
}

kinds=(nbd)
if command -v nbdfuse >/dev/null && [ "$(id -u)" -eq 0 ] && [ -w /dev/fuse ]; then
    kinds+=(fuse)
fi
unmount() { umount -l "$T/disk.mnt" 2>/dev/null; }
for kind in "${kinds[@]}"; do
    rm -f "$T/disk.medium"
    start_all "$kind"
    if [ "$kind" = fuse ]; then
        at_exit unmount
    fi
    owner=a-$kind other=b-$kind
    # There and back, so that each knows of the other: the first cut may come sooner.
    handoff vda "$owner" "$other" >/dev/null
    handoff vda "$other" "$owner" >/dev/null
    for ((i = 1; i <= rounds; i++)); do
        one_round "$kind" "$i"
    done
    stop_service "$owner"
    stop_service "$other"
    kill_service disk
    [ "$kind" = nbd ] || kill_service disk-fuse
done
echo "cuts, and owner and epoch after each: ${seen[*]}"
