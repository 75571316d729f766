#!/bin/bash
# SGLang's own all-reduce, unmodified, under Lamplight on this machine's GPU. Needs what prepare.sh
# packed and a build of Lamplight; PyTorch must be installed. Leaves in OUT a summary and the reports.
# Exit status: 0 all checks passed, 1 some failed, 2 usage, 77 no GPU here or nothing prepared.
set -uo pipefail

if [[ $# -ne 2 || $1 == -h || $1 == --help ]]; then
  echo "usage: run_on_gpu.sh BUILD_DIR OUT"
  echo "  CARRY   folder that prepare.sh packed (default: BUILD_DIR/sglang/carry)"
  [[ $# -eq 1 ]] && exit 0
  exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd) || exit 2
mkdir -p "$2" && out=$(cd "$2" && pwd) || exit 2
carry=${CARRY:-$build/sglang/carry}
python=${PYTHON:-python3}

if ! "$python" -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
  echo "SKIPPED: PyTorch sees no GPU on this machine"
  exit 77
fi
[[ -x $build/bin/lamplight ]] || {
  echo "run_on_gpu: $build/bin/lamplight: missing; build Lamplight first" >&2
  exit 2
}
[[ -f $carry/version ]] || {
  echo "SKIPPED: SGLang is not prepared; run $here/prepare.sh $build/sglang first"
  exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/site" && tar -xzf "$carry/deps.tar.gz" -C "$work/site" || exit 2
export PYTHONPATH=$work/site LD_LIBRARY_PATH=$work/site/tvm_ffi/lib:${LD_LIBRARY_PATH:-}
export PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1

decoded() { # case: its ranks' kernels were read
  local trace known=0
  for trace in "$work/$1"/*.lamptrace; do
    "$build/bin/lamplight" dump "$trace" --type Kernel | grep -q sglang-push-oneshot && ((++known))
  done
  [[ $known -ge 2 ]] || echo "no kernel of SGLang's was decoded in $((2 - known)) of 2 traces"
  [[ $known -ge 2 ]]
}

run() { # case, what the report must find ("" for nothing), arguments
  local name=$1 expected=$2 status report
  shift 2
  LAMPLIGHT_TIMEOUT=4 timeout -s KILL 45 "$build/bin/lamplight" run --out "$work/$name" -- \
    timeout -s KILL 35 "$python" "$here/push_plane.py" --module "$carry/sglang_push.so" "$@" \
    >"$out/sglang-$name.log" 2>&1
  status=$?
  report=$out/sglang-$name.txt
  "$build/bin/lamplight" report "$work/$name" >"$report" 2>&1
  "$build/bin/lamplight" report "$work/$name" --format json >"$out/sglang-$name.json" 2>/dev/null
  if "$python" "$here/verdict.py" "$out/sglang-$name.json" "$expected" "$status" && decoded "$name"; then
    echo "PASS  sglang $(cat "$carry/version") $name"
  else
    echo "FAIL  sglang $(cat "$carry/version") $name (exit status $status)"
    tail -n 15 "$out/sglang-$name.log"
  fi
}
{
  run healthy ""
  LAMPLIGHT_MODE=strict run strict "" --replays 40 --layers 3
  run fewer C10 --fault fewer
  run absent C10 --fault absent
} | tee "$out/sglang-summary.txt"
! grep -q ^FAIL "$out/sglang-summary.txt"
