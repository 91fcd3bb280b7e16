# Every target does its own set-up. PYTHON=... chooses the interpreter; each gets a virtual environment of its own.

PYTHON ?=
# what the benchmarks compare with needs Python 3.13, and newer headers know more of later Pythons: the newest
ifneq ($(filter bench bench-regress wheels dist,$(MAKECMDGOALS)),)
PYTHON := $(or $(PYTHON),$(lastword $(shell tools/pythons)))
endif
OF_PYTHON := .venv$(if $(PYTHON),-$(shell $(PYTHON) -I -c 'import platform; print(platform.python_version())'))
VENV ?= $(OF_PYTHON)
PY := $(VENV)/bin/python
PYTEST_ARGS ?=
# processes that share the suite; auto: two for each core, see tests/workers.py. WORKERS=0 runs it in one
WORKERS ?= auto
# commands that tests run, with their packages where those have other names; without one its tests skip
TOOLS := tcpdump ss=iproute2 tshark editcap=wireshark-common socat gdb strace zsh \
	hexdump=bsdextrautils xxd luac5.2=lua5.2 luac5.4=lua5.4

# every CPython loads the one native module of this tree; DQLITEWIRE_PURE=1 does without
SPEEDUPS := src/dqlitewire/_speedups.abi3.so
NATIVE := $(if $(filter-out 0,$(DQLITEWIRE_PURE)),,$(SPEEDUPS))

# the tests start the command hundreds of times: what is compiled once is kept
test test-pythons test-native: export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
ifndef SIDE_BY_SIDE # two targets of `fetched`
.NOTPARALLEL: # what is going to be installed is said before it is
endif
.PHONY: help demo test test-pythons test-native failover survey nodes format bench bench-regress clean
.PHONY: fetched servers docs redraw trial native sanitize wheels dist
.PHONY: plan-docs plan-redraw plan-demo plan-native plan-test plan-release
.PHONY: install-dissector
.PHONY: check check-format check-lint check-types check-public check-imports check-docs

help: ## show this
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' Makefile | expand -t 24

demo: plan-demo $(VENV)/.installed-testing ## a session with the embedded server, its traffic shown
	@$(PY) examples/demo.py

test: plan-test fetched $(NATIVE) nodes ## the whole suite, real nodes and published clients included
	$(PY) -m pytest -n $(WORKERS) $(PYTEST_ARGS)

failover: plan-test $(VENV)/.installed-test nodes ## kill the leader a hundred times on each real server; KILLS=N
	$(PY) -m tests.real.failover $(if $(KILLS),--kills $(KILLS))

survey: plan-test $(VENV)/.installed-test nodes ## try on throw-away nodes what may harm a server; goes on where it stood
	$(PY) -m tests.real.survey $(if $(MINUTES),--minutes $(MINUTES))

# 3.12 where this machine has it, and forky's; NEWEST=yes takes the last of them alone
test-pythons: $(VENV)/.installed-test $(NATIVE) ## the suite without real servers and clients, on the other CPythons
	@tools/plan "tools/native-pythons --plan $(PY)"
	@tools/test-pythons $(if $(NEWEST),--newest) $(PY) -n $(WORKERS) $(PYTEST_ARGS)

native: plan-native $(VENV)/.installed $(SPEEDUPS) ## build the native reader and writer of rows into this tree
	@$(PY) -c 'from dqlitewire import speedups as s; print("rows:", s.name, s.why); exit(s.name != "native")'

# built once, and that file is tested on all of them
test-native: plan-test $(VENV)/.installed-test $(SPEEDUPS) ## the native module, one file, on every CPython >= 3.11
	@tools/plan "tools/native-pythons --plan $(PY)"
	@tools/test-pythons --native $(PY) -n $(WORKERS) $(PYTEST_ARGS)

sanitize: plan-test $(VENV)/.installed-test ## the fuzzer with the native module built to watch memory; MINUTES=1
	$(PY) -m tests.fuzz --sanitize --minutes $(or $(MINUTES),1)

wheels: plan-release $(VENV)/.installed-release ## into dist/: a wheel with the native module, and one for any platform
dist: plan-release $(VENV)/.installed-release ## a release into dist/: made twice, looked into, tried on every CPython

wheels dist:
	@tools/plan "tools/native-pythons --plan $(PY)"
	@CI=true tools/native $(PY)
	@$(PY) -m tools.release $@

docs: plan-docs $(VENV)/.installed-docs ## the documentation as a site, into build/docs
	$(PY) -m sphinx -W --keep-going -q -j auto -b html docs build/docs
	@echo "open build/docs/index.html"

redraw: plan-redraw $(VENV)/.installed-test ## draw the pages, drawings and schemas that come from the code
	@$(PY) tools/redraw.py

trial: ## time make demo and make test in a clean Debian, against their bounds (as root; DEMO=yes: the demo alone)
	@tools/trial $(if $(DEMO),--demo)

install-dissector: $(VENV)/.installed ## put the dissector into the user's folder of Wireshark plugins
	@tools/install-dissector $(PY)

plan-native:
	@tools/plan "tools/venv --plan $(VENV) '$(PYTHON)'" "tools/native --plan $$(tools/python '$(PYTHON)')"
plan-release:
	@tools/plan "tools/venv --plan $(VENV) '$(PYTHON)' release" "tools/native --plan $$(tools/python '$(PYTHON)')"
plan-demo:
	@tools/plan "tools/venv --plan $(VENV) '$(PYTHON)' testing"
plan-docs:
	@tools/plan "tools/venv --plan $(VENV) '$(PYTHON)' docs"
plan-redraw:
	@tools/plan "tools/venv --plan $(VENV) '$(PYTHON)' test"
plan-test:
	@tools/plan "tools/venv --plan $(VENV) '$(PYTHON)' test" "tools/packages --plan $(TOOLS)" \
		$(if $(NATIVE),"tools/native --plan $$(tools/python '$(PYTHON)')") \
		"tests/real/setup-nodes --plan" "tests/downstream/setup-clients --plan $(PY)"

# the environment and the servers, which both wait for the network
fetched:
	@$(MAKE) --no-print-directory -j2 SIDE_BY_SIDE=yes PYTHON='$(PYTHON)' VENV='$(VENV)' $(VENV)/.installed-test servers

servers:
	@tests/real/setup-nodes

nodes: fetched ## unpack the real servers and the published clients into the cache folder
	@tools/packages $(TOOLS)
	@tests/downstream/setup-clients $(PY)

check: check-format check-lint check-types check-public check-imports check-docs ## format, lint, types, imports, site

check-format: $(VENV)/.installed-dev
	$(VENV)/bin/ruff format --check .
check-lint: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check --output-format concise .
check-types: $(VENV)/.installed-dev
	$(VENV)/bin/mypy
check-public: $(VENV)/.installed-dev
	$(VENV)/bin/pyright --pythonpath $(PY)
	$(PY) tools/public_types.py
	$(PY) tools/snippets.py build/snippets
	$(VENV)/bin/pyright --pythonpath $(PY) build/snippets
	$(PY) -m tools.release types
check-imports: $(VENV)/.installed-dev
	$(VENV)/bin/lint-imports --no-logo
	$(VENV)/bin/lint-imports --no-logo import-circles.toml

check-docs: $(VENV)/.installed-dev
	$(PY) -m sphinx -W --keep-going -q -j auto -b html docs build/docs
	$(PY) tools/check_site.py build/docs

format: $(VENV)/.installed-dev ## put the code into its one format
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

bench: $(VENV)/.installed-bench $(SPEEDUPS) nodes ## measure, as ratios to what runs beside it
	$(PY) -m bench

bench-regress: $(VENV)/.installed-bench $(SPEEDUPS) ## count instructions and compare with the ratios kept in bench/
	@tools/packages valgrind
	$(PY) -m bench.regress

clean: ## drop what the targets above made (not the cache folder)
	rm -rf .venv .venv-* build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis src/*.egg-info $(SPEEDUPS)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# behind the environment, whose pip it takes
$(SPEEDUPS): src/dqlitewire/_speedups.c setup.py
	@tools/native $(PY)

# one stamp for each set of extras; the version stands in the package
$(VENV)/.installed: pyproject.toml src/dqlitewire/__init__.py
	@tools/venv $(VENV) "$(PYTHON)" && touch $@
$(VENV)/.installed-%: pyproject.toml src/dqlitewire/__init__.py
	@tools/venv $(VENV) "$(PYTHON)" $* && touch $@
