#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# foreign.sh PACKAGE.deb QEMU SYSROOT
#
# Runs the podgate of a package for another architecture in QEMU's user mode: version,
# check, and render of every scenario. The output of render must equal that of bin/podgate,
# the build for this machine. SYSROOT has the libc of the other architecture, whose loader
# a PIE needs.
set -eu
package=$(realpath "$1") qemu=$2 sysroot=$3
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dpkg-deb -x "$package" "$work"
foreign() { timeout 60 "$qemu" -L "$sysroot" "$work/usr/sbin/podgate" "$@"; }

foreign version
foreign check --config packaging/podgate.toml
printf '[kubernetes]\nservr = "https://192.0.2.10:6443"\n' >"$work/bad.toml"
if foreign check --config "$work/bad.toml" 2>"$work/errors"; then
    echo "foreign.sh: a broken podgate.toml is accepted" >&2
    exit 1
fi
grep -q "bad.toml:2: kubernetes.servr: unknown key (did you mean \"server\"?)" "$work/errors"

count=0
for scenario in testdata/scenarios/*.txtar; do
    rm -f "$work/podgate.toml" "$work/cluster.yaml"
    awk -v folder="$work" '/^-- .* --$/ {file = folder "/" $2; next} file ~ /(podgate.toml|cluster.yaml)$/ {print >file}' "$scenario"
    [ -s "$work/podgate.toml" ] && [ -s "$work/cluster.yaml" ] || continue
    for podgate in foreign bin/podgate; do
        "$podgate" render --config "$work/podgate.toml" --from "$work/cluster.yaml" >"$work/$(basename $podgate).out" 2>"$work/$(basename $podgate).err" || {
            echo "foreign.sh: $scenario: $podgate: $(cat "$work/$(basename $podgate).err")" >&2
            exit 1
        }
    done
    cmp "$work/foreign.out" "$work/podgate.out" && cmp "$work/foreign.err" "$work/podgate.err"
    count=$((count + 1))
done
[ "$count" -ge 30 ] || { echo "foreign.sh: only $count scenarios" >&2; exit 1; }
echo "$(basename "$package"): $count scenarios are rendered like on this machine"
