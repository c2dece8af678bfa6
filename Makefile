# `make demo` and `make test` set everything up themselves, in .venv; no setting outside this folder is changed.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
# What an installation follows from: it is repeated only when one of these has changed.
SETUP := pyproject.toml constraints.txt
EVERYTHING := .[dev,docs,jxl,ray,train,virtualcam]
# PyTorch and what comes with it are most of that.
LIGHT := .[dev,jxl,virtualcam]

# OpenCV's windows need libraries of the system that a machine without a desktop may lack; nothing else here does.
define install
$(PIP) --editable $(1)
@$(BIN)/python -c "import cv2" 2>/dev/null || { \
	echo "OpenCV lacks libraries of the system: taking the OpenCV without windows."; \
	echo "For windows: apt install libgl1 libglib2.0-0 libxcb1, then make clean, then again."; \
	$(BIN)/python -m pip --disable-pip-version-check uninstall --quiet --yes opencv-python; \
	$(PIP) opencv-python-headless; \
}
endef

.PHONY: help demo setup test test-light test-all coverage mutants lint format docs clean

help:
	@echo "make demo     install livestyle into $(VENV) and stylize the bundled clip"
	@echo "make setup    install everything for developers into $(VENV) (some 6 GB, most of it PyTorch)"
	@echo "make test     the same, then all checks and tests"
	@echo "make test-light without PyTorch (some 1.2 GB): the checks and tests of all but training and export"
	@echo "make test-all the tests with the slow ones, as before a release"
	@echo "make coverage the lines of livestyle/ that no test reaches"
	@echo "make mutants  changes of the code that no test notices (takes hours)"
	@echo "make lint     only the checks: ruff, mypy and the layers of imports"
	@echo "make format   lay the code out as the checks want it"
	@echo "make web      build the page that paints in a browser (needs Node 20); make test-web tests it"
	@echo "make dist     the wheel and the source archive, in dist/ (needs Node 20, and no PyTorch)"
	@echo "make test-wheel install the wheel in an empty environment and run it; make test-tools does so by pipx and by uv"
	@echo "make docs     the documents as a site, in build/site"
	@echo "make clean    remove $(VENV) and what the tools left behind"
	@echo
	@echo "PYTHON=/path/to/python3 picks the Python (3.11 or newer); otherwise the first that fits is taken."

demo: $(VENV)/demo.stamp
	$(BIN)/livestyle demo
	@echo "next: $(BIN)/livestyle webcam; or once . $(BIN)/activate, and livestyle by itself from then on"

# Whoever has nothing left to do takes tests from the others.
TESTS := pytest --numprocesses auto --maxprocesses 4 --dist worksteal
PYTEST := $(BIN)/python -m $(TESTS)

setup: $(VENV)/test.stamp

test: lint
	$(PYTEST) -m "not slow"

test-light: $(VENV)/light.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy livestyle
	$(BIN)/lint-imports
	$(PYTEST) -m "not slow" tests --ignore tests/train --ignore tests/export

test-all: lint
	$(PYTEST)

coverage: $(VENV)/test.stamp
	$(PIP) coverage
	$(BIN)/coverage erase
	mkdir -p build/coverage
	$(BIN)/coverage run -m $(TESTS) -m "not slow"
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --show-missing --fail-under 92

mutants: $(VENV)/test.stamp
	$(PIP) mutmut
	for part in render engine styles resume; do $(BIN)/python -m tests.mutants $$part || exit; done

lint: $(VENV)/test.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/docs.stamp
	$(BIN)/zensical build --clean --strict

format: $(VENV)/test.stamp
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache build dist mutants
	rm -rf livestyle/web/node_modules livestyle/web/dist livestyle/web/test-results

$(VENV)/demo.stamp: $(SETUP) | $(BIN)/python
	$(call install,.)
	@touch $@

$(VENV)/test.stamp: $(SETUP) | $(BIN)/python
	$(call install,"$(EVERYTHING)")
	@touch $@ $(addprefix $(VENV)/,demo.stamp light.stamp docs.stamp build.stamp)

$(VENV)/light.stamp: $(SETUP) | $(BIN)/python
	$(call install,"$(LIGHT)")
	@touch $@ $(VENV)/demo.stamp $(VENV)/build.stamp

$(VENV)/docs.stamp: $(SETUP) | $(BIN)/python
	$(call install,".[docs]")
	@touch $@ $(VENV)/demo.stamp

# Hatchling is fetched by build, into an environment of its own.
$(VENV)/build.stamp: constraints.txt | $(BIN)/python
	$(PIP) build
	@touch $@

# Debian's python3 comes without venv: ensurepip tells.
$(BIN)/python:
	@for python in $${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do \
		"$$python" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		echo "making $(VENV) with $$("$$python" --version) ($$(command -v "$$python"))"; \
		"$$python" -m venv --clear $(VENV) && exit 0; \
	done; \
	echo "error: no Python 3.11 or newer with its venv module was found$(if $(PYTHON), at $(PYTHON)):" >&2; \
	echo "install one (Debian and Ubuntu: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python3" >&2; \
	exit 1

# The page that paints in a browser: needs Node 20 or newer; its tests need Chromium too (Debian: apt install chromium).
WEB := livestyle/web

.PHONY: web test-web

web: $(WEB)/node_modules/stamp
	cd $(WEB) && npm run --silent build

test-web: web $(VENV)/test.stamp
	cd $(WEB) && npm run --silent test
	LIVESTYLE_WEB=1 $(PYTEST) tests/web

.PHONY: dist test-wheel test-tools

dist: web $(VENV)/build.stamp
	rm -rf dist
	$(BIN)/python -m build --quiet

# On all Pythons that are here, of those that it promises.
PYTHONS := $(foreach version,11 12 13 14,$(shell python3.$(version) -c 'import sys; print(sys.executable)' 2>/dev/null))

test-wheel: dist
	$(BIN)/python tests/packaging/check_wheel.py dist/*.whl $(firstword $(PYTHONS)) $(if $(word 2,$(PYTHONS)),$(lastword $(PYTHONS)))

# By pipx and by uv too, which fetch all dependencies once more.
test-tools: dist
	$(BIN)/python tests/packaging/check_tools.py dist/*.whl

$(WEB)/node_modules/stamp: $(WEB)/package.json $(WEB)/package-lock.json
	cd $(WEB) && npm ci --no-fund --no-audit
	@touch $@
