#!/bin/bash
# Gets SGLang's own all-reduce ready for a GPU machine without a network: downloads a release from the
# Python package index, compiles its kernels for sm_90a as its loader would (no GPU needed), and packs
# the module and tvm-ffi, through which it is called, into OUTDIR/carry. No released file is changed.
set -euo pipefail

usage() {
  cat <<TEXT
usage: prepare.sh OUTDIR [VERSION]     (default version: 0.5.23; 0.5.19 or newer)

Environment:
  PYTHON          interpreter whose pip downloads (default: python3)
  DEVICE_PYTHON   Python version of the GPU machine (default: 3.12)
  CUDA_HOME       CUDA Toolkit 13.0 with nvcc (default: the one of nvcc on the PATH)
TEXT
}

if [[ $# -lt 1 || $# -gt 2 || $1 == -h || $1 == --help ]]; then
  usage
  [[ $# -eq 1 ]] || exit 2
  exit 0
fi
mkdir -p "$1"
out=$(cd "$1" && pwd)
version=${2:-0.5.23}
python=${PYTHON:-python3}
device_python=${DEVICE_PYTHON:-3.12}
nvcc=${CUDA_HOME:+$CUDA_HOME/bin/}nvcc
readonly tvm_ffi=apache-tvm-ffi==0.1.15.post2

say() { echo "prepare: $*"; }

download() {
  local platform=() name
  for name in manylinux_2_34 manylinux_2_28 manylinux_2_24 manylinux_2_17; do
    platform+=(--platform "${name}_x86_64")
  done
  "$python" -m pip download -q --no-deps --only-binary=:all: --python-version "$device_python" \
    --implementation cp "${platform[@]}" -d "$out/whl" "$1"
}

say "downloads SGLang $version"
download "sglang==$version"
download "$tvm_ffi"
rm -rf "$out/src" "$out/deps"
mkdir -p "$out/src" "$out/deps" "$out/carry"
unzip -q "$out"/whl/sglang-"$version"-*.whl -d "$out/src" -x '*.json'
unzip -q "$out"/whl/apache_tvm_ffi-*.whl -d "$out/deps"
jit=$out/src/sglang/kernels/jit
[[ -f $jit/csrc/distributed/custom_all_reduce.cuh ]] || {
  echo "prepare: SGLang $version has no kernels/jit/csrc/distributed/custom_all_reduce.cuh;" \
    "take 0.5.19 or newer" >&2
  exit 2
}

# As sglang/kernels/jit/utils/compile/spec.py wraps what is exported.
cat >"$out/module.cu" <<CODE
#include <distributed/custom_all_reduce.cuh>
#include <distributed/registry.cuh>
using namespace sglang;
TVM_FFI_DLL_EXPORT_TYPED_FUNC(register_communicator, (register_communicator));
TVM_FFI_DLL_EXPORT_TYPED_FUNC(all_reduce, (AllReduceKernel<bf16_t, 2, true>::run));
CODE
say "compiles its all-reduce (a minute)"
"$nvcc" -std=c++20 -O3 --expt-relaxed-constexpr -DSGL_CUDA_ARCH=900 -gencode=arch=compute_90a,code=sm_90a \
  -diag-suppress 1427 -shared -Xcompiler -fPIC -cudart shared -I "$jit/csrc" -I "$jit/include" \
  -I "$out/deps/tvm_ffi/include" -o "$out/carry/sglang_push.so" "$out/module.cu" \
  -L "$out/deps/tvm_ffi/lib" -ltvm_ffi
tar -czf "$out/carry/deps.tar.gz" -C "$out/deps" .
echo "$version" >"$out/carry/version"
say "done: $(du -sh "$out/carry" | cut -f1) in $out/carry"
