#!/usr/bin/env bash
# Builds `cohort` with everything in it, the C library included, so that it runs in an image that
# holds nothing else. Prints where it stands. docs/decisions/0019-one-static-binary.md says why so.
#
# Usage: deploy/build_static.sh [PROFILE]     release where none is named
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

profile=${1:-release}
# cargo's folder of the profile dev has another name.
folder=${profile/#dev/debug}
target=${CARGO_TARGET_DIR:-target}
built=$target/$folder/cohort
out=$target/static/$folder

if [ ! -e "$(cc -print-file-name=libc.a)" ]; then
  echo "error: the C library is not here as an archive (libc.a); on Debian it is in libc6-dev, on Fedora in glibc-static" >&2
  exit 1
fi
mkdir -p "$out"

# Only the last step differs from the usual program, so nothing else is compiled again. Both have
# one name in cargo's folder: what stood there is put back, and is never missing.
kept=$out/cohort.usual
rm -f "$kept"
if [ -e "$built" ]; then ln "$built" "$kept"; fi
put_back() { if [ -e "$kept" ]; then mv -f "$kept" "$built"; fi; }
trap put_back EXIT
cargo rustc --profile "$profile" ${CI:+--locked} --package cohort --bin cohort -- -C target-feature=+crt-static >&2
ln -f "$built" "$out/cohort"
echo "$out/cohort"
