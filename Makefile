# Portier. `make help` lists the targets; everything is written to .venv, .cache and state/.
# A target has one line of help (`target: ## text`); `##@ title` begins a group of them.
SHELL := /bin/sh
PYTHON ?= python3
PORT ?=
STATE ?= state
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup run demo run-sites check unit thorough process page system test bench lives faults hil arm64 api lighthouse soak \
  mutants fuzz generated shots roots lock release clean

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

##@ Run it

setup: $(VENV)/.run ## Set up .venv; afterwards .venv/bin/portier is there

run: setup ## Start the simulated building; PORT=8081 takes another port
	@exec env $(if $(PORT),PORT=$(PORT)) $(BIN)/portier run --config config/bench.yaml --state $(STATE) \
	  --log $(STATE)/portier.log

demo: setup ## Start a building with a year behind it; takes a minute once
	@exec env $(if $(PORT),PORT=$(PORT)) $(BIN)/portier demo --state $(STATE)/demo

run-sites: setup ## Start three simulated gateways and a centre for all of them
	@exec env $(if $(PORT),PORT=$(PORT)) $(BIN)/python -m gateway.app.running.simulated_sites --state $(STATE)/sites

##@ Check a change

check: $(VENV)/.test ## Lint, types, imports, test files: half a minute
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-cache > $(VENV)/.imports.log || { cat $(VENV)/.imports.log; exit 1; }
	@$(BIN)/python -m tests.house_rules.plan
	@echo "check: lint, types, imports and test files are in order"

unit: $(VENV)/.test ## Unit tests, stories, a short simulation: minutes
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -q -n 2 --dist worksteal tests/core tests/stories
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report --skip-covered
	@$(BIN)/python -m pytest -q -n 2 --dist worksteal \
	  -m "not thorough and not lives and not process and not page and not system and not hil and not arm64" \
	  --ignore tests/core --ignore tests/stories --ignore tests/benchmarks

thorough: $(VENV)/.test ## Fuzzing, each damaged byte, servers that hang: minutes
	@$(BIN)/python -m pytest -q -n 3 --dist worksteal -m "thorough and not lives" --ignore tests/core \
	  --ignore tests/stories --ignore tests/benchmarks

process: $(VENV)/.test ## Real processes: Mosquitto, InfluxDB, PostgreSQL, …
	@sh tests/parts.sh mosquitto influxdb postgresql victoria-metrics prometheus openssl openssh-client nftables systemd locales gcc libc6-dev \
	  nginx caddy certbot python3-certbot-nginx avahi-daemon libxml2-utils
	@$(BIN)/python -m pytest -q -n 3 -m "process and not faults" --ignore tests/benchmarks

page: $(VENV)/.test ## The page in a real Chromium
	@sh tests/parts.sh chromium libnss3-tools openssl
	@$(BIN)/python -m pytest -q -n 2 -m page

system: $(VENV)/.test ## Installed on Debian 12 and 13; needs root; BOTH=1 at length
	@sh tests/parts.sh debootstrap systemd-container
	@$(if $(BOTH),PORTIER_BOTH=1 )$(BIN)/python -m pytest -q -n 3 --durations 10 -m "system and not faults" tests/system

test: roots check unit thorough lives process page system ## All of the above and `make lives`: half an hour

##@ Everything, at length

lives: $(VENV)/.test ## Eighteen more simulated months with every fault
	@$(BIN)/python -m pytest -q -n 2 --dist worksteal -m lives tests/simulation

faults: $(VENV)/.test ## Every process fault at length: 250 kills, each byte; hours
	@sh tests/parts.sh mosquitto influxdb postgresql victoria-metrics prometheus openssl systemd locales gcc libc6-dev \
	  debootstrap systemd-container
	@PORTIER_LONG=1 $(BIN)/python -m pytest -q --timeout 7200 -m faults tests/process
	@$(BIN)/python -m pytest -q -s -m faults tests/system
	@PORTIER_LONG=1 $(BIN)/python -m pytest -q --timeout 7200 tests/journal/test_recovery.py tests/journal/test_faults.py

hil: $(VENV)/.test ## The real drivers on a kernel's GPIO, in an emulated machine
	@$(BIN)/python -m pytest -q -m hil tests/hil

arm64: $(VENV)/.test ## The arm64 package, emulated: binaries, check, start, a press
	@sh tests/parts.sh debootstrap qemu-user-static
	@$(BIN)/python -m pytest -q -s --durations 0 -m arm64 tests/arm64

bench: $(VENV)/.test ## The figures of the design, measured; ONLY=live for one bench
	@sh tests/parts.sh mosquitto influxdb postgresql victoria-metrics prometheus openssl systemd locales gcc libc6-dev
	@$(BIN)/python -m tests.benchmarks $(if $(ONLY),--only $(ONLY))

api: $(VENV)/.test ## Lint what programs read, use a generated client; needs node
	@sh tests/api/lint.sh $(BIN)/python .cache/api

lighthouse: $(VENV)/.test ## Lighthouse on status and history pages; needs node
	@sh tests/parts.sh chromium
	@$(BIN)/python -m tests.page.lighthouse $(STATE)/lighthouse

soak: $(VENV)/.test ## Simulated days for DAYS=1000 or HOURS=8, into state/soak.md
	@$(BIN)/python -m tests.simulation.soak $(if $(DAYS),--days $(DAYS)) $(if $(HOURS),--hours $(HOURS)) \
	  --report $(STATE)/soak.md

mutants: $(VENV)/.test ## Deliberate bugs, one at a time: who catches each; hours
	@$(BIN)/python -m tests.mutants --jobs 2

fuzz: $(VENV)/.test ## Fuzzing for hours, EXAMPLES=20000 each; ONLY=panel one file
	@PORTIER_FUZZ_EXAMPLES=$(or $(EXAMPLES),20000) $(BIN)/python -m pytest -q -n 2 --dist worksteal --timeout 36000 \
	  --durations 0 $(if $(ONLY),tests/fuzz/test_$(ONLY).py,tests/fuzz)

##@ Maintain

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "%s%s\n", (n++ ? "\n" : ""), substr($$0, 5)} \
	  /^[a-z0-9-]+:.*## / {printf "  make %-10s  %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nPYTHON=python3.13 takes another Python, STATE=… another folder than state/.\n'

generated: $(VENV)/.test ## Write generated tables, pictures and the schema anew
	@$(BIN)/python -m tests.house_rules.tables
	@$(BIN)/python -m tests.house_rules.diagrams
	@$(BIN)/python -m tests.deploy.dashboards
	@$(BIN)/python -m gateway schema > $(VENV)/.schema.json
	@mv $(VENV)/.schema.json config/schema.json

shots: $(VENV)/.test ## Pictures of every page in every state, into state/shots
	@sh tests/parts.sh chromium
	@$(BIN)/python -m tests.page.shots $(STATE)/shots

# They take a minute or two each, so they are built while the other tests run.
roots: ## Build the Debian systems for `make system` in the background
	@sh tests/parts.sh debootstrap systemd-container
	@mkdir -p .cache/system
	@nice $(PYTHON) tests/system/root.py >.cache/system/build.log 2>&1 </dev/null &

lock: ## Lock the newest versions; needs uv
	@uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header pyproject.toml -o requirements.lock
	@uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header -c requirements.lock --group test pyproject.toml \
	  -o requirements-test.lock

release: $(VENV)/.run ## Pack wheel, archive and checksums into dist/; KEY=… signs it
	@$(BIN)/python -m gateway.update.pack dist $(if $(KEY),--key $(KEY))

clean: ## Remove .venv and the bench building's state
	@rm -rf $(VENV) $(STATE)
