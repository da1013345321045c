#!/bin/sh
# SPDX-License-Identifier: Apache-2.0

# Prints the path of an executable that is HAProxy 2.6, 3.0, 3.2 or 3.4: the
# installed one if it has that version, or else one from the user's cache. If the
# cache does not have it, the script downloads 30 MB from another Debian suite,
# through the mirror and the proxy of this machine's apt. It installs nothing and
# needs no root: it unpacks the packages into the cache, and HAProxy runs with the
# C library that it was built for.
#
# "other" selects another version than that of $HAPROXY, or of the installed one.
set -eu

fail() {
	echo "fetch HAProxy $minor: $*" >&2
	exit 1
}

minor=${1-}
if [ "$minor" = other ]; then
	case $("${HAPROXY:-$(PATH=$PATH:/usr/sbin command -v haproxy)}" -v) in
	*" version 3.4."*) minor=2.6 ;;
	*) minor=3.4 ;;
	esac
fi
case $minor in
2.6) suites="bookworm" ;;
3.0) suites="trixie" ;;
3.2) suites="sid" ;;
3.4) suites="experimental sid" ;; # packages that experimental does not have are in sid
*)
	echo "usage: $0 2.6|3.0|3.2|3.4|other" >&2
	exit 2
	;;
esac

for haproxy in $(command -v haproxy) /usr/sbin/haproxy; do
	case $("$haproxy" -v 2>/dev/null) in
	*" version $minor."*)
		echo "$haproxy"
		exit
		;;
	esac
done

cache=${XDG_CACHE_HOME:-$HOME/.cache}/podgate
folder=$cache/haproxy-$minor
haproxy=$folder/haproxy
if [ -x "$haproxy" ]; then
	echo "$haproxy"
	exit
fi

for tool in apt-get dpkg; do
	command -v $tool >/dev/null || fail "$tool is missing: this works on Debian only"
done
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r $keyring ] || fail "$keyring is missing (install debian-archive-keyring)"

# The mirror is the one from which apt gets the InRelease of this Debian.
release=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
mirror=$(apt-get update --print-uris | sed -n "s|^'\(.*\)/dists/$release/InRelease' .*|\1|p" | head -n 1)
[ -n "$mirror" ] || fail "apt has no source for the suite \"$release\", so that the mirror is unknown"

mkdir -p "$cache"
new=$(mktemp -d "$cache/.haproxy-XXXXXX")
trap 'rm -rf "$new"' EXIT
trap 'exit 1' HUP INT TERM
chmod 755 "$new"

# A separate apt configuration, without installed packages and other sources, with
# the network settings of this machine.
apt=$new/apt
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$new/root"
: >"$apt/status"
for suite in $suites; do
	echo "deb [signed-by=$keyring target=Packages] $mirror $suite main"
done >"$apt/sources.list"
{
	apt-config dump | grep '^Acquire::'
	cat <<-EOT
		APT::Sandbox::User "root";
		Dir::Cache "$apt/cache";
		Dir::Etc::Main "/dev/null";
		Dir::Etc::Parts "/dev/null";
		Dir::Etc::Preferences "/dev/null";
		Dir::Etc::PreferencesParts "/dev/null";
		Dir::Etc::SourceList "$apt/sources.list";
		Dir::Etc::SourceParts "/dev/null";
		Dir::State::Lists "$apt/lists";
		Dir::State::Status "$apt/status";
	EOT
} >"$apt/apt.conf"
export APT_CONFIG="$apt/apt.conf"

echo "fetching HAProxy $minor from Debian $suites; this is done once" >&2
apt-get update -qq --error-on=any >&2 || fail "read the package lists of Debian $suites"

# madison prints "haproxy | 3.0.11-1 | ...", newest first.
found=$(apt-cache madison haproxy | cut -d'|' -f2 | tr -d ' ')
version=$(echo "$found" | grep "^$minor\.[0-9]" | head -n 1)
[ -n "$version" ] || fail "Debian $suites has haproxy" ${found:-in no version} "(correct the suites in testdata/haproxy/fetch.sh)"

# The libraries that apt would install, in the same versions.
packages=$(apt-get install --simulate --no-install-recommends "haproxy=$version" |
	sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1=\2/p' | grep -E '^(haproxy|lib|zlib)')
[ -n "$packages" ] || fail "apt cannot resolve what haproxy $version depends on"
(cd "$apt" && apt-get download -qq $packages >&2) || fail "download" $packages
for deb in "$apt"/*.deb; do
	dpkg -x "$deb" "$new/root"
done
rm -rf "$apt"

loader=$(cd "$new" && find root -name 'ld-linux*.so.*' -path '*/lib/*-linux-gnu*/*' | head -n 1)
libraries() { # below $1, in the order of a Debian without a merged /usr
	triplet=$(basename "${loader%/*}")
	echo "$1/root/lib/$triplet:$1/root/usr/lib/$triplet"
}
"$new/$loader" --library-path "$(libraries "$new")" "$new/root/usr/sbin/haproxy" -v >/dev/null ||
	fail "haproxy $version of Debian $suites does not run here"

# With --argv0 a master starts its next worker by this script again. Without it the
# bare binary would run with the C library of this machine.
cat >"$new/haproxy" <<EOT
#!/bin/sh
exec "$folder/$loader" --argv0 "$haproxy" --library-path "$(libraries "$folder")" "$folder/root/usr/sbin/haproxy" "\$@"
EOT
chmod 755 "$new/haproxy"

# Another process may have been faster.
mv -T "$new" "$folder" 2>/dev/null || [ -x "$haproxy" ] || fail "move $new to $folder"
echo "$haproxy"
