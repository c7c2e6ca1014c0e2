# The commands of a checkout. Each target sets up .venv first, once, and again when pyproject.toml or the lock changes.

PYTHON ?= python3
DATA ?= data
SCANS ?=
VENV := .venv
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help prerequisites browser setup run watch lint test test-fast docs lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup ## everything on this machine, over the scans in SCANS=folder (without it: a sample archive), DATA=data
	@$(VENV)/bin/facestream run $(if $(SCANS),'$(SCANS)') --data '$(DATA)'

watch: setup ## the same for whatever is put into SCANS=folder, until Ctrl-C
	@$(if $(SCANS),,$(error make watch needs the folder to watch: make watch SCANS=folder))
	@$(VENV)/bin/facestream watch '$(SCANS)' --data '$(DATA)'

test: lint browser ## all checks and tests
	$(VENV)/bin/pytest --numprocesses logical --maxprocesses 4 --dist worksteal

test-fast: setup ## the tests without broker, database, processes, weights and data, in under a minute
	$(VENV)/bin/pytest --numprocesses logical --dist worksteal \
		-m 'not broker and not database and not browser and not weights and not process and not data and not slow'

lint: docs ## style, types, import rules, the compose file, the documentation
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

docs: setup ## the documentation as a site, in site/
	@# The variable silences a notice at each build: Material for MkDocs ends in May 2027, its successor Zensical reads mkdocs.yml.
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict

setup: $(INSTALLED) ## .venv with everything in it, as locked

# By uv, since pip's own lock file (pylock.toml) is for one platform and names the host of each file, as uv.lock does.
# These name neither, are for all platforms, and are installed with plain pip. Three, as pip has no groups in a file:
# the product, the product with all that development needs, and what must be there before packages without wheels.
lock: setup ## pins in requirements/ what pyproject.toml asks for; UPGRADE=1 takes the newest of everything
	$(LOCK) pyproject.toml --group dev --group sample --output-file requirements/dev.txt
	$(LOCK) pyproject.toml --constraints requirements/dev.txt --output-file requirements/product.txt
	$(LOCK) --group build --constraints requirements/dev.txt --output-file requirements/build.txt

LOCK = $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras \
	--custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)

prerequisites:
	@PYTHON='$(PYTHON)' deploy/prerequisites.sh

browser:
	@deploy/prerequisites.sh browser

$(INSTALLED): pyproject.toml requirements/build.txt requirements/dev.txt | prerequisites
	@echo "facestream: setting up $(VENV), once"
	@$(VENV)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --require-hashes --requirement requirements/build.txt
	@$(VENV)/bin/python -m pip install --quiet --require-hashes --no-build-isolation --requirement requirements/dev.txt
	@# Quiet about an editable install of plain top-level packages, which is meant.
	@PYTHONWARNINGS=ignore $(VENV)/bin/python -m pip install --quiet --no-build-isolation --no-deps --editable .
	@touch $@
