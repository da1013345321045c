#!/bin/sh
# SPDX-License-Identifier: Apache-2.0

# Prints the path of the binary that main.go makes, and builds it first if it
# is missing: 10 to 20 minutes and 3 GB of memory on two cores, once. The name
# holds a hash of all that goes in, so a newer Kubernetes is another file and
# two checkouts with the same go.sum share one.
set -eu

cd "$(dirname "$0")"
export GOWORK=off CGO_ENABLED=0

version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
hash=$({ cat go.mod go.sum main.go; go env GOOS GOARCH; } | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/podgate
binary=$cache/kubernetes-$hash

if [ ! -x "$binary" ]; then
	echo "building Kubernetes $version from its modules; this is done once and takes a while" >&2
	mkdir -p "$cache"
	new=$(mktemp "$cache/.kubernetes-XXXXXX")
	trap 'rm -f "$new"' EXIT
	trap 'exit 1' HUP INT TERM
	# Without the version, /version answers v0.0.0.
	nice go build -trimpath \
		-ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version" \
		-o "$new" . >&2
	chmod 755 "$new"
	mv "$new" "$binary"
fi
echo "$binary"
