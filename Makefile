# Few verbs. `make run` and `make test` are the two that a newcomer needs.

VERSION  := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -s -w -X lbctl/ctl.version=$(VERSION)
BUILD    := CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)'
TOOL     := go tool -modfile=internal/tools/go.mod
SCENARIO ?= scenarios/l4-vs-l7.yaml

# What the tests use beyond Go, as Debian packages. clang is pinned: objects are
# byte-stable for one version only.
PACKAGES := gcc libc6-dev clang-19 llvm-19 libbpf-dev linux-libc-dev bash docker.io docker-compose iptables \
	qemu-system-x86 busybox-static cpio kmod ipvsadm iproute2 curl ethtool bpftool dash xz-utils \
	nginx apache2 apache2-utils wrk chromium-headless-shell

.PHONY: build run test unit plane plane-native-a plane-native-b plane-others plane-hostile plane-hostile-tcx bench-l4 e2e guest soak-l7 fuzz verify-matrix bench-failover bench-flood bench-lvs bench-traffic bench-l7 lint generate image setup clean help

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' Makefile | expand -t 15

build: ## build/lbctl, one static binary
	$(BUILD) -o build/lbctl ./cmd/lbctl

run: build ## bring the first scenario up, compare both planes, print the report, take it down
	./build/lbctl run $(SCENARIO)

# Beside each other run what waits and what computes. By itself run unit, whose deadlines are
# short, lint, which writes what others compile, and e2e as far as BPF goes, for it looks whether
# anything of that is left on the machine.
test: setup lint unit plane ## install what tests need, then run them all
	$(SIDE_BY_SIDE) -j2 e2e guest

SIDE_BY_SIDE := $(MAKE) --output-sync=target

unit: ## packages on their own, with the race detector; first the one that takes longest
	go test -race -timeout 10m ./l7 $$(go list ./... | grep -v -e internal/e2e -e internal/lvsguest -e '/l4$$' -e '/l7$$')

plane: ## the L4 plane: with the race detector, at the other hooks, and twelve million hostile packets
	$(SIDE_BY_SIDE) -j3 $(PLANE)

# Three at a time: none keeps a CPU busy, for they wait for the kernel much of the time.
PLANE := plane-native-b plane-others plane-native-a plane-hostile plane-hostile-tcx
HALF  := ^Test[ACFLS]

# What has patience lets go first what does not.
plane-native-a:
	nice -n 10 go test -race -parallel 4 -timeout 40m -run '$(HALF)' ./l4

plane-native-b:
	nice -n 10 go test -race -parallel 4 -timeout 40m -skip '$(HALF)|^TestTheSameAtTheOtherHooks$$' ./l4

plane-others:
	nice -n 10 go test -timeout 40m -run '^TestTheSameAtTheOtherHooks$$' ./l4

plane-hostile:
	LBCTL_HOSTILE_PACKETS=10000000 nice -n 10 go test -count=1 -timeout 20m -run '^TestHostilePackets$$' ./l4

plane-hostile-tcx:
	LBCTL_L4_TEST_HOOK=tcx LBCTL_HOSTILE_PACKETS=2000000 nice -n 10 go test -count=1 -timeout 20m -run '^TestHostilePackets$$' ./l4

e2e: ## whole labs on this machine's kernel, through the binary that users run
	go test -count=1 -timeout 30m -v ./internal/e2e/...

soak-l7: ## the L7 proxy: a minute of load for each command and model, a million requests to backends that misbehave, bodies of 10 GiB, with and without the race detector
	LBCTL_L7_SECONDS=60 go test -count=1 -timeout 40m -v -run '^Test(NoCommandFails|AnotherShape)' ./l7
	LBCTL_L7_REQUESTS=1000000 LBCTL_L7_BODY_MIB=10240 go test -count=1 -timeout 40m -v -run '^Test(BackendsThatMisbehave|ALargeBody|TenThousand)' ./l7
	LBCTL_L7_REQUESTS=1000000 go test -race -count=1 -timeout 40m -v -run '^Test(BackendsThatMisbehave|NoTrick|ATrick|AHostile)' ./l7

fuzz: ## every fuzzer for a minute, some 25 minutes (FUZZ="10s Exchange": how long, and which); make test replays what they have found
	./internal/tools/fuzz.sh $(FUZZ)

guest: ## our models and our ipvsadm against the kernel's own, in two guests (QEMU)
	nice -n 19 go test -count=1 -timeout 40m -v ./internal/lvsguest/...

bench-lvs: ## instructions per request: direct, routed, IPVS and ours, in a guest of counted time (about 20 minutes); docs/lvs.md
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o build/bench-lvs ./internal/lvsguest/bench
	./build/bench-lvs $(BENCH)

verify-matrix: ## every BPF program through the verifier, with instructions processed, size and time
	go test -count=1 -v -run '^Test(VerifyMatrix|StackIsDeepEnough)$$' ./l4

bench-l4: verify-matrix ## ns per packet of the L4 program as multiples of an empty XDP_TX, by packet, and per choice, by policy; docs/l4-performance.md
	go test -run '^$$' -bench 'Balance|Schedule|Sweep' -benchtime 20x -timeout 60m ./l4

bench-failover: ## connections broken by a failover between two balancers, by policy and sync
	go test -count=1 -timeout 15m -run '^$$' -bench Failover -benchtime 1x ./internal/e2e

bench-traffic: ## CPU µs per request of the load generator against wrk, and of the lab's server against nginx (about 3 minutes); docs/traffic.md
	go test -run '^$$' -bench Against -benchtime 1x -timeout 15m ./internal/traffic

bench-l7: build ## CPU time per request of our HTTP plane by model, nginx, HAProxy and Apache, in rounds that take turns (about an hour; BENCH="-rounds 1 -time 1s" for a look); docs/l7-performance.md
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o build/l7bench ./internal/l7bench
	./build/l7bench $(BENCH)

bench-flood: ## new and established connections under a SYN flood, by defence; docs/syn-flood.md
	LBCTL_FLOOD_SECONDS=10 go test -count=1 -timeout 5m -v -run '^TestSYNFlood$$' ./l4

lint: ## gofumpt, vet, staticcheck, govulncheck; generated code is up to date
	@test -z "$$($(TOOL) gofumpt -l $$(git ls-files '*.go'))" || { echo 'not gofumpt-ed:'; $(TOOL) gofumpt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	$(TOOL) staticcheck ./...
	./internal/tools/vuln.sh
	$(MAKE) generate
	git diff --exit-code -- l4

generate: ## the Go bindings and objects of bpf/ (needs clang-19)
	go generate ./...

image: build build/token ## the container image for docker-compose.yml, and a token for its API
	docker build -t lbctl .

build/token:
	@mkdir -p build && umask 077 && head -c 24 /dev/urandom | base64 > $@

setup: ## Debian packages that the tests need
	@missing=; for p in $(PACKAGES); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing && \
	for s in nginx apache2; do case " $$missing " in *" $$s"*) service $$s stop >/dev/null 2>&1 || true;; esac; done; fi

clean: ## what building and measuring left in this folder
	rm -rf build results
