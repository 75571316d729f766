#!/usr/bin/env bash
# The incident, played from start to end: a server hangs in a piecewise graph replay, Lamplight says
# why, the repaired kernel is clean, so is the broken one with ours swapped in, and the two kinds of
# stale-index replay are told apart.
# Usage: demo.sh BUILD_DIR. Exit status: 0 every verdict came as expected, 1 one did not, 2 usage.
set -euo pipefail

[ $# -ge 1 ] && [ -x "$1/bin/lamplight" ] || {
  echo "usage: demo.sh BUILD_DIR (with bin/lamplight in it; ./dev demo builds it)" >&2
  exit 2
}
BUILD=$(cd "$1" && pwd)
SOURCES=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
TRACES=$(mktemp -d "${TMPDIR:-/tmp}/lamplight-demo-XXXXXX")
WATCHDOG=2  # seconds without completion until the watchdog speaks
RUN_OPTIONS=()
GIVE_UP=8   # seconds until the server's parent ends the hung ranks

if [ -t 1 ]; then BOLD=$'\e[1m' PLAIN=$'\e[0m'; else BOLD='' PLAIN=''; fi

headline() { printf '\n%s== %s ==%s\n' "$BOLD" "$*" "$PLAIN"; }

has_gpu() {
  python3 - <<'PYTHON'
import ctypes, sys
try:
    driver = ctypes.CDLL("libcuda.so.1")
except OSError:
    sys.exit(1)
count = ctypes.c_int(0)
found = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
sys.exit(0 if found and count.value > 0 else 1)
PYTHON
}

choose_device() {
  if has_gpu; then
    DEVICE="this machine's GPU"
    # Two ranks of one process share one GPU; as processes they would take turns.
    SIZE=(--ranks threads --dim 2880)
  else
    DEVICE="the simulated device (no GPU here)"
    export LD_LIBRARY_PATH=$BUILD/tests/device_sim/lib
    SIZE=(--dim 512)
  fi
}

# Runs the server under Lamplight, shows what it said, and expects its exit status.
serve() {
  local expected=$1 trace=$2 status=0
  shift 2
  local command=(lamplight run --out "$trace" --timeout "$WATCHDOG" "${RUN_OPTIONS[@]}" --
    piecewise_server --world 2 --hang-limit "$GIVE_UP" "${SIZE[@]}" "$@")
  printf '$ %s\n' "${command[*]}"
  PATH=$BUILD/bin:$PATH timeout -s KILL 90 "${command[@]}" 2>&1 | sed 's/^/  /' || status=$?
  [ "$status" -eq "$expected" ] && return
  printf 'The server ended with %s, expected %s. Traces: %s\n' "$status" "$expected" "$TRACES"
  exit 1
}

# A report without what repeats: long tables and lists, and the sections after the last finding.
abridge() {
  awk '
    /^HOST STACKS/ { print "(host stacks, processes and communicators: see the whole report)"; exit }
    /^ +(Slots|Evidence|captured at|one of)/ { print; listed = 0; next }
    /^  [A-Z]/ { listed = -1000 }
    ++listed <= 8 { print }
    listed == 9 { print "      …" }'
}

# Shows the report of a trace folder and expects exactly the named hazard ("clean": none).
report() {
  local expected=$1 trace=$2 text=$TRACES/report.txt found
  printf '\n$ lamplight report %s\n' "$trace"
  "$BUILD/bin/lamplight" report "$trace" >"$text" || true
  abridge <"$text" | sed 's/^/  /'
  found=$({ "$BUILD/bin/lamplight" report "$trace" --format json || true; } | python3 -c '
import json, sys
hazards = {finding["hazard"] for finding in json.load(sys.stdin)["findings"]}
print(" ".join(sorted(hazards)) or "clean")')
  if [ "$found" != "$expected" ]; then
    printf '\nThe report says "%s", expected "%s". Traces: %s\n' "$found" "$expected" "$TRACES"
    exit 1
  fi
  printf '%s-> %s, as it should be%s\n' "$BOLD" "$found" "$PLAIN"
}

choose_device
headline "Lamplight on $DEVICE"
echo "A server with two ranks replays one CUDA graph per token bucket. Its all-reduce kernels poll"
echo "for words that are not the sentinel −0.0. Lamplight is only preloaded."

headline "1. The hang: half-way, rank 1 sends negative subnormals to a flush-to-zero compare"
serve 3 "$TRACES/legacy" --requests 60 --kernel legacy --payload subnormal
report C1 "$TRACES/legacy"

headline "2. The same requests and the same payload with the repaired kernel"
serve 0 "$TRACES/good" --requests 60 --kernel good --payload subnormal
report clean "$TRACES/good"

headline "3. The hanging kernel again, but Lamplight launches its own in its place"
RUN_OPTIONS=(--swap)
serve 0 "$TRACES/swapped" --requests 60 --kernel legacy --payload subnormal
report clean "$TRACES/swapped"
RUN_OPTIONS=()

headline "4. Stale index: the host passes the generation, and the capture froze it"
export LAMPLIGHT_ABI=$SOURCES/tests/servers/baked_index.abi.json
serve 0 "$TRACES/baked-index" --requests 60 --kernel baked-index
report C3 "$TRACES/baked-index"
unset LAMPLIGHT_ABI

headline "5. Stale index: now and then a kernel does not move its index on"
serve 0 "$TRACES/lost-update" --requests 60 --kernel lost-update
report C3b "$TRACES/lost-update"

rm -rf "$TRACES"
headline "All five verdicts came as expected"
