# SPDX-License-Identifier: Apache-2.0
#
# make unit        check the sandbox of podgate's units
# make deb         build dist/podgate_VERSION_{amd64,arm64}.deb, and check them with lintian
# make test-arm64  run the podgate of the arm64 package in QEMU
# make test-deb    install, upgrade, remove and purge the package under load, on Debian 12
#                  and 13; as root

.PHONY: unit deb deb-reproducible test-arm64 test-deb

# The exposure level of "systemd-analyze security" must be at most 1.5 of 10.
unit: systemd
	@for unit in podgate podgate-drain; do \
	 said=$$(systemd-analyze security --offline=true --threshold=15 --no-pager systemd/$$unit.service) || { echo "$$said"; exit 1; }; \
	 echo "$$said" | tail -n 1; done

ARCHES ?= amd64 arm64

# lintian reads eight letters of a comparison and the next byte of machine code as a
# misspelt word. These change with every build, so an override would not last.
LINTIAN := lintian -EvIL +pedantic --suppress-tags spelling-error-in-binary --fail-on error,warning,info,pedantic,experimental

deb: debhelper
	go mod download
	@for arch in $(ARCHES); do packaging/build-deb.sh $$arch dist $(VERSION) $(COMMIT) || exit 1; done
	$(LINTIAN) dist/podgate_$(VERSION)_*.changes
	@ls -l dist/*.deb

# A second build in another folder and time zone, with another umask, must be identical.
deb-reproducible: deb
	@umask 077; for arch in $(ARCHES); do \
	 TZ=Asia/Kathmandu LC_ALL=C.UTF-8 packaging/build-deb.sh $$arch dist/again $(VERSION) $(COMMIT) && \
	 cmp dist/podgate_$(VERSION)_$$arch.deb dist/again/podgate_$(VERSION)_$$arch.deb && \
	 echo "podgate_$(VERSION)_$$arch.deb is the same twice" || exit 1; done; \
	rm -rf dist/again

# The podgate of the arm64 package must run, and print the same as bin/podgate.
test-arm64: build debhelper qemu
	packaging/build-deb.sh arm64 dist $(VERSION) $(COMMIT)
	packaging/foreign.sh dist/podgate_$(VERSION)_arm64.deb qemu-aarch64-static /usr/aarch64-linux-gnu

# The package's life under load, in containers with their own systemd: with Debian's
# haproxy.service, and with the hardening drop-in.
SUITES ?= bookworm trixie
NATIVE := $(shell dpkg --print-architecture 2>/dev/null)
test-deb: debhelper nspawn
	packaging/build-deb.sh $(NATIVE) dist $(VERSION) $(COMMIT)
	for suite in $(SUITES); do \
	 packaging/lifecycle/run.sh $$suite dist/podgate_$(VERSION)_$(NATIVE).deb && \
	 HARDENED=1 packaging/lifecycle/run.sh $$suite dist/podgate_$(VERSION)_$(NATIVE).deb || exit 1; done

.PHONY: systemd debhelper qemu nspawn
APT_INSTALL := { $(APT) update -qq && DEBIAN_FRONTEND=noninteractive $(APT) install -y -qq --no-install-recommends
systemd:
	@command -v systemd-analyze >/dev/null || $(APT_INSTALL) systemd; }
debhelper:
	@command -v dh >/dev/null && command -v lintian >/dev/null || \
	 $(APT_INSTALL) debhelper lintian; }
qemu:
	@command -v qemu-aarch64-static >/dev/null && [ -d /usr/aarch64-linux-gnu/lib ] || \
	 $(APT_INSTALL) qemu-user-static libc6-arm64-cross; }
nspawn:
	@command -v systemd-nspawn >/dev/null && command -v debootstrap >/dev/null || \
	 $(APT_INSTALL) systemd-container debootstrap; }
