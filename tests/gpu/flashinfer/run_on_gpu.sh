#!/bin/bash
# FlashInfer's own kernels, unmodified, with and without Lamplight on this machine's GPU. Needs what
# prepare.sh packed and a build of Lamplight; PyTorch must be installed. Leaves in OUT: summary.txt,
# the text reports of the hangs, and everything else in one archive.
# Exit status: 0 all checks passed, 1 some failed, 2 usage, 77 no GPU here or nothing prepared.
set -uo pipefail

if [[ $# -lt 2 || $1 == -h || $1 == --help ]]; then
  echo "usage: run_on_gpu.sh BUILD_DIR OUT [CASE...]   (a CASE may be the start of several: pair-)"
  echo "  CARRY         folder that prepare.sh packed (default: BUILD_DIR/flashinfer/carry)"
  echo "  CASE_SECONDS  for all cases; those that it leaves no time for are named (default: 3600)"
  exit $(($# < 2 ? 2 : 0))
fi
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd) || exit 2
mkdir -p "$2" && out=$(cd "$2" && pwd) || exit 2
shift 2
carry=${CARRY:-$build/flashinfer/carry}
python=${PYTHON:-python3}

fail() {
  echo "run_on_gpu: $*" >&2
  exit 2
}

if ! "$python" -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
  echo "SKIPPED: PyTorch sees no GPU on this machine"
  exit 77
fi
[[ -x $build/bin/lamplight ]] || fail "$build/bin/lamplight: missing; build Lamplight first"
if [[ ! -f $carry/versions ]]; then
  echo "SKIPPED: FlashInfer is not prepared; run $here/prepare.sh $build/flashinfer first"
  exit 77
fi
[[ -f $carry/multicast.ptx ]] || fail "$carry/multicast.ptx: missing; run $here/prepare.sh again"
mapfile -t versions <"$carry/versions"
[[ ${#versions[@]} -eq 2 ]] || fail "$carry/versions: names ${#versions[@]} releases, needs 2"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for version in "${versions[@]}"; do
  mkdir -p "$work/$version"
  tar -xzf "$carry/flashinfer-$version.tar.gz" -C "$work/$version" || fail "$version: no archive"
  tar -xzf "$carry/deps.tar.gz" -C "$work/$version" || fail "deps.tar.gz: not readable"
done

export PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
"$python" "$here/run_cases.py" --build "$build" --out "$work/out" \
  --old "${versions[0]}=$work/${versions[0]}" --new "${versions[1]}=$work/${versions[1]}" \
  --multicast "$carry/multicast.ptx" --seconds "${CASE_SECONDS:-3600}" \
  "$@" 2>&1 | tee "$out/flashinfer-summary.txt"
status=${PIPESTATUS[0]}
for name in old-oneshot-subnormal old-twoshot-subnormal swap-old-oneshot swap-old-twoshot \
  pair-old-oneshot-from-0-swap-0 pair-old-healthy-swap-0; do
  report=$work/out/$name/shim/report.txt
  [[ ! -f $report ]] || cp "$report" "$out/flashinfer-$name.txt"
done
tar -czf "$out/flashinfer.tar.gz" -C "$work" --exclude=flashinfer-home out
exit "$status"
