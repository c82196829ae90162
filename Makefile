# The two commands: `make run` starts the demo, `make test` runs every check.

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
PWA_SOURCES := $(shell find pwa/src pwa/public core/eigenkring -type f \( -path 'pwa/*' -o -name '*.json' \) 2>/dev/null)

# What `make run` starts; this is the one line to change.
RUN := $(BIN)/eigenkring demo --serve --data .demo --port 8300

# Some shells forbid it: then each of the hundreds of Python processes of a run compiles all it imports anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup browsers run test test-long mutations lint format types mypy svelte-check unit vitest browser vectors pwa \
  wheel reference bench lock clean

setup: .stamps/python .stamps/node

browsers:
	@tools/setup.sh browsers

run: setup pwa
	$(RUN)

# One after the other, also under `make -j`, but for what only downloads and what only reads; pytest closes.
test:
	$(MAKE) --no-print-directory -j 3 --output-sync=target setup browsers
	$(MAKE) --no-print-directory -j 2 --output-sync=target types lint vectors
	$(MAKE) --no-print-directory unit
	$(MAKE) --no-print-directory vitest
	$(MAKE) --no-print-directory pwa
	$(MAKE) --no-print-directory browser

# What takes minutes; then every test that makes its own examples, with others than those of `make test`, which are the same
# in every run.
test-long: export EIGENKRING_EXAMPLES := fresh
test-long: pwa browsers
	$(PYTEST) -m long --timeout 3600
	$(PYTEST) -n 2 -m "hypothesis and not long" --ignore tests/browser --timeout 3600
	cd pwa && npx vitest run crypto document inflate packed part

# Takes each defence out in turn, in a copy of the tree, and asks that its test goes red; then each guard of the pure
# rules in both languages, an hour or two.
mutations: setup
	$(BIN)/python tests/mutations.py
	$(BIN)/python tests/mutations.py --guards

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd pwa && npm run --silent lint

format: setup
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	cd pwa && npm run --silent format

types: mypy svelte-check

mypy: setup
	$(BIN)/mypy

svelte-check: setup
	cd pwa && npm run --silent check

unit: setup
	$(PYTEST) -n 2 --durations 30 -m "not browser and not long" --ignore tests/browser

vitest: setup
	cd pwa && npm run --silent test

# tests/test_conftest.py asks that these are where all of them lie: to collect the others takes longer than a test.
browser: pwa browsers
	$(PYTEST) -n 2 --dist loadfile --no-loadscope-reorder --durations 10 -m "browser and not long" tests/browser tests/test_*.py

# The vectors in git are what the generator writes: no difference, nothing new.
vectors: setup
	@if [ -d tests/vectors ]; then \
	  set -e; $(BIN)/python tests/vectors/generate.py; \
	  git diff --exit-code --stat -- tests/vectors; \
	  new=$$(git ls-files --others --exclude-standard -- tests/vectors); \
	  if [ -n "$$new" ]; then echo "vectors: not in git: $$new" >&2; exit 1; fi; \
	fi

pwa: setup pwa/dist/index.html

pwa/dist/index.html: .stamps/node pwa/index.html $(wildcard pwa/vite.*.ts) pwa/svelte.config.js $(PWA_SOURCES)
	cd pwa && npm run --silent build
	@touch $@

# dist/*.whl: whoever installs it needs no Node.
wheel: pwa
	tools/wheel.sh dist

# dist/reference/index.html: every public name of the library, from its docstrings.
reference: setup
	$(BIN)/python tools/reference.py dist/reference

bench: setup
	$(BIN)/python bench/run.py

lock: setup
	UPGRADE=$(UPGRADE) tools/lock.sh

.stamps/python: requirements-dev.lock pyproject.toml tools/setup.sh tools/pip-env.sh
	@tools/setup.sh python
	@mkdir -p .stamps && touch $@

.stamps/node: pwa/package-lock.json pwa/package.json
	@tools/setup.sh node
	@mkdir -p .stamps && touch $@

# Leaves .demo alone: it may hold something you typed.
clean:
	rm -rf .venv .tools .stamps pwa/node_modules pwa/dist .hypothesis .pytest_cache .mypy_cache .ruff_cache test-results
