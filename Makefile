# The two commands of the README. Each makes a virtual environment in .venv and
# installs what it needs; PYTHON chooses the interpreter.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
TESTS ?=

.PHONY: demo test lint bench clean

demo: .venv/.demo
	@$(BIN)/kbackup demo

test: .venv/.test
	$(BIN)/python -m pytest $(TESTS)

lint: .venv/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/interrogate --quiet tests
	$(BIN)/codespell src tests docs examples benchmarks README.md

clean:
	rm -rf .venv build dist

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"

.venv/.demo: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[simulator]"
	@touch $@

.venv/.test: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable . --group test
	@touch $@

.venv/.lint: pyproject.toml | .venv/.test
	$(BIN)/python -m pip install --quiet --group lint
	@touch $@
