#!/bin/sh
# SPDX-License-Identifier: Apache-2.0

# Prints the path of axe.min.js of axe-core, by which "make browser" looks for
# what keeps people from using a page. It is fetched once by npm into the user's
# cache and is no part of podgate.
set -eu
version=4.14.1
sum=29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c

cache=${XDG_CACHE_HOME:-$HOME/.cache}/podgate
file=$cache/axe-core-$version/axe.min.js
if [ ! -f "$file" ]; then
	mkdir -p "$cache"
	new=$(mktemp -d "$cache/.axe-XXXXXX")
	trap 'rm -rf "$new"' EXIT
	trap 'exit 1' HUP INT TERM
	npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$new" "axe-core@$version" >&2
	echo "$sum  $new/node_modules/axe-core/axe.min.js" | sha256sum --check --quiet >&2
	chmod 755 "$new/node_modules/axe-core"
	rm -rf "$cache/axe-core-$version"
	mv "$new/node_modules/axe-core" "$cache/axe-core-$version"
fi
echo "$file"
