# The CUDA Toolkit: finds one, or makes one in build/cuda from NVIDIA's Python packages.
# Sets CUDA_ROOT.

# One series of the toolkit; within it, the newest patch release of each part.
CUDA_SERIES=13.0
CUDA_WHEELS=(nvidia-cuda-nvcc nvidia-cuda-crt nvidia-nvvm nvidia-cuda-runtime nvidia-cuda-cccl
  nvidia-cuda-cupti)

# Prints the release of the toolkit in $1 ("13.0"); fails where there is no usable one.
toolkit_release() {
  [ -x "$1/bin/nvcc" ] && [ -e "$1/include/cuda_runtime_api.h" ] || return 1
  local release
  release=$("$1/bin/nvcc" --version 2>/dev/null | sed -n 's/^.*release \([0-9.]*\),.*$/\1/p')
  [ -n "$release" ] && [ "${release%%.*}" -ge 12 ] && printf '%s\n' "$release"
}

toolkit_candidates() {
  local nvcc
  printf '%s\n' "${CUDA_HOME:-}" "${CUDA_PATH:-}"
  nvcc=$(command -v nvcc 2>/dev/null) && dirname "$(dirname "$(readlink -f "$nvcc")")"
  printf '%s\n' /usr/local/cuda "$ROOT/build/cuda"
}

find_toolkit() {
  local candidate
  while read -r candidate; do
    [ -n "$candidate" ] && toolkit_release "$candidate" >/dev/null || continue
    printf '%s\n' "$candidate"
    return
  done < <(toolkit_candidates)
  return 1
}

# NVIDIA's packages hold a toolkit without the links that linkers and CMake look for.
link_toolkit() {
  local root=$1 library
  ln -sfn lib "$root/lib64"
  for library in "$root"/lib/lib*.so.*; do
    ln -sf "$(basename "$library")" "${library%%.so.*}.so"
  done
}

install_toolkit() {
  local venv=$ROOT/build/cuda-venv wheels=() wheel unpacked
  [ -z "${LAMPLIGHT_NO_INSTALL:-}" ] || die "no CUDA Toolkit 12 or later found: install one, or" \
    "name it in LAMPLIGHT_CUDA_HOME, or unset LAMPLIGHT_NO_INSTALL"
  ensure_packages ca-certificates findutils python3-venv
  for wheel in "${CUDA_WHEELS[@]}"; do wheels+=("$wheel==$CUDA_SERIES.*"); done
  say "no CUDA Toolkit found: taking NVIDIA's compiler and runtime $CUDA_SERIES from the Python" \
    "package index into build/cuda (about 300 MB)"
  rm -rf "$venv" "$ROOT/build/cuda"
  quietly python3 -m venv "$venv"
  quietly "$venv/bin/pip" install --no-input --disable-pip-version-check "${wheels[@]}"
  unpacked=$(dirname "$(dirname "$(find "$venv/lib" -path '*/bin/nvcc' -print -quit)")")
  [ -x "$unpacked/bin/nvcc" ] || die "NVIDIA's packages brought no bin/nvcc under $venv/lib"
  link_toolkit "$unpacked"
  # The link comes last: where it is, the toolkit is whole.
  ln -s "${unpacked#"$ROOT"/build/}" "$ROOT/build/cuda"
}

ensure_toolkit() {
  if [ -n "${LAMPLIGHT_CUDA_HOME:-}" ]; then
    CUDA_ROOT=$LAMPLIGHT_CUDA_HOME
    toolkit_release "$CUDA_ROOT" >/dev/null || die "LAMPLIGHT_CUDA_HOME=$CUDA_ROOT is no CUDA" \
      "Toolkit 12 or later (bin/nvcc and include/cuda_runtime_api.h are looked for there)"
    return
  fi
  CUDA_ROOT=$(find_toolkit) && return
  install_toolkit
  CUDA_ROOT=$ROOT/build/cuda
  toolkit_release "$CUDA_ROOT" >/dev/null || die "the toolkit made in $CUDA_ROOT does not work"
}
