# Two commands for everyone: `make demo` and `make test`. Both set up what they need.
PYTHON ?= python3
BIN := .venv/bin
RUNTIME := .venv/.runtime
DEVELOPMENT := .venv/.development

.PHONY: help setup demo up test api-fuzz chaos coverage check benchmarks lock clean

help:
	@echo "make demo   set up, then send one whole batch on the sandbox"
	@echo "make up     set up, then run everything until Ctrl-C"
	@echo "make test   set up, then run all tests"
	@echo "make api-fuzz  make up calls of every operation of the API, hundreds each"
	@echo "make chaos  kill 1,000 processes while batches are sent, and count who received what"
	@echo "make coverage   the rules are tested in every branch"
	@echo "make check  the checks of style, types, layers and spelling"
	@echo "make benchmarks  what it costs beside the bare libraries (docs/speed.md)"
	@echo "make lock   resolve the dependencies anew"

setup: $(RUNTIME)

# Every package by version and hash; nothing is resolved here.
$(RUNTIME): requirements/runtime.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; set PYTHON=…"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/runtime.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(DEVELOPMENT): requirements/dev.txt $(RUNTIME)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	@touch $@

demo: $(RUNTIME)
	$(BIN)/bulk-sender demo

up: $(RUNTIME)
	$(BIN)/bulk-sender up

# Most tests wait for servers half of their time, so four share two cores. The second part starts the whole product;
# its processes want both cores.
test: $(DEVELOPMENT)
	$(BIN)/python -m pytest -n 4 --ignore tests/whole
	$(BIN)/python -m pytest tests/whole

# Schemathesis, against the real app; the tests do the same with a few.
api-fuzz: $(DEVELOPMENT)
	API_FUZZ_EXAMPLES=300 $(BIN)/python -m pytest tests/console/test_api_document.py -n 2 --timeout=3600

coverage: $(DEVELOPMENT)
	$(BIN)/python -m pytest tests/domain -n 2 --cov=domain --cov-branch --cov-report=term-missing:skip-covered --cov-fail-under=100

# A thousand processes are killed at every step, on both databases; prints the table of docs/chaos.md. A quarter of an hour on an idle machine.
chaos: $(DEVELOPMENT)
	$(BIN)/python -m tests.chaos --kills 1000

check: $(DEVELOPMENT)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/codespell
	$(BIN)/djlint --check --lint console/templates sandbox/templates

benchmarks: $(DEVELOPMENT)
	$(BIN)/python -m benchmarks $(if $(NOTIFICATIONS_UTILS),--notifications-utils $(NOTIFICATIONS_UTILS))

lock:
	uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-header --no-annotate --generate-hashes --extra build pyproject.toml -o requirements/runtime.txt
	uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-header --no-annotate --generate-hashes --extra build --extra dev --constraint requirements/runtime.txt pyproject.toml -o requirements/dev.txt

clean:
	rm -rf .venv build *.egg-info
