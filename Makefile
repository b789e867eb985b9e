# Every command that people and CI run. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN := node_modules/.bin
FORGE := $(BIN)/forge
# npm writes this file last: newer than the lockfile means that what is locked is installed.
INSTALLED := node_modules/.package-lock.json
CLAWPAY := target/debug/clawpay
# Faster where it is installed; plain cargo runs the same tests.
NEXTEST := $(shell cargo nextest --version >/dev/null 2>&1 && echo yes)
CARGO_DENY := target/tools/bin/cargo-deny
CARGO_DENY_VERSION := 0.20.2

.PHONY: help up demo test test-contracts test-rust test-deep check fresh gas bench bench-index clean

help: ## List these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

up: $(INSTALLED) ## Start the local stack: chain, database, indexer, API, demo market
	cargo build --package clawpay-cli
	exec $(CLAWPAY) up

demo: $(INSTALLED) ## Play two runs, one paid and one slashed, and check every balance
	cargo run --quiet --package clawpay-tests --bin demo

test: test-contracts test-rust ## Run every test: contracts, crates, end to end

test-contracts: $(INSTALLED) ## Run the contracts' unit, fuzz and vector tests
	$(FORGE) test

# The end-to-end tests start the binary, which cargo builds only for the package it belongs to.
test-rust: $(INSTALLED) ## Run the crates' and the end-to-end tests
	cargo build --workspace --all-targets
ifeq ($(NEXTEST),yes)
	cargo nextest run --workspace --no-fail-fast
else
	cargo test --workspace --no-fail-fast
endif

test-deep: $(INSTALLED) ## Run the tests with many more random cases
	FOUNDRY_PROFILE=deep $(FORGE) test
	PROPTEST_CASES=20000 INDEXER_KILLS=200 CLAWPAY_SIMULATION_SEEDS=3000 $(MAKE) test-rust

check: $(INSTALLED) $(CARGO_DENY) ## Check formatting, lints, layers, licences
	$(FORGE) fmt --check
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- --deny warnings
	tools/layers
	$(CARGO_DENY) check bans licenses sources

fresh: $(INSTALLED) ## Regenerate what is generated, and fail if anything differs from what is committed
	tools/abi
	cargo run --quiet --package clawpay-domain --example vectors
	tools/gas >/dev/null
	tools/sqlx
	@changed=$$(git status --porcelain -- contracts/abi tests/vectors snapshots .sqlx); \
	if [ -n "$$changed" ]; then git diff --stat -- contracts/abi tests/vectors snapshots .sqlx; echo "$$changed"; echo "generated files were stale; commit them"; exit 1; fi

gas: $(INSTALLED) ## Measure the gas of each verb, one JSON line each
	@tools/gas

bench: gas bench-index ## Print every benchmark's figures

# The indexer is measured as it is shipped, in a process of its own.
bench-index: $(INSTALLED) ## Measure the indexer beside what node and database allow, one JSON line each
	cargo build --quiet --release --package clawpay-cli --package clawpay-tests --bins
	@target/release/bench_index

clean: ## Remove what was built; the local stack's data stays
	rm -rf target node_modules

$(INSTALLED): package.json package-lock.json
	npm ci --no-audit --no-fund
	@touch $@

$(CARGO_DENY):
	cargo install --locked --quiet --root target/tools --version $(CARGO_DENY_VERSION) cargo-deny
