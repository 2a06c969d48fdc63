# Targets are verbs; CI (.ci/run) calls the same ones. Needs Go, git, make, gcc, g++ and node.

GO      ?= go
BIN     := bin/trailward
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
TOOLS   := $(CURDIR)/.tools
STATICCHECK := $(TOOLS)/staticcheck-v0.8.2

.DEFAULT_GOAL := help
.PHONY: help build test unit e2e e2e-kube nightly demo compat lint fuzz bench generate clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/trailward
	$(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $(BIN) ./cmd/trailward

demo: build ## build, then show it all on sample data
	$(BIN) demo

test: ## everything that CI runs
	.ci/run

unit: ## the tests of all packages, without the end-to-end ones
	$(GO) test $$($(GO) list ./... | grep -v '/test$$')

e2e: build ## the tests of the whole binary
	TRAILWARD_BIN=$(CURDIR)/$(BIN) $(GO) test -count=1 ./test/...

e2e-kube: build ## the test with a real Kubernetes API server, which is built first (cold: 10 minutes)
	test/kube/binaries build || echo "the control plane could not be built: the test will be skipped"
	TRAILWARD_BIN=$(CURDIR)/$(BIN) TRAILWARD_KUBE_BIN="$$(test/kube/binaries dir)" $(GO) test -count=1 -v -timeout 15m -run '^TestKubernetes$$' ./test

# docs/keeping.md says what each number is of.
nightly: build ## the fault tests at their full size (hours on two cores)
	FAULT_KILLS=$(or $(FAULT_KILLS),200) FAULT_SEEDS=$(or $(FAULT_SEEDS),10000) FAULT_FLIPS=$(or $(FAULT_FLIPS),500) FAULT_BITS=$(or $(FAULT_BITS),1000000) \
	FAULT_OVERLOAD=$(or $(FAULT_OVERLOAD),5000) FAULT_NOISY=$(or $(FAULT_NOISY),1000) TRAILWARD_BIN=$(CURDIR)/$(BIN) \
	$(GO) test -v -count=1 -timeout 12h ./test ./test/judge ./store ./store/wal ./store/ledger ./store/verifier ./internal/vfs/...

compat: build ## write test/testdata/compat/NEWEST anew: a data directory as this version leaves it
	TRAILWARD_BIN=$(CURDIR)/$(BIN) $(GO) test -count=1 -v -run '^TestCompat$$' ./test -compat

lint: $(STATICCHECK) ## gofmt, go vet, staticcheck
	@out="$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go'))"; if [ -n "$$out" ]; then echo "gofmt is needed on:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(STATICCHECK) ./...

$(STATICCHECK):
	@mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) $(GO) install honnef.co/go/tools/cmd/staticcheck@v0.8.2
	mv $(TOOLS)/staticcheck $@

fuzz: ## every fuzz target for FUZZTIME (default 30s)
	.ci/fuzz $(or $(FUZZTIME),30s)

bench: ## every benchmark, one package after the other
	$(GO) test -run '^$$' -bench . -benchmem -p 1 $$($(GO) list ./... | grep -v '/test$$')

generate: ## write again what is generated (sample data)
	$(GO) generate ./...

clean: ## remove what was built
	rm -rf bin .tools
