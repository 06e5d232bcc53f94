PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_ARGS ?=
ONLY ?=
REQUESTS ?= 100000
SEED ?= 1
SEEDS ?= 10000
KILLS ?= 25

.PHONY: demo test lint bench openapi coverage-of-rules mutants fuzz simulate faults lock clean

demo: $(VENV)/.installed
	@$(BIN)/ocpi-hub demo $(DEMO_ARGS)

test: $(VENV)/.installed lint
	$(BIN)/python -m pytest --numprocesses 3

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed
	$(BIN)/python -m tests.bench $(ONLY)

openapi: $(VENV)/.installed
	$(BIN)/ocpi-hub openapi --output openapi

coverage-of-rules: $(VENV)/.installed
	@$(BIN)/python -m tests.rules

mutants: $(VENV)/.installed
	@$(BIN)/python -m tests.rules.mutate

fuzz: $(VENV)/.installed
	@$(BIN)/python -m tests.generated.fuzz --requests $(REQUESTS) --seed $(SEED)

simulate: $(VENV)/.installed
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS)
	@$(BIN)/python -m tests.simulation.absence

faults: $(VENV)/.installed
	@$(BIN)/python -m tests.faults --kills $(KILLS) $(if $(filter command line,$(origin SEED)),--seed $(SEED))

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

lock:
	uv pip compile --quiet --upgrade --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --group dev pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) build *.egg-info
