# Everything runs in .venv, which the first target that needs it makes from uv.lock, and again when the lock changes.
# All it takes is python3 (3.11 or newer), bash and make.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# What was given on the command line is a value and no program: make expands it nowhere (`MONTH='$(shell …)'` runs
# nothing), and the shell of a recipe finds it in its environment, where quotes and blanks are letters like others.
$(foreach it,$(filter-out MAKE%,$(.VARIABLES)),$(if $(filter command,$(origin $(it))),\
	$(eval override $(it) := $$(value $(it)))))

DATASET ?= yellow
MONTH ?= 2021-01
ifndef FROM
FROM := $(value MONTH)
endif
ifndef TO
TO := $(value FROM)
endif
PORT ?= 3000
# SOURCE=… on the command line, else TAXI_SOURCE; `make run` alone generates its month: nothing to download.
run zones: export TAXI_SOURCE ?= sample
export DATASET MONTH FROM TO PORT SOURCE CONFIG BACKFILL BACKUP REPLACE ONLY QUICK FAULTS_SEED
export UV_PROJECT_ENVIRONMENT := .venv
export UV_PYTHON_DOWNLOADS := never

# What builds .venv; uv.lock has the same version.
UV := 0.13.8
BIN := .venv/bin
READY := .venv/.ready
TAXI := $(BIN)/taxi

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

.PHONY: install
install: $(READY) ## Make .venv from uv.lock (the other targets do this by themselves)

$(READY): uv.lock pyproject.toml
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "taxi_platform needs Python 3.11 or newer; python3 is " + sys.version.split()[0])'
	@test -x $(BIN)/uv || { python3 -m venv .venv && $(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv==$(UV)'; }
	@$(BIN)/uv sync --locked --all-extras --compile-bytecode --quiet
	@touch $@

.PHONY: run
run: $(READY) ## Bring one month from the source to the warehouse: make run DATASET=yellow MONTH=2021-01 SOURCE=sample
	@$(TAXI) run $${SOURCE:+"--source=$$SOURCE"} $${CONFIG:+"--config=$$CONFIG"} -- "$$DATASET" "$$MONTH"

.PHONY: zones
zones: $(READY) ## Bring the zone lookup to the warehouse: make zones SOURCE=sample
	@$(TAXI) references taxi_zones $${SOURCE:+"--source=$$SOURCE"}

.PHONY: dev
dev: $(READY) ## Start the UI and the daemon: make dev PORT=3000 SOURCE=web
	@$(TAXI) dev $${SOURCE:+"--source=$$SOURCE"} "--port=$$PORT"

.PHONY: backfill
backfill: $(READY) ## Run months by the daemon of `make dev`, and watch: make backfill DATASET=green FROM=2020-10 TO=2020-12
	@$(TAXI) backfill $${SOURCE:+"--source=$$SOURCE"} $${CONFIG:+"--config=$$CONFIG"} -- "$$DATASET" "$$FROM" "$$TO"

.PHONY: follow
follow: $(READY) ## Watch a backfill that is running: make follow BACKFILL=abcdefgh
	@$(TAXI) follow -- "$$BACKFILL"

.PHONY: cancel
cancel: $(READY) ## Cancel the months of a backfill that are not done: make cancel BACKFILL=abcdefgh
	@$(TAXI) cancel -- "$$BACKFILL"

.PHONY: env
env: ## Write the .env of docker-compose.yaml, with passwords nobody has seen
	@python3 deploy/compose/write_env.py

.PHONY: backup
backup: ## Save what the deployment holds, for you alone: make backup BACKUP=folder
	@python3 deploy/compose/backup.py save $${BACKUP:+"--folder=$$BACKUP"}

.PHONY: restore
restore: ## Bring it back, where nothing is yet or with REPLACE=yes: make restore BACKUP=folder
	@python3 deploy/compose/backup.py restore $${BACKUP:+"--folder=$$BACKUP"} $${REPLACE:+--replace}

.PHONY: docs
docs: $(READY) ## Write docs/data-dictionary.md and docs/known-holes.md anew from the contracts and figures
	@$(BIN)/python -m taxi_platform.core.catalog.dictionary > docs/data-dictionary.md
	@$(BIN)/python -m taxi_platform.core.official.holes > docs/known-holes.md

.PHONY: screenshots
screenshots: $(READY) ## Take the README's screenshots anew (this needs Chromium)
	@SCREENSHOTS=docs $(BIN)/python -m pytest -n0 taxi_platform_tests/test_browser.py taxi_platform_tests/report

# Some machines tell Python to keep nothing it has compiled: hundreds of processes would each compile the project anew.
test test-all: export PYTHONDONTWRITEBYTECODE :=

.PHONY: test
test: $(READY) ## Run every test but the campaigns, which take minutes each
	@$(BIN)/pytest -m "not campaign"

.PHONY: test-faults
test-faults: $(READY) ## Kill over a hundred runs in all stores, and see what is left: make test-faults FAULTS_SEED=7
	@$(BIN)/python -m taxi_platform_tests.faults

.PHONY: test-all
test-all: $(READY) ## Run every test, then the long fault campaign
	@$(BIN)/pytest
	@$(BIN)/python -m taxi_platform_tests.faults

.PHONY: bench
bench: $(READY) ## Measure it all beside its limits and its peers: make bench QUICK=1, make bench ONLY=clean,growth
	@$(BIN)/python -m benchmarks run $${QUICK:+--quick} $${ONLY:+"--only=$$ONLY"}

.PHONY: check
check: $(READY) ## Lint, format, types, lock, definitions and docker-compose.yaml
	@$(BIN)/uv lock --check --quiet
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright
	@$(BIN)/dagster definitions validate -w workspace.yaml --log-level error
	@$(BIN)/dg check defs
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yaml

.PHONY: fix
fix: $(READY) ## Format, and mend what the linter can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
