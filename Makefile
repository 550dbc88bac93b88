# `make demo` shows the main job; `make test` runs every test. Both set themselves up first.
# uv is used where it is on the PATH, else `python3 -m venv` and pip; both install exactly constraints.txt.

PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
UV     := $(shell command -v uv 2>/dev/null)

export PIP_DISABLE_PIP_VERSION_CHECK = 1
export UV_NO_PROGRESS = 1

.PHONY: help demo test lint benchmark soak fuzz encoder lock clean

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/installed ## the main job, on made-up mail; ARGS=--keep leaves it running
	@$(BIN)/mailbot demo $(ARGS)

test: $(VENV)/installed ## every test; ARGS="-k name" for some
	$(BIN)/pytest -n auto $(ARGS)

lint: $(VENV)/installed ## style, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

benchmark: $(VENV)/installed ## speed, memory and how good the classifier is (some minutes)
	$(BIN)/python -m benchmarks.intake
	$(BIN)/python -m benchmarks.peers
	$(BIN)/python -m benchmarks.latency
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.classification
	$(BIN)/python -m benchmarks.speed

soak: $(VENV)/installed ## 20,000 mails in ten minutes of random faults; prints what became of them
	$(BIN)/python -m benchmarks.soak $(ARGS)

fuzz: $(VENV)/installed ## mutated mails into reading, for five minutes; writes what it finds to fuzz/
	$(BIN)/python -m benchmarks.fuzz $(ARGS)

encoder: ## builds the encoder that ships, anew (an hour, needs torch)
	$(PYTHON) -m venv .venv-encoder
	.venv-encoder/bin/python -m pip install --quiet --upgrade pip
	.venv-encoder/bin/python -m pip install --quiet --group encoder --editable .
	.venv-encoder/bin/python -m mailbot.build_encoder
	$(BIN)/python -m benchmarks.classification --write

lock: ## writes constraints.txt anew from pyproject.toml (needs uv)
	uv pip compile --quiet --universal --generate-hashes --all-extras --group dev --no-header --no-annotate \
		--python-version 3.11 --output-file constraints.txt pyproject.toml

clean: ## removes what was installed and made here
	rm -rf $(VENV) .venv-encoder demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/installed: constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "mailbot needs Python 3.11 to 3.13; name one: make PYTHON=python3.12" >&2; exit 2; }
	@echo "Installing into $(VENV), once …"
ifdef UV
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	@VIRTUAL_ENV=$(VENV) $(UV) pip sync --quiet --require-hashes constraints.txt
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --no-build-isolation --editable .
else
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "python3 -m venv failed; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement constraints.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
endif
	@touch $@
