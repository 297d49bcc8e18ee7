# SPDX-License-Identifier: MIT
# `make` says what there is. Everything is installed into this folder, most of it into .venv; nothing outside it changes.

PYTHON ?= python3
VENV ?= .venv
PYTEST_FLAGS ?=
HOURS ?= 24

PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
STAMPS := $(VENV)/.stamps
WASM := tests/runtimes/node_modules/.stamp
EMULATOR := hil/targets/pico/node_modules/.stamp
STUB_BOARDS := rp2 esp32

# A PYTHON that was asked for is used or refused; the default may be replaced by a newer one.
ifeq ($(origin PYTHON),file)
PYTHONS := python3 python3.13 python3.12 python3.11 python3.14
else
PYTHONS := $(PYTHON)
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test test-dual bench pico-assets bench-pico coverage lint format compile sizes release \
	stubs typecheck clean distclean

help: ## this list
	@echo "Firmline: an open power control system controller, its emulator and its bench"
	@echo
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "  PYTHON=/path/to/python3.12 chooses the Python (3.11 or newer) that builds $(VENV)"

setup: $(STAMPS)/test $(WASM) ## build .venv with all that the tests need
	@echo "ready: $$($(PY) --version) in $(VENV); next: make test, or make demo"

demo: $(STAMPS)/demo ## run the controller against a simulated site, and write a report
	$(PY) -m hil demo --out build/demo

test: $(STAMPS)/test $(WASM) ## lint, types, all tests, the three-runtime table, the coverage gate
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory typecheck
	@mkdir -p build
	$(PY) -m pytest --junitxml=build/junit.xml $(PYTEST_FLAGS)
	@$(MAKE) --no-print-directory coverage

test-dual: $(STAMPS)/test $(WASM) ## the firmware tests on CPython, 64-bit and 32-bit MicroPython
	$(PY) -m pytest tests/dual tests/runtimes $(PYTEST_FLAGS)

coverage: $(STAMPS)/test ## every line and branch of firmline/core is reached by tests/dual
	@mkdir -p build
	$(PY) -m coverage run -m pytest -q -p no:cacheprovider tests/dual
	$(PY) -m coverage report

bench: $(STAMPS)/test $(WASM) ## measure speed: cycle time, wire efficiency, a simulated day
	$(PY) tests/bench/speed.py --hours $(HOURS) --out build/bench

pico-assets: $(EMULATOR) ## the RP2040 emulator, and which two files it needs; PICO_ASSETS=DIR
	@$(PY) -m hil.targets.pico.assets $(PICO_ASSETS)

bench-pico: $(EMULATOR) ## measure the controller on an emulated RP2040, against its budget
	PICO_ASSETS="$(PICO_ASSETS)" $(PY) tests/bench/pico_budget.py --out build/bench $(PICO_FLAGS)

lint: $(STAMPS)/test ## what ruff has to say, without changing anything
	$(PY) -m ruff check --output-format=concise
	$(PY) -m ruff format --check

format: $(STAMPS)/test ## let ruff lay out the code
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

compile: $(STAMPS)/test ## compile the firmware for both chips into build/mpy, and show its size
	$(PY) -m host_tools.compile
	$(PY) -m host_tools.sizes

sizes: $(STAMPS)/test ## the size of each package in flash; fails past a bound
	$(PY) -m host_tools.sizes

release: $(STAMPS)/test ## the release archive with its hashes, in dist
	$(PY) -m host_tools release

stubs: $(foreach board,$(STUB_BOARDS),typings/$(board)/.stamp) ## fetch the MicroPython type stubs

typecheck: stubs $(STAMPS)/test $(WASM) ## check the firmware's types against each board's stubs
	@for board in $(STUB_BOARDS); do \
		echo "types against the stubs of $$board:"; \
		$(PY) -m pyright -p typings/$$board.json || exit 1; \
	done

clean: ## remove what was built, but not .venv
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis tests/runtimes/node_modules \
		hil/targets/pico/node_modules \
		$(foreach board,$(STUB_BOARDS),typings/$(board))
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## remove .venv too
	[ ! -e $(VENV)/pyvenv.cfg ] || rm -rf $(VENV)

# --- stamps: made once, and again when what they depend on changes ---

$(STAMPS)/venv:
	@old=; found=; \
	for python in $(PYTHONS); do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
		old=$$python; \
		"$$python" -c 'import ensurepip, venv' >/dev/null 2>&1 || continue; \
		found=$$python; break; \
	done; \
	if [ -z "$$old" ]; then \
		echo "Firmline needs Python 3.11 or newer; tried: $(PYTHONS)." >&2; \
		for python in $(PYTHONS); do \
			echo "  $$python: $$("$$python" --version 2>/dev/null || echo not runnable)" >&2; \
		done; \
		echo "Debian or Ubuntu: sudo apt install python3 python3-venv    macOS: brew install python" >&2; \
		echo "Or name one: make setup PYTHON=/path/to/python3.12" >&2; \
		exit 1; \
	fi; \
	if [ -z "$$found" ]; then \
		version=$$("$$old" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
		echo "$$old is Python $$version, but it cannot make virtual environments:" >&2; \
		echo "its modules venv and ensurepip are missing." >&2; \
		echo "Debian or Ubuntu: sudo apt install python$$version-venv" >&2; \
		echo "Or name another: make setup PYTHON=/path/to/python3.12" >&2; \
		exit 1; \
	fi; \
	if $(PY) -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
		echo "using the virtual environment in $(VENV)"; \
	elif [ -e $(VENV) ] && [ ! -e $(VENV)/pyvenv.cfg ]; then \
		echo "$(VENV) exists, but is not a virtual environment: move it away" >&2; exit 1; \
	else \
		echo "making $(VENV) with $$("$$found" --version)"; \
		"$$found" -m venv --clear $(VENV) || exit 1; \
	fi
	@mkdir -p $(STAMPS)
	@touch $@

$(STAMPS)/demo: pyproject.toml | $(STAMPS)/venv
	@echo "installing what the demo needs"
	@$(PIP) install --quiet --editable '.[demo]'
	@touch $@

$(STAMPS)/test: pyproject.toml | $(STAMPS)/venv
	@echo "installing the test tools; the first time takes a minute"
	@$(PIP) install --quiet --editable '.[test]'
	@touch $(STAMPS)/demo $@

$(WASM): tests/runtimes/package-lock.json | $(STAMPS)/test
	@$(PY) tests/runtimes/runtimes.py has-node 2>/dev/null || { \
		echo "no Node.js 18 or newer with npm here: taking one from the Python index (60 MB to download, 200 MB on disk)"; \
		$(PIP) install --quiet --editable '.[node]'; \
	}
	@echo "installing the 32-bit MicroPython"
	@$(PY) tests/runtimes/runtimes.py install
	@touch $@

$(EMULATOR): hil/targets/pico/package-lock.json | $(STAMPS)/test
	@$(PY) tests/runtimes/runtimes.py has-node 2>/dev/null || \
		$(PIP) install --quiet --editable '.[node]'
	@$(PIP) install --quiet --editable '.[pico]'
	@echo "installing the RP2040 emulator"
	@$(PY) -m hil.targets.pico.install
	@touch $@

typings/%/.stamp: | $(STAMPS)/venv
	@rm -rf $(@D)
	@$(PIP) install --quiet --no-user --target $(@D) 'micropython-$*-stubs>=1.28,<1.30'
	@touch $@
