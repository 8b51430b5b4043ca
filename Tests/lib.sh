# SPDX-License-Identifier: Apache-2.0
# Shared by Tests/run and config/demo: what this machine needs, and how to get it. Sourced, never run.

# The project's folder, from wherever the script was called.
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "== $*"; }

# What the build needs, and a Redis to talk to. redis-tools holds the server program and starts no service.
base_packages=(redis-tools libsystemd-dev pkg-config zlib1g-dev)

# Whether the thing that a package stands for is there, installed by whatever means.
have() {
  case $1 in
    redis-tools)
      [ -n "${HOLDFAST_REDIS_SERVER:-}" ] && return
      command -v redis-server || command -v valkey-server || command -v redis-check-rdb \
        || command -v valkey-check-rdb
      ;;
    pkg-config) command -v pkg-config ;;
    openssl) command -v openssl ;;
    libsystemd-dev) pkg-config --exists libsystemd || [ -f /usr/include/systemd/sd-daemon.h ] ;;
    zlib1g-dev) pkg-config --exists zlib || [ -f /usr/include/zlib.h ] ;;
    *) [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>&1)" = installed ] ;;
  esac >/dev/null 2>&1
}

# Installs those of the packages that are missing, and says which; ends with 2 where it cannot.
need_packages() {
  local package missing=() root=()
  for package in "$@"; do have "$package" || missing+=("$package"); done
  [ ${#missing[@]} -eq 0 ] && return
  if ! command -v apt-get >/dev/null; then
    say "Missing: ${missing[*]} (Debian's names). There is no apt-get here: install them and start again." >&2
    exit 2
  fi
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      say "Missing: ${missing[*]}. As root: apt-get install --no-install-recommends ${missing[*]}" >&2
      exit 2
    fi
    root=(sudo)
  fi
  say "Installing ${missing[*]}"
  # Somebody else may be installing just now.
  if ! { ${root[@]+"${root[@]}"} apt-get -q update \
    && ${root[@]+"${root[@]}"} env DEBIAN_FRONTEND=noninteractive \
      apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${missing[@]}"; } </dev/null; then
    say "Could not install ${missing[*]}; see above." >&2
    exit 2
  fi
}

need_swift() {
  command -v swift >/dev/null && return
  say "swift is not in PATH: install Swift 6.1 or later from https://www.swift.org/install/ and start again." >&2
  exit 2
}

# How the daemon is built to be used. Static: one binary without Swift beside it, and some CPU less per request.
# Exclusivity is checked statically and, in debug builds, by every test; at run time it costs a third of the proxy.
release_build=(
  swift build -c release --static-swift-stdlib -Xswiftc -enforce-exclusivity=unchecked
)
