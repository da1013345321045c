# SPDX-License-Identifier: Apache-2.0
#
# make demo   run a simulated cluster, HAProxy, podgate and clients in one terminal
# make test   run all tests except the conformance suite, with the real HAProxy
# make deb    build the Debian packages in dist/

VERSION := 0.2.0
COMMIT  := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)

# Tools are not in go.mod; their versions are here.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

export CGO_ENABLED ?= 0

.PHONY: build test test-haproxy lint e2e conformance demo bench microbench clean haproxy

build:
	go build -trimpath -buildmode=pie -ldflags '$(LDFLAGS)' -o bin/podgate ./cmd/podgate

# The race detector needs cgo, and so a C compiler.
test: export CGO_ENABLED = 1
test: haproxy compiler promtool rsyslog tlsclients network
	other=$$($(OTHER)) && HAPROXY_OTHER=$$other go test -race -count=1 -timeout 15m ./...

# Some tests need a second HAProxy of another version. It is fetched once; without $CI
# these tests are skipped instead.
OTHER = if [ -n "$$HAPROXY_OTHER" ]; then echo "$$HAPROXY_OTHER"; elif [ -n "$$CI" ]; then testdata/haproxy/fetch.sh other; fi

# The tests that run HAProxy, with each supported version: one after the other, or at
# the same time with -j. RACE= disables the race detector; PACKAGES and RUN, a pattern,
# select tests.
VERSIONS ?= 2.6 3.0 3.2 3.4
PACKAGES ?= ./haproxy/... ./daemon ./daemon/demo ./cmd/podgate
RACE ?= -race
RUN ?= .
test-haproxy: compiler tlsclients network
	@for version in $(VERSIONS) other; do testdata/haproxy/fetch.sh $$version >/dev/null || exit 1; done
	@$(MAKE) --no-print-directory --keep-going --output-sync $(VERSIONS:%=test-haproxy-%)
test-haproxy-%: export CGO_ENABLED = 1
test-haproxy-%:
	@HAPROXY=$$(testdata/haproxy/fetch.sh $*) && export HAPROXY && "$$HAPROXY" -v | head -n 1 && \
	HAPROXY_OTHER=$$(testdata/haproxy/fetch.sh other) go test $(RACE) -count=1 -timeout 15m -run '$(RUN)' $(PACKAGES)

# The whole of podgate between a fake API server and a real HAProxy.
e2e: export CGO_ENABLED = 1
e2e: haproxy compiler tlsclients network
	other=$$($(OTHER)) && HAPROXY_OTHER=$$other go test -race -count=1 -timeout 15m -v ./daemon ./cmd/podgate

# Tests with a real kube-apiserver in a network namespace. It is built once from its
# modules, and kept in the user's cache.
conformance: build haproxy network
	CI=1 KUBERNETES=$$(testdata/kubernetes/build.sh) PODGATE=$(CURDIR)/bin/podgate \
	go test -tags conformance -count=1 -v -timeout 15m -run TestConformance -p 1 ./kubeapi ./cmd/podgate

# The pages in a headless Chromium: layout, keyboard, accessibility, without JavaScript,
# and the time until they are shown. SCREENSHOTS=FOLDER keeps screenshots.
.PHONY: browser
browser: chromium
	axe=$$(testdata/axe/fetch.sh) && AXE=$$axe go test -tags browser -count=1 -v -timeout 5m -run TestBrowser ./daemon/admin

# Tests that try to break podgate: see packaging/doc/internals.md.
.PHONY: fuzz chaos soak
# Each fuzz test for FUZZTIME, such as 1m or 1000x. Findings are written to the testdata of the package.
FUZZTIME ?= 1m
fuzz: haproxy
	@grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z]+' . | sort | while IFS=: read -r file target; do \
	 name=$${target#func }; echo "fuzz $$(dirname $$file) $$name"; \
	 go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "$$(dirname $$file)" </dev/null || exit 1; \
	done

# Faults under load for DURATION, the same ones for the same SEED. As root they include a
# full and a read-only disk.
DURATION ?= 1m
chaos: haproxy
	go run ./daemon/chaos -duration $(DURATION) $(if $(SEED),-seed $(SEED)) $(ARGS)

# Memory, descriptors and latency of podgate and HAProxy during DURATION of churn, one JSON
# object per line.
soak: build haproxy
	go run ./daemon/bench soak -duration $(DURATION) $(ARGS)

demo: build haproxy
	bin/podgate demo $(ARGS)

# One JSON object per line on standard output. ARGS="-run churn" selects benchmarks; sync
# builds the real API server first, like conformance.
bench: build haproxy
	go run ./daemon/bench $(ARGS)

microbench:
	go test -run '^$$' -bench . -benchmem -count=1 -timeout 15m ./...

# Format, vet, the wording of user-facing texts and comments, staticcheck and known vulnerabilities.
lint:
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "gofmt: $$unformatted"; exit 1; fi
	go vet ./...
	go vet -tags conformance ./kubeapi ./cmd/podgate
	go vet -tags lifecycle ./packaging/lifecycle
	go vet -tags browser ./daemon/admin
	go run ./packaging/prose -comments
	go run $(STATICCHECK) -checks all -tags conformance,lifecycle,browser ./...
	@if curl -fsS -m 10 -o /dev/null https://vuln.go.dev/index/db.json; then go run $(GOVULNCHECK) ./...; \
	else echo "govulncheck: skipped, its database cannot be reached from here"; fi

clean:
	rm -rf bin dist

# Packages that a fresh Debian does not have, from apt: as root, or with sudo.
APT := $(if $(filter 0,$(shell id -u)),,sudo )apt-get
.PHONY: compiler network promtool rsyslog tlsclients chromium
haproxy:
	@[ -n "$$HAPROXY" ] || command -v haproxy >/dev/null || [ -x /usr/sbin/haproxy ] || { \
	 $(APT) update -qq && DEBIAN_FRONTEND=noninteractive $(APT) install -y -qq --no-install-recommends haproxy; }
compiler:
	@command -v $${CC:-cc} >/dev/null || { \
	 $(APT) update -qq && DEBIAN_FRONTEND=noninteractive $(APT) install -y -qq --no-install-recommends gcc libc6-dev; }
promtool:
	@command -v promtool >/dev/null || { \
	 $(APT) update -qq && DEBIAN_FRONTEND=noninteractive $(APT) install -y -qq --no-install-recommends prometheus; }
tlsclients:
	@{ command -v curl && command -v openssl && command -v sslscan; } >/dev/null || { \
	 $(APT) update -qq && DEBIAN_FRONTEND=noninteractive $(APT) install -y -qq --no-install-recommends curl openssl sslscan; }
rsyslog:
	@[ -x /usr/sbin/rsyslogd ] && [ -x /usr/sbin/logrotate ] || { \
	 $(APT) update -qq && DEBIAN_FRONTEND=noninteractive $(APT) install -y -qq --no-install-recommends rsyslog logrotate; }
chromium:
	@command -v chromium >/dev/null && command -v npm >/dev/null || { \
	 $(APT) update -qq && DEBIAN_FRONTEND=noninteractive $(APT) install -y -qq --no-install-recommends chromium fonts-dejavu-core \
	  $$(command -v npm >/dev/null || echo npm); }
network:
	@PATH="$$PATH:/usr/sbin"; command -v ip >/dev/null || { \
	 $(APT) update -qq && DEBIAN_FRONTEND=noninteractive $(APT) install -y -qq --no-install-recommends iproute2; }

include packaging/debian.mk
