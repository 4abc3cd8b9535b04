# One file of commands. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
CODEGEN_VENV := build/codegen-venv
CODEGEN_INSTALLED := $(CODEGEN_VENV)/.installed
SNAPSHOT := proto/released/provisional.binpb
GO_MODULES := sdk_go tests/bench/go_bundle $(patsubst %/go.mod,%,$(wildcard examples/*/go/go.mod tests/compat/*/go.mod tests/compat/*/*/go.mod tests/e2e/*/go.mod tests/e2e/*/*/go.mod))
CHECKED := sdk_python/src server/src codegen tests $(wildcard examples)

# Compiled modules are what makes the second start fast; some machines switch them off for every process.
unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONPATH
unexport VIRTUAL_ENV

# Puts the Go to use first on the PATH, and brings one where there is none: codegen/go_toolchain.py decides.
use_go = go_folder=$$($(BIN)/python -m codegen.go_toolchain); export PATH="$$go_folder:$$PATH" GOTOOLCHAIN=local

# uv only makes it faster: where it cannot reach the registry that pip is configured for, pip does the same.
# $(call install,PYTHON,ARGUMENTS)
install = $(BIN)/uv pip install --quiet --python $(1) $(2) || $(1) -m pip install --quiet --disable-pip-version-check $(2)

.PHONY: help
help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: venv
venv: $(INSTALLED) ## Install both distributions and the development tools into .venv

$(INSTALLED): requirements-dev.lock sdk_python/pyproject.toml server/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Crosswind needs Python 3.11 or newer: name one with make PYTHON=...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV), once; this takes a minute or two on a slow line"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^uv==' requirements-dev.lock)"
	@$(call install,$(BIN)/python,-r requirements-dev.lock)
	@$(call install,$(BIN)/python,--no-deps --no-build-isolation -e ./sdk_python -e ./server)
	@$(BIN)/python -m compileall -q $(VENV)/lib > /dev/null || true # a package may ship templates that do not compile
	@touch $@

# The pinned generators have wheels for Python 3.11 to 3.13 only; the newest of those on the machine will do.
$(CODEGEN_INSTALLED): codegen/requirements.lock | $(INSTALLED)
	@python=$(BIN)/python; \
	if ! $$python -c 'import sys; sys.exit(sys.version_info >= (3, 14))'; then \
		python=$$(command -v python3.13 || command -v python3.12 || command -v python3.11) \
			|| { echo "The stub generators need Python 3.11, 3.12 or 3.13 beside a newer one: install one of them." >&2; exit 1; }; \
	fi; \
	$$python -m venv $(CODEGEN_VENV)
	@$(call install,$(CODEGEN_VENV)/bin/python,-r codegen/requirements.lock)
	@touch $@

.PHONY: lock
lock: $(INSTALLED) ## Resolve requirements-dev.in and codegen/requirements.in into their lock files
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-annotate \
		--no-emit-package crosswind-sdk --no-emit-package crosswind-server requirements-dev.in -o requirements-dev.lock
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-annotate \
		codegen/requirements.in -o codegen/requirements.lock

.PHONY: gen
gen: $(INSTALLED) $(CODEGEN_INSTALLED) ## Generate the stubs of every language from proto/, and docs/versions.md
	@$(BIN)/python -m codegen.generate
	@$(BIN)/python -m codegen.compat

.PHONY: gen-check
gen-check: $(INSTALLED) $(CODEGEN_INSTALLED) ## Fail if the committed stubs are not what proto/ generates
	@$(BIN)/python -m codegen.generate --check

.PHONY: proto-check
proto-check: $(INSTALLED) ## Lint proto/, check its format, and compare it with the committed provisional image
	@$(BIN)/buf lint
	@$(BIN)/buf format --diff --exit-code
	@if [ -e $(SNAPSHOT) ]; then $(BIN)/buf breaking --against $(SNAPSHOT); fi
	@echo "protos are linted, formatted and compatible"

.PHONY: versions-check
versions-check: $(INSTALLED) ## Fail if API versions differ in what no option and no change covers
	@$(BIN)/python -m codegen.compat --check

.PHONY: proto-snapshot
proto-snapshot: $(INSTALLED) ## Write the provisional image that proto-check compares with
	@mkdir -p $(dir $(SNAPSHOT))
	@$(BIN)/buf build --exclude-source-info -o $(SNAPSHOT)

.PHONY: release-api
release-api: $(INSTALLED) ## Freeze the newest API version: its snapshot, and what builds its artifacts again
	@$(BIN)/python -m codegen.release freeze

.PHONY: rebuild-release
rebuild-release: $(INSTALLED) ## Build the artifacts of a frozen API version: make rebuild-release VERSION=YYYY-MM-DD
	@$(BIN)/python -m codegen.release rebuild $(VERSION)

.PHONY: release-check
release-check: $(INSTALLED) # fail if a frozen API version is not what it was, or the protos changed without a new one
	@$(BIN)/python -m codegen.release check

.PHONY: next-version
next-version: $(INSTALLED) ## Begin the API version after the last frozen one: make next-version VERSION=YYYY-MM-DD
	@$(BIN)/python -m codegen.release next $(VERSION)

.PHONY: lint
lint: $(INSTALLED) ## Run ruff, mypy and the import contracts; gofmt, go vet and staticcheck
	@$(BIN)/ruff check --quiet $(CHECKED)
	@$(BIN)/ruff format --quiet --check $(CHECKED) || { echo "Run .venv/bin/ruff format $(CHECKED)" >&2; exit 1; }
	@$(BIN)/mypy $(CHECKED)
	@$(BIN)/lint-imports --no-logo
	@$(use_go); staticcheck=$$(go -C sdk_go tool -n staticcheck); unformatted=$$(gofmt -l $(GO_MODULES)); \
	if [ -n "$$unformatted" ]; then echo "Run gofmt -w on" $$unformatted >&2; exit 1; fi; \
	for module in $(GO_MODULES); do (cd $$module; go vet ./...; "$$staticcheck" ./...); done

.PHONY: test
test: gen-check proto-check versions-check release-check lint ## Run every check: protos, stubs, linters, import contracts, go test, pytest
	@# -count=1: tests read documents and build binaries that Go's cache of results does not know of
	@$(use_go); race=$$($(BIN)/python -m codegen.go_toolchain --race); \
	for module in $(GO_MODULES); do (cd $$module; go test $$race -count=1 ./...); done
	@$(use_go); $(BIN)/pytest -q tests/unit
	@# these wait more than they compute, so two files at a time take little more than half as long; the slowest come first
	@$(use_go); $(BIN)/pytest -q -n 2 --dist loadfile --no-loadscope-reorder tests/compat tests/e2e tests/lifecycle tests/store

.PHONY: demo
demo: $(INSTALLED) ## Run the flights pipeline on a server, a Python worker and a Go worker of its own
	@$(use_go); $(BIN)/python examples/flights/demo.py

.PHONY: bench
bench: $(INSTALLED) ## Measure; prints a table and writes build/bench/latest.json
	@mkdir -p build/bench
	@$(use_go); $(BIN)/python -m tests.bench

.PHONY: soak
soak: $(INSTALLED) ## Run what takes long: idle connections for an hour, random runs for minutes
	@$(use_go); $(BIN)/pytest -q -m soak --timeout=7200 tests/e2e tests/soak

.PHONY: clean
clean: ## Remove .venv, build/ and every cache
	@rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
