# One virtual environment for everything: each target sets up what it needs.
SHELL := /bin/bash -o pipefail
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest
# What the tests import in addition to the package itself.
EXTRAS := cli,tfp,datasets,tuner,serving,plot,demo
# As many processes as cores, each of which has a file of tests to itself at a time, the longest first.
PARALLEL := --numprocesses auto --dist loadfile --no-loadscope-reorder
# The parts of the package that depend on versions of Keras and TensorFlow.
CORE_TESTS := $(addprefix tests/test_,gan.py losses.py saving.py resume.py updates.py terms.py sample_grid.py)
# Percent of lines and branches that the quick tests reach on TensorFlow.
COVERAGE_FLOOR := 91

# Run a part of the tests on a backend, and report where the time went.
define pytest
	KERAS_BACKEND=$(1) $(BIN)/python -m pytest -m $(2) $(PARALLEL) --junitxml .pytest_cache/$@.xml $(3) $(ARGS)
	@$(BIN)/python tests/helpers/budget.py .pytest_cache/$@.xml
endef

# Install, and name each package while it is downloaded.
define install
	@echo "Installing the packages for \`make $(notdir $@)\` into $(VENV). This happens once, and takes a minute or more:"
	@$(BIN)/python -m pip install --progress-bar off $(1) | sed -un 's/^Collecting \([A-Za-z0-9_.-]*\).*/  \1/p; /^Installing/s/:.*/ .../p'
	@touch $@
endef

# TensorFlow writes some lines before its log level takes effect. Ctrl-C is left to the program.
define quietly
	TF_CPP_MIN_LOG_LEVEL=3 $(1) 2> >(trap '' INT; grep --line-buffered -v -e 'absl::InitializeLog' -e '^[IWE]0000 ' >&2)
endef

export TF_CPP_MIN_LOG_LEVEL ?= 2

SLOW := test-slow-tensorflow test-slow-jax test-slow-torch
.PHONY: demo test test-jax test-torch test-slow $(SLOW) test-oldest coverage fuzz bench docs dist lint clean

demo: $(VENV)/demo ## train a GAN on handwritten digits and draw samples
	@echo "Starting TensorFlow ..."
	@$(call quietly,TF_ENABLE_ONEDNN_OPTS=1 $(BIN)/python examples/conditional_digits.py $(ARGS))

test: $(VENV)/test ## run the quick tests on TensorFlow
	$(call pytest,tensorflow,"not slow")

test-jax test-torch: test-%: $(VENV)/backends ## run the quick tests on another backend
	$(call pytest,$*,"not slow")

test-slow: $(SLOW) ## run the slow tests, each on the backends for which it proves something

$(SLOW): test-slow-%: $(VENV)/backends
	$(call pytest,$*,slow)

test-oldest: $(OLDEST)/ready ## run the core tests with the oldest supported Keras and TensorFlow
	KERAS_BACKEND=tensorflow $(OLDEST)/bin/python -m pytest -m "not slow" $(CORE_TESTS) $(ARGS)

coverage: $(VENV)/test ## run the quick tests, and fail if they reach less of the package than before
	$(call pytest,tensorflow,"not slow",--cov --cov-report term:skip-covered --cov-fail-under $(COVERAGE_FLOOR))

fuzz: $(VENV)/test ## call everything public with invalid and valid arguments
	KERAS_BACKEND=tensorflow $(BIN)/python tests/fuzz $(ARGS)

# Without oneDNN, TensorFlow's convolutions take twice as long on older processors, its peers' do not.
bench: $(VENV)/backends ## measure speed and memory against peers and the machine's limit
	TF_ENABLE_ONEDNN_OPTS=1 KERAS_BACKEND=tensorflow $(BIN)/python -m benchmarks $(ARGS)

docs: $(VENV)/test ## build the documentation site in site/
	KERAS_BACKEND=tensorflow $(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --quiet docs site
	@echo "Open site/index.html"

dist: $(VENV)/test ## build the wheel and the source archive in dist/, and check them
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m twine check --strict dist/*

lint: $(VENV)/test ## check style, format, types and spelling, and fix what can be fixed
	$(BIN)/pre-commit run --all-files --show-diff-on-failure

clean: ## remove what the commands above made
	rm -rf $(VENV) $(OLDEST) runs .pytest_cache .ruff_cache .mypy_cache .coverage htmlcov build dist site docs/api

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "keras_gan needs Python 3.11 to 3.13. Name one: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Creating the virtual environment $(VENV)"
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "Python cannot create a virtual environment (Debian: apt install python3-venv)."; exit 1; }
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"

$(VENV)/demo: pyproject.toml | $(BIN)/python
	$(call install,--editable ".[demo]")

$(VENV)/test: pyproject.toml | $(BIN)/python
	$(call install,--editable ".[$(EXTRAS)]" --group dev)

$(VENV)/backends: $(VENV)/test
	$(call install,--group backends)

# The lower bounds of pyproject.toml, as exact versions.
$(OLDEST)/ready: pyproject.toml
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(OLDEST)/bin/python -m pip install --quiet --editable ".[cli,tfp,plot,demo]" pytest psutil scikit-learn \
		$$($(OLDEST)/bin/python -c 'import tomllib; \
		print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"])' | sed 's/>=/==/g')
	@touch $@
