# Configure, build, test and benchmark by the presets of CMakePresets.json.

JOBS=${LAMPLIGHT_JOBS:-$(nproc)}

# The presets compile for one GPU generation; a machine with another GPU gets its own.
gpu_architecture() {
  command -v nvidia-smi >/dev/null 2>&1 || return 0
  nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d '. '
}

configure() {
  local preset=$1 architecture arguments
  arguments=("-DCMAKE_CUDA_COMPILER=$CUDA_ROOT/bin/nvcc" "-DCUDAToolkit_ROOT=$CUDA_ROOT")
  architecture=$(gpu_architecture)
  if [ "$preset" = dev ] && [[ $architecture =~ ^[0-9]+$ ]]; then
    arguments+=("-DCMAKE_CUDA_ARCHITECTURES=$architecture")
  fi
  say "configuring preset $preset with the CUDA Toolkit $(toolkit_release "$CUDA_ROOT") in $CUDA_ROOT"
  # Another toolkit than last time: CMake keeps the compiler that it found first.
  local cache=build/$preset/CMakeCache.txt
  if [ -e "$cache" ] && ! grep -qxF "CMAKE_CUDA_COMPILER:FILEPATH=$CUDA_ROOT/bin/nvcc" "$cache" &&
    ! grep -qxF "CMAKE_CUDA_COMPILER:STRING=$CUDA_ROOT/bin/nvcc" "$cache"; then
    arguments+=(--fresh)
  fi
  quietly cmake --preset "$preset" "${arguments[@]}"
}

# prepare_and_build PRESET [TARGET…]
prepare_and_build() {
  local preset=$1
  shift
  ensure_build_packages
  ensure_toolkit
  configure "$preset"
  say "building with $JOBS jobs"
  quietly cmake --build --preset "$preset" --parallel "$JOBS" ${1:+--target "$@"}
}

run_tests() {
  local preset=$1
  shift
  ctest --preset "$preset" --parallel "$JOBS" "$@"
}

run_benchmarks() {
  local build=$1 wanted=$2 program ran=0
  for program in "$build"/bench/*; do
    [ -f "$program" ] && [ -x "$program" ] && [[ $(basename "$program") == *"$wanted"* ]] || continue
    say "running $(basename "$program")"
    "$program"
    ran=1
  done
  [ "$ran" -eq 1 ] || die "no benchmark in $build/bench has '$wanted' in its name"
}
