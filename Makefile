# Portier. `make help` says what there is; everything lands in .venv and state/.
SHELL := /bin/sh
PYTHON ?= python3
PORT ?=
STATE ?= state
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup run test check unit lives process faults page system roots bench hil shots lighthouse soak mutants fuzz lock clean

help: ## What there is
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1 \2/p' $(MAKEFILE_LIST) | awk '{printf "  make %-8s", $$2; $$1=$$2=""; print}'
	@echo "  PORT=8081 make run takes another port; PYTHON=python3.13 another Python; ONLY=live make bench one bench."

# A virtual environment needs ensurepip, which Debian keeps in a package of its own.
$(VENV)/bin/python:
	@sh deploy/venv.sh "$(PYTHON)" "$(VENV)"

$(VENV)/.run: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "Setting up Portier in $(VENV) (a minute or two the first time)"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation \
	  --config-settings editable_mode=compat --editable .
	@$(BIN)/python -m compileall -q gateway drivers
	@touch $@

$(VENV)/.test: requirements-test.lock $(VENV)/.run
	@echo "Adding what the tests need"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-test.lock
	@touch $@

setup: $(VENV)/.run ## Set up .venv; afterwards .venv/bin/portier is there

run: setup ## Start the bench building: simulated points, broker, recorder, page
	@[ '$(STATE)$(PORT)' = state ] || echo 'In another terminal first: export PORTIER_STATE=$(STATE)$(if $(PORT), PORT=$(PORT))'
	@exec env $(if $(PORT),PORT=$(PORT)) $(BIN)/portier run --config config/bench.yaml --state $(STATE)

check: $(VENV)/.test ## Lint, types, imports: seconds
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-cache > $(VENV)/.imports.log || { cat $(VENV)/.imports.log; exit 1; }
	@echo "check: lint, types and imports are in order"

unit: $(VENV)/.test ## The everyday tests: unit, stories, short simulation
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -q tests/core tests/stories
	@$(BIN)/coverage report --skip-covered
	@$(BIN)/python -m pytest -q -n 2 -m "not lives and not process and not page and not system and not hil" \
	  --ignore tests/core --ignore tests/stories --ignore tests/benchmarks

lives: $(VENV)/.test ## Eighteen more months of building life with every fault, a seed each
	@$(BIN)/python -m pytest -q -n 2 -m lives tests/simulation

process: $(VENV)/.test ## Real processes against a real Mosquitto, InfluxDB and VictoriaMetrics
	@sh tests/parts.sh mosquitto influxdb victoria-metrics openssl systemd locales gcc libc6-dev
	@$(BIN)/python -m pytest -q -m "process and not faults" --ignore tests/benchmarks

faults: $(VENV)/.test ## Every process fault at length: 200 kills, each byte of the journal; an hour
	@sh tests/parts.sh mosquitto influxdb victoria-metrics openssl systemd locales gcc libc6-dev
	@PORTIER_LONG=1 $(BIN)/python -m pytest -q --timeout 7200 -m faults tests/process
	@PORTIER_LONG=1 $(BIN)/python -m pytest -q --timeout 7200 tests/journal/test_recovery.py tests/journal/test_faults.py

page: $(VENV)/.test ## The page in a real Chromium
	@sh tests/parts.sh chromium
	@$(BIN)/python -m pytest -q -n 2 -m page

system: $(VENV)/.test ## Installed on a real Debian 12 and 13 with systemd, in containers; needs root
	@sh tests/parts.sh debootstrap systemd-container
	@$(BIN)/python -m pytest -q -n 2 -m system tests/system

# They take a minute or two each, so they are built while the other tests run.
roots:
	@sh tests/parts.sh debootstrap systemd-container
	@mkdir -p .cache/system
	@nice $(PYTHON) tests/system/root.py >.cache/system/build.log 2>&1 </dev/null &

test: roots check unit lives process page system ## Everything, on real parts

bench: $(VENV)/.test ## The figures of the design, measured side by side with their floor
	@sh tests/parts.sh mosquitto influxdb victoria-metrics openssl systemd locales gcc libc6-dev
	@$(BIN)/python -m tests.benchmarks $(if $(ONLY),--only $(ONLY))

hil: $(VENV)/.test ## The real drivers on a kernel's GPIO, in an emulated machine
	@$(BIN)/python -m pytest -q -m hil tests/hil

shots: $(VENV)/.test ## Pictures of every page in every state, into state/shots
	@sh tests/parts.sh chromium
	@$(BIN)/python -m tests.page.shots $(STATE)/shots

lighthouse: $(VENV)/.test ## Lighthouse before status and history, phone and desktop; needs node
	@sh tests/parts.sh chromium
	@$(BIN)/python -m tests.page.lighthouse $(STATE)/lighthouse

soak: $(VENV)/.test ## Simulated lives for DAYS=1000 building-days or HOURS=8, into state/soak.md
	@$(BIN)/python -m tests.simulation.soak $(if $(DAYS),--days $(DAYS)) $(if $(HOURS),--hours $(HOURS)) \
	  --report $(STATE)/soak.md

mutants: $(VENV)/.test ## Deliberate bugs, one at a time: who catches each (long)
	@$(BIN)/python -m tests.mutants --jobs 2

fuzz: $(VENV)/.test ## Long fuzzing: EXAMPLES=20000 of each property; ONLY=panel one file (hours)
	@PORTIER_FUZZ_EXAMPLES=$(or $(EXAMPLES),20000) $(BIN)/python -m pytest -q -n 2 --timeout 36000 \
	  --durations 0 $(if $(ONLY),tests/fuzz/test_$(ONLY).py,tests/fuzz)

lock: ## Lock the versions anew (needs uv)
	@uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header pyproject.toml -o requirements.lock
	@uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header -c requirements.lock --group test pyproject.toml \
	  -o requirements-test.lock

clean: ## Remove .venv and the bench building's state
	@rm -rf $(VENV) $(STATE)
