# One command a purpose. Each makes its own .venv first; PYTHON=python3.13 picks another Python.
#   make demo    the whole of it in a minute       make check   formats, lint, types, layers
#   make test    tests, long ones reduced          make soak    the engine's promises at full size (SEED=n repeats)
#   make bench   speed against a bare loop         make clean   remove what these commands made
# TESTS=tests/unit narrows `make test`; ARGS is passed on to the command.

VENV := .venv/made
BIN := .venv/bin
# A test that hangs ends the run with every thread's stack, instead of hanging CI.
PYTEST := $(BIN)/python -m pytest --color=no -o faulthandler_timeout=300 -o faulthandler_exit_on_timeout=true

.PHONY: demo test check soak bench clean

demo: $(VENV)
	@$(BIN)/headrace demo $(ARGS)

test: $(VENV)
	$(PYTEST) $(or $(TESTS),tests) --durations=15 $(ARGS)

check: $(VENV)
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy --no-color-output
	$(BIN)/lint-imports --no-logo
	$(BIN)/deptry --no-ansi .

soak: $(VENV)
	@scripts/soak $(ARGS)

bench: $(VENV)
	$(BIN)/python -m bench $(ARGS)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist

$(VENV): pyproject.toml constraints.txt scripts/make-venv scripts/find-python
	@scripts/make-venv
