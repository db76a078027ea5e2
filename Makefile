# Two commands from a fresh clone: `make drill` recovers the sample Pi, `make test` tests Muster itself.
# Both install what is missing (a container engine, mmdebstrap, .venv) and do nothing twice.

BIN := .venv/bin
STAGE := images/stage.sh

.DEFAULT_GOAL := help
.PHONY: help setup vm browser drill drill-vm drill-ssh prove test lint format bench docs publish pictures lock clean

help:  ## Say what there is to make
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

setup: .venv/installed  ## Install what is missing: engine, mmdebstrap, .venv
	@$(STAGE) --quiet "preparing this host" images/host.sh

vm: setup  ## Also install what drills on virtual Pis need: QEMU
	@$(STAGE) --quiet "preparing this host for virtual machines" images/host.sh vm

browser: setup  ## Also install what the tests of pages open them in: Chromium
	@$(STAGE) --quiet "preparing this host for pages" images/host.sh browser

.venv/installed: requirements-dev.lock pyproject.toml
	@images/host.sh python
	@$(STAGE) "installing Muster into .venv" sh -ec 'python3 -m venv .venv; $(BIN)/pip install -q --disable-pip-version-check \
		-r requirements-dev.lock && $(BIN)/pip install -q --disable-pip-version-check --no-deps -e .'
	@touch $@

drill: setup  ## Back up the sample Pi, lose it in six ways, recover it each time, follow the runbook, and write reports/index.html
	@$(STAGE) "the sample Pi, made, fed, backed up and lost," $(BIN)/python images/sample.py make
	@$(STAGE) "the drill" $(BIN)/pytest drills/

drill-vm: vm  ## Recover the sample Pi on an emulated arm64 Pi, which is booted again at the end
	@$(STAGE) "the sample Pi, unless there is a young one," $(BIN)/python images/sample.py make --max-age 1d
	@$(STAGE) "the drill" $(BIN)/pytest drills/test_recovery.py --drill-machine vm

drill-ssh: vm  ## Recover the sample Pi on spare hardware over SSH, which a virtual machine plays
	@$(STAGE) "the sample Pi, unless there is a young one," $(BIN)/python images/sample.py make --max-age 1d
	@$(STAGE) "the drill" $(BIN)/python images/spare_vm.py .cache/spare --plan drills/plans/telemetry.toml -- \
		$(BIN)/pytest drills/test_recovery.py

prove: setup  ## Break copies of the sample, one fault at a time, show which check notices each, and write docs/faults.md
	@$(STAGE) "the sample Pi, unless there is a young one," $(BIN)/python images/sample.py make --max-age 1d
	@$(STAGE) "the faults" $(BIN)/pytest drills/ --drill-prove -n 2
	@cp "$$(ls -t reports/*/faults.md | head -n 1)" docs/faults.md

bench: setup  ## Measure how fast drills are, beside scripts by hand; write reports/bench.json, docs/benchmarks.md (OPTIONS="--only critical")
	@PYTHONPATH=fixtures:. $(STAGE) "the benchmark" $(BIN)/python -m bench $(OPTIONS)

test: vm browser lint  ## Lint, types, layers, and all tests: unit, contract, system
	@$(STAGE) "unit tests" $(BIN)/pytest -q -n 2 tests/unit
	@$(STAGE) "pages in a browser" $(BIN)/pytest -q -n 2 tests/pages
	@# In their own order: the file that takes longest comes first.
	@$(STAGE) "contract and system tests" $(BIN)/pytest -v -n 2 --dist loadfile --no-loadscope-reorder --durations=20 \
		tests/contract tests/system

lint: .venv/installed  ## Only lint, types and layers
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: .venv/installed  ## Format the code
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

docs: .venv/installed  ## Write docs/plan.md from the plan's model, docs/findings.md from the catalogue
	@$(BIN)/python -m muster.plan_docs docs/plan.md
	@$(BIN)/python -m muster.findings_docs docs/findings.md

pictures: browser  ## Take the pictures in docs/pictures, of pages that are made from recorded drills
	@PYTHONPATH=fixtures:. $(BIN)/python -m tests.pages.pictures docs/pictures

publish: .venv/installed  ## Make a static site of all reports in DIR=..., to put anywhere (OPTIONS="--retain 400d")
	@# The shell takes DIR from the environment, so that it can have any letters.
	@[ -n "$$DIR" ] || { echo "muster: say where the site belongs: make publish DIR=site" >&2; exit 2; }
	@$(BIN)/python -m muster.command publish "$$DIR" $(OPTIONS)

lock: .venv/installed  ## Pin the newest versions that pyproject.toml allows
	@$(BIN)/pip install -q --upgrade --upgrade-strategy eager -e . --group dev
	@$(BIN)/pip freeze --exclude-editable | grep -v ' @ ' > requirements-dev.lock

clean:  ## Remove everything that was made here: images, virtual disks, the sample, reports, .venv
	@[ ! -x $(BIN)/python ] || $(BIN)/python -c 'from muster.machines import engine, images; images.remove_all(engine.connect())' || true
	@rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/muster/vm"
	@rm -rf .venv .sample .cache reports/*/ reports/index.html
