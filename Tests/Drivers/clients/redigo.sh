#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds redigo.go, beside the other clients' things, and runs it.
set -uo pipefail
export GO111MODULE=off GOPATH=/usr/share/gocode
here=$(dirname "${BASH_SOURCE[0]}")
build=$here/../../../.build-drivers/redigo
if [ "$1" = session ]; then
  if ! command -v go >/dev/null || [ ! -d "$GOPATH/src/github.com/gomodule/redigo" ]; then
    echo "apt-get install gccgo-go golang-github-gomodule-redigo-dev" >&2
    exit 77
  fi
  mkdir -p "$build"
  GOCACHE=$(cd "$build" && pwd)/cache go build -o "$build/redigo" "$here/redigo.go" || exit 1
  DRIVER_VERSION=$(dpkg-query -W -f '${source:Upstream-Version}' golang-github-gomodule-redigo-dev 2>/dev/null)
  export DRIVER_VERSION
fi
exec "$build/redigo" "$@"
