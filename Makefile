# Every command that people and CI run. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN := node_modules/.bin
FORGE := $(BIN)/forge
# npm writes this file last: newer than the lockfile means that what is locked is installed.
INSTALLED := node_modules/.package-lock.json
CLAWPAY := target/debug/clawpay
# What `make fresh` makes anew.
GENERATED := contracts/abi tests/vectors snapshots .sqlx crates/api/openapi.json
# Faster where it is installed; plain cargo runs the same tests.
NEXTEST := $(shell cargo nextest --version >/dev/null 2>&1 && echo yes)
# Modules of tests/e2e whose tests need a program that no registry has, where it is missing.
LEFT_OUT := $(shell command -v pgbouncer >/dev/null 2>&1 || echo api::pooler; command -v nginx >/dev/null 2>&1 || echo api::behind_nginx operations::rolling_restart; \
	command -v bwrap >/dev/null 2>&1 || echo operations::image; command -v systemd-analyze >/dev/null 2>&1 || echo operations::units)
CARGO_DENY := target/tools/bin/cargo-deny
CARGO_DENY_VERSION := 0.20.2
# halmos and slither, written when all of them are installed.
VENV := target/tools/venv
PYTHON_TOOLS := $(VENV)/.installed
# openapi-spec-validator, schemathesis, and pgbench.
API_VENV := target/tools/api-venv
API_TOOLS := $(API_VENV)/.installed
# What generates clients from the API's description, and what they run on.
CLIENT_VENV := target/tools/client-venv
CLIENT_TOOLS := $(CLIENT_VENV)/.installed
CLIENTS := tests/clients
CLIENTS_INSTALLED := $(CLIENTS)/node_modules/.package-lock.json
CLIENTS_COMPILED := $(CLIENTS)/compiled/.made
# The Python libraries by which wallets sign.
WALLET_VENV := target/tools/wallet-venv
WALLET_TOOLS := $(WALLET_VENV)/.installed

.PHONY: help up demo test install test-contracts build-rust test-rust try-api try-clients try-clients-deep test-deep crowds mutants coverage symbolic slither evidence check fresh gas bench bench-index bench-api bench-scale dist clean

help: ## List these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

up: $(INSTALLED) ## Start the local stack: chain, database, indexer, API, demo market
	cargo build --package clawpay-cli
	exec $(CLAWPAY) up

demo: $(INSTALLED) ## Play two runs, one paid and one slashed, and check every balance
	cargo run --quiet --package clawpay-tests --bin demo

# The compiler of the crates and that of the contracts keep out of each other's way. A part that is to be run as well is named here.
test: ## Run every test: contracts, crates, end to end, the API by its description and by generated clients; and say how long each part took
	@MAKE="$(MAKE)" tools/parts install 'test-contracts&' build-rust wait test-rust try-api try-clients

install: $(INSTALLED)

test-contracts: $(INSTALLED) ## Run the contracts' unit, fuzz, vector and invariant tests, and compare their gas
	$(FORGE) test
	tools/gas --check

# The end-to-end tests start the binary, which cargo builds only for the package it belongs to.
build-rust: $(INSTALLED)
	cargo build --workspace --all-targets

test-rust: build-rust $(WALLET_TOOLS) ## Run the crates' and the end-to-end tests
	@$(foreach module,$(LEFT_OUT),echo "left out: the tests of $(module), whose program is not installed";)
ifeq ($(NEXTEST),yes)
	cargo nextest run --workspace --no-fail-fast --run-ignored all $(if $(LEFT_OUT),-E 'not ($(call or_all,$(LEFT_OUT)))')
else
	cargo test --workspace --no-fail-fast -- --include-ignored $(LEFT_OUT:%=--skip %::)
endif

# Arguments of schemathesis: how long it goes on.
TRY_API ?= --max-time 120
try-api: $(INSTALLED) $(API_TOOLS) ## Try every path of the API with made-up requests, by its own description
	cargo build --quiet --package clawpay-tests --bin try_api
	target/debug/try_api $(TRY_API)

try-clients: $(INSTALLED) $(CLIENTS_COMPILED) ## Play a run by each client that is generated from the API's description
	cargo build --quiet --package clawpay-tests --bin try_clients
	target/debug/try_clients

try-clients-deep: $(CLIENT_TOOLS) ## Generate and compile the clients of more languages
	tools/clients deep

test-deep: $(INSTALLED) ## Run the tests with many more random cases, and every long check of the contracts
	FOUNDRY_PROFILE=deep $(FORGE) test
	$(MAKE) mutants symbolic slither coverage
	PROPTEST_CASES=20000 INDEXER_KILLS=200 CLAWPAY_SIMULATION_SEEDS=3000 $(MAKE) test-rust
	$(MAKE) try-clients-deep
	tools/dist --twice
	$(MAKE) try-api TRY_API="--max-time 1800 --max-examples 1000 --seed $$RANDOM"
	$(MAKE) crowds

crowds: $(INSTALLED) ## Crowd the API from one address with thousands of connections, and see what becomes of another's requests
	cargo build --quiet --release --package clawpay-cli --package clawpay-tests --bin clawpay --bin crowds
	@target/release/crowds

mutants: $(INSTALLED) ## Break the contracts in a thousand places, one at a time, and see that a test notices
	nice tools/mutants

coverage: $(INSTALLED) ## Measure what of the contracts the unit tests reach; all of it must be
	tools/coverage

symbolic: $(INSTALLED) $(PYTHON_TOOLS) ## Prove the contracts' money arithmetic and main properties over all values
	tools/symbolic

slither: $(INSTALLED) $(PYTHON_TOOLS) ## Analyse the contracts statically
	tools/slither

evidence: $(INSTALLED) $(PYTHON_TOOLS) ## Run the four above and gas, and write their figures to contracts/test/FIGURES.md
	nice tools/evidence

check: $(INSTALLED) $(CARGO_DENY) $(API_TOOLS) ## Check formatting, lints, layers, licences, the API's description
	$(FORGE) fmt --check
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- --deny warnings
	tools/layers --self-test
	tools/layers
	tools/named-tests
	$(API_VENV)/bin/openapi-spec-validator crates/api/openapi.json
	$(CARGO_DENY) check bans licenses sources

fresh: $(INSTALLED) ## Regenerate what is generated, and fail if anything differs from what is committed
	tools/abi
	cargo run --quiet --package clawpay-domain --example vectors
	tools/gas >/dev/null
	cargo run --quiet --package clawpay-api --example openapi
	tools/sqlx
	@changed=$$(git status --porcelain -- $(GENERATED)); \
	if [ -n "$$changed" ]; then git diff --stat -- $(GENERATED); echo "$$changed"; echo "generated files were stale; commit them"; exit 1; fi

gas: $(INSTALLED) ## Measure the gas of each verb beside its peers, and the contracts' sizes, one JSON line each
	@tools/gas

bench: gas bench-index bench-api ## Print every benchmark's figures

# The indexer is measured as it is shipped, in a process of its own.
bench-index: $(INSTALLED) ## Measure the indexer beside what node and database allow, one JSON line each
	cargo build --quiet --release --package clawpay-cli --package clawpay-tests --bin clawpay --bin bench_index
	@target/release/bench_index

# The API likewise.
bench-api: $(INSTALLED) $(API_TOOLS) ## Measure the API at a million runs beside what its SQL and HTTP allow, one JSON line each
	cargo build --quiet --release --package clawpay-cli --package clawpay-tests --bin clawpay --bin bench_api
	@target/release/bench_api

# Needs some 30 GB of disk.
bench-scale: $(INSTALLED) ## The same at ten million runs and twenty million events
	cargo build --quiet --release --package clawpay-cli --package clawpay-tests --bin clawpay --bin bench_api
	@target/release/bench_api 10000000 5 events

dist: ## Build the program that is shipped, stripped and with its checksum, in target/dist
	tools/dist

clean: ## Remove what was built; the local stack's data stays
	rm -rf target node_modules $(CLIENTS)/node_modules $(CLIENTS)/generated $(CLIENTS)/compiled

$(INSTALLED): package.json package-lock.json
	npm ci --no-audit --no-fund
	@touch $@

$(PYTHON_TOOLS): tools/requirements.txt
	$(call venv,$(VENV),$<)

$(CLIENT_TOOLS): tools/client-requirements.txt
	$(call venv,$(CLIENT_VENV),$<)

$(CLIENTS_INSTALLED): $(CLIENTS)/package.json $(CLIENTS)/package-lock.json
	npm ci --prefix $(CLIENTS) --no-audit --no-fund --ignore-scripts
	@touch $@

$(CLIENTS_COMPILED): tools/clients crates/api/openapi.json $(wildcard $(CLIENTS)/*.ts $(CLIENTS)/*.json $(CLIENTS)/*.cjs) $(CLIENTS_INSTALLED) $(CLIENT_TOOLS)
	tools/clients
	@touch $@

$(API_TOOLS): tools/api-requirements.txt
	$(call venv,$(API_VENV),$<)

$(WALLET_TOOLS): tools/wallet-requirements.txt
	$(call venv,$(WALLET_VENV),$<)

# A filter of nextest's for the tests of several modules.
empty :=
or_all = $(subst $(empty) $(empty), or ,${1:%=test(%::)})

# Makes a Python environment of its own with what a file lists.
define venv
@command -v python3 >/dev/null || { echo "this needs Python 3.11 or later: install python3 and python3-venv"; exit 1; }
rm -rf $(1)
python3 -m venv $(1) || virtualenv $(1) || { echo "python3 has no venv: install python3-venv or virtualenv"; exit 1; }
$(1)/bin/pip install --quiet --disable-pip-version-check --requirement $(2)
@touch $(1)/.installed
endef

$(CARGO_DENY):
	cargo install --locked --quiet --root target/tools --version $(CARGO_DENY_VERSION) cargo-deny
