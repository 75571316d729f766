# How ./dev speaks: one line before each step on stderr, everything else into $LOG.

say() { printf 'dev: %s\n' "$*" >&2; }

die() {
  say "$*"
  exit 2
}

# Runs a command with its output in the log; on failure shows the end of the log and stops.
quietly() {
  local start status=0
  start=$(wc -l <"$LOG")
  printf '+ %s\n' "$*" >>"$LOG"
  "$@" >>"$LOG" 2>&1 </dev/null || status=$?
  [ "$status" -eq 0 ] && return 0
  tail -n "+$((start + 1))" "$LOG" | tail -n 60 >&2
  die "this failed with status $status: $* (all of its output: $LOG)"
}
