#!/usr/bin/env bash
# Installs what tests use besides Rust, where that is possible: independent clients, registries and
# attackers from the system's packages. A test whose tool is missing says `skipped:` and passes.
set -uo pipefail

# What a package is for stands behind it.
packages=(
  etcd-server     # discovery against a real registry
  etcd-client     # etcdctl, which changes that registry from outside
  redis-server    # rate limits that instances share
  nghttp2-client  # h2load, an independent HTTP/2 client
  graphviz        # dot, for the pictures of go tool pprof
  slowhttptest    # slow heads, bodies and readers
  strace          # the system calls that the systemd unit must allow
  systemd         # systemd-analyze, which reads the unit
  buildah         # the image, without a daemon
  podman          # a container of it
  runc            # the runtime that also knows older control groups
)

missing=()
for package in "${packages[@]}"; do
  dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep --quiet 'install ok installed' || missing+=("$package")
done
[ "${#missing[@]}" -eq 0 ] && exit 0
if ! command -v apt-get >/dev/null || [ "$(id --user)" -ne 0 ]; then
  echo "skipped: tools of some tests (not installed: ${missing[*]}; as root: apt-get install ${missing[*]})"
  exit 0
fi
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
# Services must not be started by their packages: tests start their own, on ports of their own.
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
if ! { apt-get update && apt-get install --yes --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 5 "$log"
  echo "skipped: tools of some tests (could not be installed: ${missing[*]})"
fi
exit 0
