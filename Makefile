# What a person runs from a checkout. Each target sets up .venv first, once and again when pyproject.toml changes.

PYTHON ?= python3
DATA ?= data
SCANS ?=
VENV := .venv
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help prerequisites setup run watch lint test

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup ## everything on this machine, over the scans in SCANS=folder (without it: a sample archive), DATA=data
	@$(VENV)/bin/facestream run $(if $(SCANS),'$(SCANS)') --data '$(DATA)'

watch: setup ## the same for whatever is put into SCANS=folder, until Ctrl-C
	@$(if $(SCANS),,$(error make watch needs the folder to watch: make watch SCANS=folder))
	@$(VENV)/bin/facestream watch '$(SCANS)' --data '$(DATA)'

test: lint ## all checks and tests
	$(VENV)/bin/pytest --numprocesses logical --maxprocesses 4 --dist worksteal

lint: setup ## style, types, who imports whom, the compose file
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

setup: $(INSTALLED) ## .venv with everything in it

prerequisites:
	@PYTHON='$(PYTHON)' deploy/prerequisites.sh

$(INSTALLED): pyproject.toml | prerequisites
	@echo "facestream: setting up $(VENV), once"
	@$(VENV)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	@# Quiet about an editable install of plain top-level packages, which is meant.
	@PYTHONWARNINGS=ignore $(VENV)/bin/python -m pip install --quiet --editable . --group dev --group sample
	@touch $@
