# clang-format and clang-tidy. clang-format's version is pinned: others lay out otherwise. clang-tidy is the
# distribution's, whose judgement may differ from one to the next.

CLANG_FORMAT_VERSION=14.0.6

ensure_clang_format() {
  CLANG_FORMAT=$ROOT/build/tools/bin/clang-format
  if "$CLANG_FORMAT" --version 2>/dev/null | grep -qF "$CLANG_FORMAT_VERSION"; then return; fi
  CLANG_FORMAT=clang-format
  if clang-format --version 2>/dev/null | grep -qF "$CLANG_FORMAT_VERSION"; then return; fi
  CLANG_FORMAT=$ROOT/build/tools/bin/clang-format
  ensure_packages ca-certificates findutils python3 python3-venv
  say "taking clang-format $CLANG_FORMAT_VERSION from the Python package index into build/tools"
  quietly python3 -m venv "$ROOT/build/tools"
  quietly "$ROOT/build/tools/bin/pip" install --no-input --disable-pip-version-check \
    "clang-format==$CLANG_FORMAT_VERSION"
}

# Our own sources, one a line, by extension.
sources() {
  local patterns=("$@")
  if git rev-parse --git-dir >/dev/null 2>&1; then
    git ls-files --cached --others --exclude-standard -- "${patterns[@]}"
  else
    local pattern
    for pattern in "${patterns[@]}"; do
      find . -path ./build -prune -o -name "$pattern" -printf '%P\n'
    done
  fi
}

command_format() {
  local arguments=(-i)
  [ "${1:-}" = --check ] && arguments=(--dry-run --Werror)
  ensure_clang_format
  sources '*.cc' '*.h' '*.cu' '*.cuh' | xargs -r -d '\n' "$CLANG_FORMAT" "${arguments[@]}"
}

# clang-tidy checks what the tidy preset compiles as C++; .cu files are nvcc's.
command_lint() {
  ensure_build_packages clang-tidy
  ensure_toolkit
  configure tidy
  local files
  if [ $# -gt 0 ]; then files=("$@"); else mapfile -t files < <(sources '*.cc'); fi
  say "clang-tidy over ${#files[@]} files"
  printf '%s\n' "${files[@]}" | xargs -r -d '\n' -n 1 -P "$JOBS" \
    clang-tidy -p build/tidy --quiet --warnings-as-errors='*' 2>>"$LOG" ||
    die "clang-tidy found something, see above"
  say "clang-tidy is content"
}
