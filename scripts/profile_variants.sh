#!/usr/bin/env bash
# What a CPU profile tells of each way to build a program: examples/regex-trap is built, put under
# load and profiled for each, and `go tool pprof` says what it reads.
#
# Usage: scripts/profile_variants.sh [VARIANT...]     all of them where none is named
#
# Needs go, curl, binutils and, for names of what was stripped, pprof itself
# (go install github.com/google/pprof@latest). Builds into target/variants: a quarter of an hour and 4 GB the first time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

all=(limited lines none abort lto static stripped)
[ $# -gt 0 ] || set -- "${all[@]}"
out=${CARGO_TARGET_DIR:-target}/variants
mkdir -p "$out"

# The settings of cargo for a variant, a line each.
settings() {
  case $1 in
    limited | static | stripped) ;;
    lines) echo 'profile.release.debug="line-tables-only"' ;;
    none) echo 'profile.release.debug=false' ;;
    abort) echo 'profile.release.panic="abort"' ;;
    lto) echo 'profile.release.lto="fat"' ;;
    *) echo "error: no variant $1; there are ${all[*]}" >&2; return 1 ;;
  esac
}

# Builds a variant and prints where the program is.
build() {
  local variant=$1 options=() setting
  local wanted; wanted=$(settings "$variant")
  while read -r setting; do [ -z "$setting" ] || options+=(--config "$setting"); done <<<"$wanted"
  # These need every crate compiled anew; the others only another last step.
  local folder=$out/$variant
  case $variant in limited | static | stripped) folder=$out/limited ;; esac
  local program=$folder/release/regex-trap
  if [ "$variant" = static ]; then
    cargo rustc --release --package regex-trap --target-dir "$folder" "${options[@]}" -- -C target-feature=+crt-static >&2
  else
    cargo build --release --package regex-trap --target-dir "$folder" "${options[@]}" >&2
  fi
  mkdir -p "$out/programs/$variant"
  cp "$program" "$out/programs/$variant/regex-trap"
  # Stripped after the link, the build id stays that of the program with its symbols.
  if [ "$variant" = stripped ]; then
    install -D "$program" "$out/programs/limited/regex-trap"
    strip --strip-all "$out/programs/$variant/regex-trap"
  fi
  echo "$out/programs/$variant/regex-trap"
}

# Runs a program under load and writes its profile.
profile() {
  local program=$1 file=$2 port=$((20000 + RANDOM % 10000))
  local service="127.0.0.1:$port" admin="127.0.0.1:$((port + 1))"
  "$program" "$service" "$admin" 2>"$file.log" &
  local server=$!
  until curl -sf "http://$admin/readyz" >"$file.ready"; do sleep 0.1; kill -0 "$server"; done
  # One connection, again and again.
  curl -s "http://$service/api/v1/trap/11010519491231002X?[1-10000000]" >/dev/null &
  local load=$!
  curl -sf "http://$admin/debug/pprof/profile?seconds=10" >"$file"
  kill "$load" "$server"
  wait "$load" "$server" || true
}

# What is read of a profile by a tool.
tell() {
  local file=$1 label=$2
  shift 2
  local top; top=$("$@" -top -cum -noinlines -nodecount=60 "$file" 2>"$file.problems")
  local share; share=$(awk '/ regex::.*Regex::new$/ { print $5; exit }' <<<"$top")
  local handler; handler=$(awk '/validate_patient_data$/ { print $5; exit }' <<<"$top")
  local flags; flags=$("$@" -raw "$file" 2>/dev/null | awk '/^Mappings/ { getline; print $NF; exit }' | grep -F '[' || true)
  local inlined; inlined=$("$@" -top -nodecount=500 "$file" 2>/dev/null | grep -c '(inline)' || true)
  local lines; lines=$("$@" -top -lines -nodecount=500 "$file" 2>/dev/null | grep -c '\.rs:[1-9]' || true)
  local unknown; unknown=$(awk 'NR > 5 && $6 ~ /^(0x|\[)/ { print $1, $6 }' <<<"$top" | head -3 | tr '\n' ' ')
  printf '%-28s Regex::new %-8s handler %-8s lines %-4s inlined %-4s %s %s\n' \
    "$label" "${share:--}" "${handler:--}" "$lines" "$inlined" "$flags" "${unknown:+unnamed: $unknown}"
}

for variant in "$@"; do
  program=$(build "$variant")
  file=$out/$variant.pb.gz
  profile "$program" "$file"
  size=$(($(stat -c %s "$program") / 1048576))
  tell "$file" "$variant ($size MiB)" go tool pprof
  # The names of what was stripped are in the program that it was stripped of.
  if [ "$variant" = stripped ]; then
    export PPROF_BINARY_PATH=$out/programs/limited
    if command -v pprof >/dev/null; then tell "$file" "the same, named by pprof" pprof; else echo "skipped: pprof is not installed"; fi
    unset PPROF_BINARY_PATH
  fi
done
