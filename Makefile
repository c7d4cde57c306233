# `make help` explains every target; the text after ## is what it prints.

.DEFAULT_GOAL := help
.PHONY: look help setup demo test test-fast story goldens coverage lint format bench bench-store lock clean
.DELETE_ON_ERROR:

BIN   := .venv/bin
READY := .venv/.ready
RUN   := $(BIN)/python -m

# uv trusts its own list of certificate authorities unless told to trust the machine's, as pip, git and curl do; behind a
# company's proxy only the machine's list knows the proxy.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt /etc/ssl/cert.pem /etc/pki/tls/certs/ca-bundle.crt),)
export UV_SYSTEM_CERTS ?= true
endif

# Python and pytest keep what they have compiled; switched off, each process of tests would compile all tests again.
unexport PYTHONDONTWRITEBYTECODE

# What a person may say on the command line.
PYTHON  ?=
ARGS    ?=
T       ?=
K       ?=
B       ?=
WORKERS ?= auto

# One line, so that every way of testing chooses and spreads its tests in the same way.
PYTEST = $(RUN) pytest -n $(WORKERS) --dist worksteal $(if $(K),-k "$(K)")

##@ Start here

help: ## Print this
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile
	@printf '\nSay more:\n'
	@printf '  make setup PYTHON=python3.12           choose the interpreter (3.11 or newer)\n'
	@printf '  make demo ARGS="--data digits"         options of `holdfast demo`\n'
	@printf '  make test T=tests/store K="flipped"    one file or folder; names that match\n'
	@printf '  make bench B=steady_load               one benchmark\n\n'

setup: $(READY) ## Put everything into .venv/ (skipped while nothing has changed)

# Naming an interpreter asks for a look, even when everything is up to date.
$(READY): pyproject.toml requirements/bootstrap.txt requirements/dev.txt scripts/setup $(if $(PYTHON),look)
	@PYTHON="$(PYTHON)" scripts/setup
	@touch $@

look:

demo: setup ## Walk the whole story on real data, from a training run to a rollback
	@$(BIN)/holdfast demo $(ARGS)

##@ Test

test: setup ## Run every test, in parallel and in random order
	$(PYTEST) $(T)

test-fast: setup ## Run the quick tests, and every law with a few examples: a minute or two
	$(PYTEST) -m "not slow and not thorough" --hypothesis-profile=quick $(T)

story: setup ## Run the story alone: one test for each step, end to end
	$(RUN) pytest tests/story $(if $(K),-k "$(K)")

goldens: setup ## Write the golden files again; read the difference before you commit it
	$(RUN) pytest --update-goldens tests/goldens
	$(RUN) pytest --update-goldens -p no:randomly tests/mlflow/test_scripts.py tests/mlflow/test_calls.py \
		tests/mlflow/test_commands.py

coverage: setup ## Run every test and print the branches that none of them takes
	$(RUN) coverage run -m pytest $(T)
	$(RUN) coverage combine --quiet
	$(RUN) coverage report

##@ Change

lint: setup ## Check style, types, arrows, budgets and words
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) pytest -q tests/architecture

format: setup ## Format the code and apply the safe fixes
	$(RUN) ruff check --fix-only .
	$(RUN) ruff format .

# The benchmarks of the store take 20 GB and hours: only who asks for them gets them.
STORE_BENCHMARKS = $(sort $(wildcard benchmarks/store_*.py))
QUICK_BENCHMARKS = $(filter-out $(STORE_BENCHMARKS),$(sort $(wildcard benchmarks/[a-z]*.py)))
MEASURE = @set -e; for script in $(1); do echo "== $$script"; $(BIN)/python "$$script" $(ARGS); done

bench: setup ## Run the benchmarks and print their ratios; those of the store only when B names one
	$(call MEASURE,$(if $(B),benchmarks/$(B).py,$(QUICK_BENCHMARKS)))

bench-store: setup ## Measure the store beside its peers: 20 GB of disk and hours, or ARGS="--scale 0.01"
	$(call MEASURE,$(STORE_BENCHMARKS))

##@ Keep house

# A week's distance from the newest uploads: most bad ones are found and withdrawn within it.
COMPILE = $(BIN)/uv pip compile --quiet --no-config --upgrade --universal --python-version 3.11 --generate-hashes \
	--exclude-newer P7D --no-emit-index-url --no-header

# What scripts of MLflow's users import beside it. PyTorch is not among them: the index has it only with CUDA, gigabytes of it.
LIBRARIES = scikit-learn pandas xgboost-cpu lightgbm
# What that release asks for without an upper limit, and does not work with: its own server, and its traces.
OLD_MLFLOW = 'mlflow<3.2' 'sqlalchemy<2.1' 'opentelemetry-sdk<1.36'

lock: setup ## Resolve the dependencies again and write requirements/
	$(COMPILE) --all-extras --group dev --output-file requirements/dev.txt pyproject.toml
	printf 'uv\n' | $(COMPILE) --no-annotate --constraints requirements/dev.txt --output-file requirements/bootstrap.txt -
	$(COMPILE) --no-annotate --extra server --extra serve --extra gate --extra tables --constraints requirements/dev.txt \
		--output-file requirements/server.txt pyproject.toml
	printf 'kserve\n' | $(COMPILE) --no-annotate --no-deps --output-file requirements/kserve.txt -
	printf '%s\n' mlflow $(LIBRARIES) | $(COMPILE) --no-annotate --output-file requirements/mlflow-new.txt -
	printf '%s\n' $(OLD_MLFLOW) $(LIBRARIES) | $(COMPILE) --no-annotate --output-file requirements/mlflow-old.txt -

clean: ## Remove what make made here: .venv/, the tests' own environments and caches (a demo's folder stays: it may hold your work)
	rm -rf .venv .venv-mlflow-* .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* dist
	find $(wildcard src tests benchmarks examples) -name __pycache__ -type d -prune -exec rm -rf {} +
