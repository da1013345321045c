#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# build-deb.sh ARCH FOLDER VERSION COMMIT
#
# Builds the package of this tree for amd64 or arm64 into FOLDER. The tree is copied,
# because debhelper needs debian/ at the top; modules come only from the cache.
set -eu
arch=$1 out=$2 version=$3 commit=$4
cd "$(dirname "$0")/.."
mkdir -p "$out"
out=$(cd "$out" && pwd)

packaged=$(dpkg-parsechangelog -l packaging/debian/changelog -S Version)
if [ "$packaged" != "$version" ]; then
    echo "build-deb.sh: packaging/debian/changelog has version $packaged, the Makefile $version" >&2
    exit 1
fi

stage=$out/build-$arch
rm -rf "$stage"
mkdir -p "$stage/podgate-$version"
tar --exclude=./.git --exclude=./bin --exclude=./dist -cf - . | tar -xf - -C "$stage/podgate-$version"
cd "$stage/podgate-$version"
cp -R packaging/debian debian
cp systemd/podgate.* debian/
cp systemd/podgate-drain.service debian/podgate.podgate-drain.service

GOMODCACHE=$(go env GOMODCACHE) GOCACHE=$(go env GOCACHE) COMMIT=$commit
export GOMODCACHE GOCACHE COMMIT
# -d: Go need not come from a package, and arm64 needs no cross compiler.
if ! dpkg-buildpackage -d -b -us -uc "-a$arch" >"$stage/log" 2>&1; then
    cat "$stage/log" >&2
    exit 1
fi
mv "$stage/podgate_${version}_$arch".* "$out/"
rm -rf "$stage"
