# Tranzit. `make help` lists the targets; `make test` is what CI runs.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO ?= go
FUZZTIME ?= 30s
BENCH ?= .
COUNT ?= 1
SEEDS ?= 20000
# vet, staticcheck and the tests look at the same build, so that a clean clone
# compiles everything once.
RACE := CGO_ENABLED=1 GOFLAGS="$(shell $(GO) env GOFLAGS) -race -buildvcs=false"

.PHONY: help build build-pkcs11 test test-fast deps fmt fmt-check vet staticcheck house fuzz race gate lives zoo sim bench bench-dialects microbench clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build-pkcs11: ## the binary that speaks to hardware modules, bin/tranzit-pkcs11; not static
	CGO_ENABLED=1 $(GO) build -trimpath -tags pkcs11 -o bin/tranzit-pkcs11 ./cmd/tranzit

build: ## the static binary, bin/tranzit
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/tranzit ./cmd/tranzit

# The race tests stand last, so that the output ends with ordinary go test lines.
test: deps fmt-check vet staticcheck house gate race ## everything, installing what it needs

test-fast: fmt-check ## the tests without the race detector, fuzzing and staticcheck
	$(GO) vet ./...
	$(GO) test ./...

deps: ## install what the tests need (a C compiler, strace, SoftHSM, Chromium, axe-core, tshark)
	@scripts/deps.sh

fmt: ## format the sources
	gofmt -s -w $$(scripts/gofiles.sh)

fmt-check:
	@bad=$$(gofmt -s -l $$(scripts/gofiles.sh)); \
	if [ -n "$$bad" ]; then echo "not formatted, run make fmt:"; echo "$$bad"; exit 1; fi

vet:
	$(RACE) $(GO) vet ./...

staticcheck:
	$(GO) build -modfile=tools/go.mod -o bin/staticcheck honnef.co/go/tools/cmd/staticcheck
	$(RACE) bin/staticcheck ./...

house: ## the rules of the house (imports, sizes, comments)
	$(RACE) $(GO) test ./cmd/house

fuzz: ## every fuzz target for FUZZTIME (default 30s) each
	@scripts/fuzz.sh $(FUZZTIME)

# The longest stand first, and one package more than there are cores is tested at a
# time: tests of real processes, browsers and banks wait more than they work.
LONGEST := ./cmd/tranzit ./switch ./frontend
race:
	$(RACE) $(GO) test -tags pkcs11 ./acquirers/keystore ./cmd/tranzit -run PKCS11
	$(RACE) scripts/race.sh $(GO) test -timeout 20m -p $$(($$(nproc) + 1)) $(LONGEST) $$($(GO) list ./... | grep -vE '/bench/zoo|/cmd/tranzit|/(switch|frontend)$$')

gate: lives zoo fuzz ## the proof of faults: 20,000 lives, every crash point, 2,000 damages to the journal, the bug zoo, every fuzz target

lives:
	$(GO) test -timeout 60m ./bench/sim -run TestLives -sim.seeds=$(SEEDS)
	$(GO) test -timeout 60m ./bench/sim -run TestCrashPoints -sim.full
	$(GO) test -timeout 60m ./bench/sim -run TestReplay -cpu 1
	$(GO) test -timeout 60m ./storage -run TestCorruption

zoo: ## every planted bug must be found
	$(GO) test -timeout 60m -v ./bench/zoo | grep -vE '^ *(=== |--- PASS)'

sim: ## SEEDS lives in the simulation (default 20000); SEED=N replays one
	$(GO) test -timeout 4h ./bench/sim -run TestLives $(if $(SEED),-sim.seed=$(SEED) -v,-sim.seeds=$(SEEDS))

bench: build ## the goals of the payment path on this machine, under 5 minutes; GOALS passes flags on
	bin/tranzit bench goals $(GOALS)

bench-dialects: build ## one authorization in each dialect, beside the fastest
	bin/tranzit bench dialects

microbench: ## the Go benchmarks for benchstat; BENCH selects by name, COUNT repeats
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) ./...

clean: ## remove what the build made
	rm -rf bin
