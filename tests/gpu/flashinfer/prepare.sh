#!/bin/bash
# Gets FlashInfer releases ready for a GPU machine without a network: downloads the wheels from the
# Python package index, builds the two all-reduce modules (MNNVL and "trtllm") with FlashInfer's own
# build code and flags for sm_90a (no GPU needed), and packs all of it, small, into OUTDIR/carry.
# The Python code and the CUDA sources stay as released; the built modules lie where FlashInfer
# looks for prebuilt ones.
set -euo pipefail

usage() {
  cat <<TEXT
usage: prepare.sh OUTDIR [VERSION...]     (default versions: 0.6.4 0.7.4)

Environment:
  PYTHON          interpreter for the build; one with PyTorch saves 5 GB (default: python3)
  DEVICE_PYTHON   Python version of the GPU machine (default: 3.12)
  CUDA_HOME       CUDA Toolkit 13.0 with nvcc (default: the one of nvcc on the PATH)
TEXT
}

if [[ $# -lt 1 || $1 == -h || $1 == --help ]]; then
  usage
  exit $(($# < 1 ? 2 : 0))
fi
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift
versions=("$@")
[[ $# -gt 0 ]] || versions=(0.6.4 0.7.4)

readonly tvm_ffi=apache-tvm-ffi==0.1.15.post2
readonly cuda_bindings=(cuda-bindings==13.0.3 cuda-pathfinder==1.9.0)
readonly torch=torch==2.11.0
readonly modules=(trtllm_mnnvl_comm trtllm_comm)
readonly build_needs=(
  filelock numpy ninja einops nvidia-ml-py tabulate click tqdm requests packaging)
device_python=${DEVICE_PYTHON:-3.12}
python=${PYTHON:-python3}

say() { echo "prepare: $*"; }

# An interpreter that can run FlashInfer's build code; a virtual environment where there is none.
choose_python() {
  if "$python" -c 'import torch, tvm_ffi, filelock' 2>/dev/null; then return; fi
  if [[ ! -x $out/venv/bin/python ]]; then
    say "installs PyTorch into $out/venv (about 5 GB)"
    "$python" -m venv "$out/venv"
  fi
  python=$out/venv/bin/python
  "$python" -m pip install -q "$torch" "$tvm_ffi" "${build_needs[@]}"
}

wheel_of() {
  local version=$1
  "$python" -m pip download -q --no-deps --only-binary=:all: -d "$out/whl" \
    "flashinfer-python==$version"
  ls "$out/whl/flashinfer_python-$version"-*.whl
}

build_modules() {
  local version=$1 source=$2
  FLASHINFER_CUDA_ARCH_LIST=9.0a FLASHINFER_WORKSPACE_BASE=$out/jit MAX_JOBS=1 \
    PYTHONPATH=$source "$python" - <<'PYTHON'
from flashinfer.comm.trtllm_ar import gen_trtllm_comm_module
from flashinfer.comm.trtllm_mnnvl_ar import gen_trtllm_mnnvl_comm_module

for generate in (gen_trtllm_mnnvl_comm_module, gen_trtllm_comm_module):
    generate().build(verbose=False)
PYTHON
}

built_module() {
  find "$out/jit/.cache/flashinfer/$1" -name "$2.so" | grep . || {
    say "FlashInfer $1: $2.so was not built" >&2
    return 1
  }
}

# The Python files, the sources of these modules and the modules; not the other 100 MB of kernels.
pack_release() {
  local version=$1 wheel=$2 source=$3 name module
  local packed=("$wheel")
  for name in "${modules[@]}"; do
    module=$(built_module "$version" "$name")
    mkdir -p "$source/flashinfer/data/aot/$name"
    cp "$module" "$source/flashinfer/data/aot/$name/"
    packed+=("$module")
  done
  sha256sum "${packed[@]}" | sed "s# .*/# #" >"$source/SHA256SUMS"
  (cd "$source" && {
    find flashinfer -name '*.py' -not -path 'flashinfer/data/*'
    find flashinfer/data \( -name 'trtllm_mnnvl_allreduce.cu*' -o -name 'trtllm_allreduce.cu*' \
      -o -name 'trtllm_allreduce_fusion.cu*' -o -name 'trtllm_moe_allreduce_fusion.cu*' \)
    find flashinfer/data/aot -type f
    find flashinfer_python-*.dist-info -name METADATA
    echo SHA256SUMS
  } | tar -czf "$out/packed.tar.gz" -T -)
  mv "$out/packed.tar.gz" "$out/carry/flashinfer-$version.tar.gz"
}

prepare_release() {
  local version=$1 wheel source
  wheel=$(wheel_of "$version")
  source=$out/src/$version
  rm -rf "$source" && mkdir -p "$source"
  unzip -q "$wheel" -d "$source"
  say "builds FlashInfer $version's modules (several minutes)"
  build_modules "$version" "$source"
  pack_release "$version" "$wheel" "$source"
}

# Wheels for the GPU machine's Python that FlashInfer imports and PyTorch images may lack.
pack_dependencies() {
  local platform=() name
  for name in manylinux_2_28 manylinux_2_24 manylinux_2_17 manylinux2014; do
    platform+=(--platform "${name}_x86_64")
  done
  rm -rf "$out/deps" && mkdir -p "$out/deps"
  "$python" -m pip download -q --no-deps --only-binary=:all: --python-version "$device_python" \
    --implementation cp "${platform[@]}" -d "$out/whl-device" "$tvm_ffi" "${cuda_bindings[@]}"
  for name in "$out"/whl-device/*.whl; do unzip -q -o "$name" -d "$out/deps"; done
  tar -czf "$out/packed.tar.gz" -C "$out/deps" .
  mv "$out/packed.tar.gz" "$out/carry/deps.tar.gz"
}

# The stand-in for multicast of the two-rank cases; the GPU's driver compiles it further.
pack_multicast() {
  local nvcc=nvcc
  [[ -z ${CUDA_HOME:-} ]] || nvcc=$CUDA_HOME/bin/nvcc
  "$nvcc" -ptx -arch=compute_90 -o "$out/carry/multicast.ptx" "$here/multicast.cu"
}

mkdir -p "$out/carry"
pack_multicast
choose_python
for version in "${versions[@]}"; do prepare_release "$version"; done
pack_dependencies
# Archives of releases that were not asked for go; what was there stays usable until it is replaced.
for archive in "$out"/carry/flashinfer-*.tar.gz; do
  version=${archive##*/flashinfer-}
  [[ " ${versions[*]} " == *" ${version%.tar.gz} "* ]] || rm "$archive"
done
printf '%s\n' "${versions[@]}" >"$out/carry/versions"
say "done: $(du -sh "$out/carry" | cut -f1) in $out/carry"
