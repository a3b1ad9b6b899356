# One virtual environment for everything: `make test` and `make demo` set it up themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What the tests import beyond the package itself.
EXTRAS := cli,tfp,datasets,tuner,serving,plot,demo
# As many processes as cores, each of which has a file of tests to itself at a time, the longest first.
PARALLEL := --numprocesses auto --dist loadfile --no-loadscope-reorder
# Run a part of the tests on a backend, and say where the time has gone.
define pytest
	KERAS_BACKEND=$(1) $(BIN)/python -m pytest -m $(2) $(PARALLEL) --junitxml .pytest_cache/$@.xml $(ARGS)
	@$(BIN)/python tests/budget.py .pytest_cache/$@.xml
endef

export TF_CPP_MIN_LOG_LEVEL ?= 2

SLOW := test-slow-tensorflow test-slow-jax test-slow-torch
.PHONY: demo test test-jax test-torch test-slow $(SLOW) bench reference lint format clean

demo: $(VENV)/demo ## train the adversarial nets of 2014 on real digits
	TF_ENABLE_ONEDNN_OPTS=1 $(BIN)/python examples/gan_mnist.py $(ARGS)

test: $(VENV)/test ## run the tests, on TensorFlow
	$(call pytest,tensorflow,"not slow")

test-jax test-torch: test-%: $(VENV)/backends ## run the tests on another backend
	$(call pytest,$*,"not slow")

test-slow: $(SLOW) ## run what takes long, where it proves something

$(SLOW): test-slow-%: $(VENV)/backends
	$(call pytest,$*,slow)

# Without oneDNN, TensorFlow's convolutions take twice as long on older processors, its peers' do not.
bench: $(VENV)/backends ## measure speed and memory, beside peers and the machine's limit
	TF_ENABLE_ONEDNN_OPTS=1 KERAS_BACKEND=tensorflow $(BIN)/python -m benchmarks $(ARGS)

reference: $(VENV)/test ## write the reference of the API into site/, from the docstrings
	KERAS_BACKEND=tensorflow $(BIN)/python -m pdoc --docformat google --output-directory site keras_gan keras_gan.tuner

lint: $(VENV)/test ## check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/test ## mend style and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove what the commands above have made
	rm -rf $(VENV) runs .pytest_cache .ruff_cache .mypy_cache .coverage htmlcov build dist site

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "keras_gan needs Python 3.11 or later. Name one: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "Python cannot make a virtual environment (Debian: apt install python3-venv)."; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"

$(VENV)/demo: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable ".[demo]"
	@touch $@

$(VENV)/test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable ".[$(EXTRAS)]" --group dev
	@touch $@

$(VENV)/backends: $(VENV)/test
	$(BIN)/python -m pip install --quiet --group backends
	@touch $@
