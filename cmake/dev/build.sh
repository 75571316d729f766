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

# Two places for each core: tests that compute take two (PROCESSORS), those that wait take one.
run_tests() {
  local preset=$1
  shift
  ctest --preset "$preset" --parallel $((2 * JOBS)) "$@"
}

# Google Benchmark programs run anywhere, where there is no GPU on the simulated device; comparisons of
# whole runs (the Python programs) would say nothing there.
run_benchmarks() {
  local build=$ROOT/build/release wanted=$1 program ran=0
  local -a simulated=(env "LD_LIBRARY_PATH=$build/tests/device_sim/lib")
  [ -z "$(gpu_architecture)" ] || simulated=()
  for program in "$build"/bin/*_bench tests/bench/*.py tests/bench/kernels/kernels.py; do
    [[ $(basename "$program") == *"$wanted"* ]] || continue
    ran=1
    if [[ $program != *.py ]]; then
      say "running $(basename "$program")"
      "${simulated[@]}" "$program"
    elif [ -n "$(gpu_architecture)" ]; then
      say "running $program"
      python3 "$program" "$build"
    else
      say "leaving out $program: it needs a GPU"
    fi
  done
  [ "$ran" -eq 1 ] || die "no benchmark has '$wanted' in its name"
}
