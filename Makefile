# The commands of a checkout. Each target sets up .venv first, once, and again when pyproject.toml or the lock changes.

PYTHON ?= python3
DATA ?= data
SCANS ?=
N ?= 30
SEED ?= 1
KILLS ?=
VENV := .venv
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help prerequisites browser tools setup run watch lint test pytest test-fast chaos audit contract docs lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup ## everything on this machine, over the scans in SCANS=folder (without it: a sample archive), DATA=data
	@$(VENV)/bin/facestream run $(if $(SCANS),'$(SCANS)') --data '$(DATA)'

watch: setup ## the same for whatever is put into SCANS=folder, until Ctrl-C
	@$(if $(SCANS),,$(error make watch needs the folder to watch: make watch SCANS=folder))
	@$(VENV)/bin/facestream watch '$(SCANS)' --data '$(DATA)'

test: lint pytest ## all checks and tests; --jobs 2 does both at once

# One process more than there are cores: a third of the time tests wait for what they have started.
pytest: setup browser tools
	$(VENV)/bin/pytest --numprocesses $$(($$(nproc) + 1)) --maxprocesses 4 --dist worksteal

test-fast: setup ## the tests without broker, database, processes, weights and data, in under a minute
	$(VENV)/bin/pytest --numprocesses logical --dist worksteal \
		-m 'not broker and not database and not browser and not weights and not process and not data and not slow'

chaos: setup ## kills (KILLS=1: only that), stops and cuts off the whole system N=30 times, SEED=1, and compares it with an undisturbed run
	$(VENV)/bin/python -m tests.chaos --faults $(N) --seed $(SEED) $(if $(KILLS),--kills)

contract: setup ## what others rely on, recorded as it is now: docs/contract/, docs/settings.md, tests/contract/recorded/
	$(VENV)/bin/python -m schemas.contract docs/contract
	$(VENV)/bin/python -m settings.documented docs/settings.md
	$(VENV)/bin/python -m tests.contract.test_recorded

audit: setup ## whether a locked package has a known vulnerability, by osv.dev
	$(VENV)/bin/python -m deploy.known_vulnerabilities

lint: docs ## style, types, import rules, the compose file, the documentation
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml deploy/kafka/hosts.yml

docs: setup ## the documentation as a site, in site/
	@# The variable silences a notice at each build: Material for MkDocs ends in May 2027, its successor Zensical reads mkdocs.yml.
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict

setup: $(INSTALLED) ## .venv with everything in it, as locked

# By uv, since pip's own lock file (pylock.toml) is for one platform and names the host of each file, as uv.lock does.
# These name neither, are for all platforms, and are installed with plain pip. Four, as pip has no groups in a file:
# the product, the product with all that development needs, what must be there before packages without wheels, and what
# a GPU needs in place of onnxruntime.
lock: setup ## pins in requirements/ what pyproject.toml asks for; UPGRADE=1 takes the newest of everything
	$(LOCK) pyproject.toml --group dev --group sample --output-file requirements/dev.txt
	$(LOCK) pyproject.toml --constraints requirements/dev.txt --output-file requirements/product.txt
	$(LOCK) --group build --constraints requirements/dev.txt --output-file requirements/build.txt
	$(LOCK) --group gpu --constraints requirements/dev.txt --output-file requirements/gpu.txt

LOCK = $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras \
	--custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)

prerequisites:
	@PYTHON='$(PYTHON)' deploy/prerequisites.sh

browser: | prerequisites
	@deploy/prerequisites.sh browser

# AsyncAPI's own validator, as locked. Scripts of its packages are not run: the only one reports the installation. After
# `browser`, since two of them cannot install packages at once.
tools: | prerequisites browser
	@deploy/prerequisites.sh tools
	@! command -v npm >/dev/null || $(MAKE) --no-print-directory $(ASYNCAPI)/node_modules/.package-lock.json

ASYNCAPI := .tools/asyncapi

$(ASYNCAPI)/node_modules/.package-lock.json: tests/contract/validator/package-lock.json
	@mkdir -p $(ASYNCAPI)
	@cp tests/contract/validator/package.json tests/contract/validator/package-lock.json $(ASYNCAPI)
	@cd $(ASYNCAPI) && { npm ci --ignore-scripts --no-audit --no-fund --loglevel error && touch node_modules/.package-lock.json || \
		{ rm -rf node_modules; test -z "$$CI" && echo "facestream: no validator of AsyncAPI, so its tests are skipped" >&2; }; }

$(INSTALLED): pyproject.toml requirements/build.txt requirements/dev.txt | prerequisites
	@echo "facestream: setting up $(VENV), once"
	@$(VENV)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --require-hashes --requirement requirements/build.txt
	@$(VENV)/bin/python -m pip install --quiet --require-hashes --no-build-isolation --requirement requirements/dev.txt
	@# Quiet about an editable install of plain top-level packages, which is meant.
	@PYTHONWARNINGS=ignore $(VENV)/bin/python -m pip install --quiet --no-build-isolation --no-deps --editable .
	@touch $@
