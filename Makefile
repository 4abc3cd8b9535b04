# One file of commands. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# Compiled modules are what makes the second start fast; some machines switch them off for every process.
unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONPATH
unexport VIRTUAL_ENV

.PHONY: help
help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: venv
venv: $(INSTALLED) ## Install both distributions and the development tools into .venv

# uv only makes it faster; where it cannot reach the registry that pip is configured for, pip does the same.
$(INSTALLED): requirements-dev.lock sdk_python/pyproject.toml server/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Crosswind needs Python 3.11 or newer; name one with make PYTHON=...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (once; a minute or two on a slow line)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^uv==' requirements-dev.lock)"
	@install() { $(BIN)/uv pip install --quiet --python $(BIN)/python "$$@" \
		|| $(BIN)/python -m pip install --quiet --disable-pip-version-check "$$@"; }; \
	install -r requirements-dev.lock; \
	install --no-deps --no-build-isolation -e ./sdk_python -e ./server
	@$(BIN)/python -m compileall -q $(VENV)/lib >/dev/null || true
	@touch $@
