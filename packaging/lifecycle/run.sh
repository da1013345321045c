#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh SUITE PACKAGE.deb
# run.sh --can-boot          exits with 0 if this machine can boot a container
#
# Boots a container of that Debian suite with its own systemd (systemd-nspawn, no
# network), runs the lifecycle tests of the package there, and discards all changes. The
# suite is installed once by debootstrap, from the first mirror of this machine's apt,
# and kept in the user's cache. Needs root. With HARDENED=1, haproxy.service has the
# packaged hardening drop-in.
set -euo pipefail

# With its own tree of control groups, the container runs on machines with and without
# systemd, and with cgroups v1 and v2.
cgroup='umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && group=/sys/fs/cgroup/podgate-$$ && mkdir "$group"'
alone() { exec unshare --mount --propagation private bash -c "$@"; }
if [ "$1" = --can-boot ]; then
    [ "$(id -u)" = 0 ] && alone "$cgroup && rmdir \"\$group\"" 2>/dev/null
    exit
fi

suite=$1 package=$(realpath "$2")
cd "$(dirname "$0")/../.."

cache=${XDG_CACHE_HOME:-$HOME/.cache}/podgate/debian
packages=systemd,systemd-sysv,dbus,procps,haproxy,ca-certificates,openssl,bash-completion,fish,zsh
root=$cache/$suite-$(echo "$packages" | cksum | cut -d' ' -f1)
if [ ! -d "$root" ]; then
    mirror=$(awk '/^URIs:/ {print $2; exit} /^deb / {for (i = 2; i <= NF; i++) if ($i ~ /^http/) {print $i; exit}}' \
        /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null || true)
    mkdir -p "$cache"
    rm -rf "$root.part"
    debootstrap --variant=minbase --include="$packages" \
        "$suite" "$root.part" ${mirror:+"$mirror"} >&2
    mv "$root.part" "$root"
fi

work=$(mktemp -d)
nspawn=
finish() {
    if [ -n "$nspawn" ]; then
        leader=$(pgrep -P "$nspawn" || true)
        [ -z "$leader" ] || kill -RTMIN+4 "$leader" # poweroff
        timeout 30 tail --pid="$nspawn" -f /dev/null || kill -KILL "$nspawn"
    fi
    rm -rf "$work"
}
trap finish EXIT

# Three versions of the package, the same but for their numbers.
version=$(dpkg-deb -f "$package" Version)
dpkg-deb -R "$package" "$work/tree"
for number in "$version.1" "$version.2" "$version.3"; do
    sed -i "s/^Version: .*/Version: $number/" "$work/tree/DEBIAN/control"
    dpkg-deb --root-owner-group -Znone -b "$work/tree" "$work/podgate_${number}_test.deb" >/dev/null
done
rm -rf "$work/tree"
cp systemd/haproxy.service.d/hardening.conf README.md "$work/"
CGO_ENABLED=0 go test -c -tags lifecycle -o "$work/lifecycle" ./packaging/lifecycle
mkdir "$work/journal"
chmod -R a+rX "$work"

alone "$cgroup"' && echo $$ >"$group/cgroup.procs" &&
    exec systemd-nspawn --quiet --register=no --keep-unit --private-network --volatile=overlay \
        --machine="podgate-$$" --bind-ro="$2:/podgate" --bind="$2/journal:/var/log/journal" --directory="$1" --console=pipe --boot' \
    - "$root" "$work" </dev/null >"$work/boot" 2>&1 &
nspawn=$!

# inside runs a command on the machine, once it has booted.
inside() { nsenter --all --target "$(pgrep -P "$nspawn")" "$@"; }
booted=
for _ in $(seq 300); do
    if inside systemctl is-system-running 2>/dev/null | grep -qE 'running|degraded'; then
        booted=yes
        break
    fi
    kill -0 "$nspawn" 2>/dev/null || break
    sleep 0.2
done
[ -n "$booted" ] || { cat "$work/boot" >&2; exit 1; }
hardened=${HARDENED:+/podgate/hardening.conf}
echo "== $suite, $(inside haproxy -v | head -n 1), $(inside systemctl --version | head -n 1)${HARDENED:+, haproxy.service hardened}"
lifecycle() {
    inside env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root README=/podgate/README.md HARDENED="$hardened" \
        PACKAGES="/podgate/podgate_*.deb" /podgate/lifecycle -test.v -test.timeout 5m -test.run "$1"
}
lifecycle 'TestLifecycle|TestPurge'
lifecycle TestDrainIsReadyForShutdown

# A shutdown drains the node first, then stops podgate, then HAProxy. Here it begins in
# podgate's first second, before HAProxy has loaded podgate's files.
inside sh -c 'systemctl stop podgate && rm /var/lib/podgate/haproxy/podgate.* && systemctl reset-failed haproxy podgate && systemctl restart haproxy && systemctl start podgate'
inside systemctl poweroff 2>/dev/null || true # the answer may get lost
timeout 60 tail --pid="$nspawn" -f /dev/null
nspawn=
order=$(journalctl --directory="$work/journal" --no-pager --output=cat |
    grep -oE 'drained: no sessions are left|(Stopped|Stopping) (podgate|haproxy)\.service' | tail -n 5 | paste -sd,)
want='drained: no sessions are left,Stopping podgate.service,Stopped podgate.service,Stopping haproxy.service,Stopped haproxy.service'
echo "shutdown: $order"
[ "$order" = "$want" ] || {
    journalctl --directory="$work/journal" --no-pager --output=short-precise | tail -n 100 >&2
    echo "shutdown: want $want" >&2
    exit 1
}
