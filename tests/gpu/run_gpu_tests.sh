#!/bin/bash
# The piecewise server's variants on this machine's GPU, under Lamplight, with verdict checks. Leaves
# in OUT: server-summary.txt and an archive of reports, traces and outputs.
# Exit status: 0 all checks passed, 1 some failed, 2 usage, 77 no GPU here.
set -uo pipefail

if [[ $# -lt 2 || $1 == -h || $1 == --help ]]; then
  echo "usage: run_gpu_tests.sh BUILD_DIR OUT [CASE...]"
  exit $(($# < 2 ? 2 : 0))
fi
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd) || exit 2
mkdir -p "$2" && out=$(cd "$2" && pwd) || exit 2
shift 2

if [[ ! -e /dev/nvidia0 ]] && ! nvidia-smi -L >/dev/null 2>&1; then
  echo "SKIPPED: there is no NVIDIA GPU on this machine"
  exit 77
fi
for program in lamplight piecewise_server; do
  [[ -x $build/bin/$program ]] && continue
  echo "run_gpu_tests: $build/bin/$program: missing; build Lamplight first" >&2
  exit 2
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 "$here/server_cases.py" --build "$build" --out "$work/out" "$@" 2>&1 |
  tee "$out/server-summary.txt"
status=${PIPESTATUS[0]}
tar -czf "$out/server.tar.gz" -C "$work" out
exit "$status"
