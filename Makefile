# Two commands do everything on a fresh machine: `make up` and `make test`.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The stamp is newer than the lock once its wheels are installed.
$(VENV)/installed: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name it: make PYTHON=python3.11 …" >&2; exit 1; }
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --require-hashes -r requirements.lock
	touch $@

# `make up WORKERS=4 NODES=3 OBSERVE=1`; without them, what was there before or the defaults.
STACK := $(if $(WORKERS),BISTRO92_WORKERS=$(WORKERS)) $(if $(NODES),BISTRO92_NODES=$(NODES)) \
  $(if $(OBSERVE),BISTRO92_OBSERVE=$(OBSERVE)) $(PY) -m app

.PHONY: up down status clean
up: $(VENV)/installed ## install what is missing, start everything, wait until it answers; WORKERS=n NODES=1|3 OBSERVE=1
	@$(STACK) up

down: $(VENV)/installed ## stop everything; the state stays
	@$(STACK) down

status: $(VENV)/installed ## what runs, and whether it is ready
	@$(STACK) status

clean: $(VENV)/installed ## delete the state of a stack that is down
	@$(STACK) clean

.PHONY: test test-alone test-pages test-long test-stack test-shared test-own lint types layers
# Two kinds of tests at the same time: those on a stack wait more than they work.
SIDE_BY_SIDE = @$(MAKE) --jobs=2 --output-sync=target --no-print-directory
test: lint types layers ## lint, types, layers and all tests, those on a stack on some of their own
	$(SIDE_BY_SIDE) test-alone test-shared test-own

test-alone: $(VENV)/installed ## the tests that need no servers
	$(PY) -m pytest -p no:cacheprovider -m "not stack and (short or not pages)"

test-pages: $(VENV)/installed ## every case of the pages in a browser, some minutes; the gate takes the main ones
	$(PY) -m pytest -p no:cacheprovider -m pages

test-stack: ## the tests on real servers
	$(SIDE_BY_SIDE) test-shared test-own

test-shared: $(VENV)/installed ## those of them on the one stack that most share
	$(PY) -m pytest -m "stack and not own_stack and not long"

test-own: $(VENV)/installed ## those that need stacks of their own
	$(PY) -m pytest -m "own_stack and not long"

test-long: $(VENV)/installed ## what takes long on real servers, and the gate leaves out
	$(PY) -m pytest -m long

lint: $(VENV)/installed ## style and likely mistakes
	$(VENV)/bin/ruff check --config config/ruff.toml .
	$(VENV)/bin/ruff format --config config/ruff.toml --check .

types: $(VENV)/installed ## strict types
	$(VENV)/bin/mypy

layers: $(VENV)/installed ## imports point down
	$(VENV)/bin/lint-imports --config setup.cfg

.PHONY: format lock
format: $(VENV)/installed ## put the code into its form
	$(VENV)/bin/ruff check --config config/ruff.toml --fix --quiet . ; $(VENV)/bin/ruff format --config config/ruff.toml .

lock: $(VENV)/installed ## pin the newest versions that setup.cfg allows
	$(PY) -m pip install --quiet uv
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 setup.cfg --all-extras --no-emit-index-url \
	  --generate-hashes --upgrade --custom-compile-command "make lock" -o requirements.lock
