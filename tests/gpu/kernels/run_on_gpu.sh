#!/bin/bash
# The kernels library on this machine's GPUs, in about five minutes: kernels_gpu's tests, a small set
# of them under compute-sanitizer, and FlashInfer's hanging payload with our kernels swapped in.
# Leaves in OUT: kernels-summary.txt, kernels.jsonl, kernels-logs.tar.gz, and what
# ../flashinfer/run_on_gpu.sh leaves.
# Exit status: 0 all passed, 1 some failed, 2 usage, 77 no GPU here.
set -uo pipefail

if [[ $# -lt 2 || $# -gt 3 || $1 == -h || $1 == --help ]]; then
  echo "usage: run_on_gpu.sh BUILD_DIR OUT [RANKS]"
  echo "  RANKS          2, 4, 8, … (default: as many as there are GPUs, 2 on one GPU)"
  echo "  STEPS          only steps whose name matches this pattern (default: .)"
  echo "  SOAK_REPLAYS   default 1000000"
  echo "  SOAK_SECONDS   at most so long (default 100)"
  echo "  CARRY          what ../flashinfer/prepare.sh packed (default: BUILD_DIR/flashinfer/carry)"
  [[ ${1:-} == -h || ${1:-} == --help ]]
  exit $(($? * 2))
fi
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd) || exit 2
mkdir -p "$2" && out=$(cd "$2" && pwd) || exit 2
ranks=${3:+--ranks $3}
steps=${STEPS:-.}
soak_seconds=${SOAK_SECONDS:-100}
program=$build/bin/kernels_gpu

if [[ ! -x $program ]]; then
  echo "run_on_gpu: $program: missing; build the target kernels_gpu first" >&2
  exit 2
fi
if [[ ! -e /dev/nvidia0 ]] && ! nvidia-smi -L >/dev/null 2>&1; then
  echo "SKIPPED: there is no NVIDIA GPU on this machine"
  exit 77
fi

# Where the toolkit's runtime is not where the build had it, PyTorch has brought one.
if ! ldd "$program" | grep -q 'libcudart.so.13 => /'; then
  runtime=$(python3 -c 'import nvidia.cu13 as m; print(list(m.__path__)[0] + "/lib")' 2>/dev/null)
  export LD_LIBRARY_PATH=${runtime:-/usr/local/cuda/lib64}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
fi

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
summary=$out/kernels-summary.txt
: >"$summary"
: >"$out/kernels.jsonl"
failures=0

say() { echo "$*" | tee -a "$summary"; }

# step NAME SECONDS COMMAND…: PASS for status 0; the last line of the output goes beside it.
step() {
  local name=$1 seconds=$2 status begin=$SECONDS
  shift 2
  [[ $name =~ $steps ]] || return 0
  timeout -s KILL "$seconds" "$@" >"$logs/$name.out" 2>"$logs/$name.err"
  status=$?
  grep -h '^{' "$logs/$name.out" >>"$out/kernels.jsonl"
  if [[ $status -eq 0 ]]; then
    say "PASS $name ($((SECONDS - begin)) s): $(tail -n 1 "$logs/$name.out" | cut -c 1-400)"
    return
  fi
  failures=$((failures + 1))
  say "FAIL $name ($((SECONDS - begin)) s), status $status (3: hang, 9: sanitizer, 137: killed)"
  tail -qn 6 "$logs/$name.out" "$logs/$name.err" | cut -c 1-600 | tee -a "$summary"
}

# shellcheck disable=SC2086
{
  step patterns 90 "$program" patterns $ranks
  step sizes 90 "$program" sizes $ranks
  step sequences 90 "$program" sequences $ranks
  step skew 90 "$program" skew $ranks
  step in_place 90 "$program" in_place $ranks
  step soak $((soak_seconds + 60)) "$program" soak $ranks \
    --replays "${SOAK_REPLAYS:-1000000}" --seconds "$soak_seconds"
}

if command -v compute-sanitizer >/dev/null 2>&1; then
  # The library asks for access to peers that it may have already: an error of the API, expected.
  for tool in "memcheck --report-api-errors no" racecheck synccheck; do
    # shellcheck disable=SC2086
    step "${tool%% *}" 60 compute-sanitizer --tool $tool --error-exitcode 9 \
      "$program" sequences $ranks --quick --hang-seconds 40
  done
else
  say "left out: compute-sanitizer is not on the PATH"
fi

if [[ ! swap =~ $steps ]]; then
  :
elif [[ -f ${CARRY:-$build/flashinfer/carry}/versions ]]; then
  step swap 120 "$here/../flashinfer/run_on_gpu.sh" "$build" "$out" swap-old-oneshot swap-old-twoshot
else
  say "left out: FlashInfer is not prepared (../flashinfer/prepare.sh)"
fi

say "$failures steps failed"
tar -czf "$out/kernels-logs.tar.gz" -C "$logs" .
exit $((failures > 0))
