# The commands of the workbook; `make` lists them. Everything is installed into .venv.

PYTHON ?= python3
WORKERS ?= 2
UV_VERSION := 0.13.9

PY := .venv/bin/python
INSTALLED := .venv/.installed

# make splits names at spaces: notebooks with a space in their names are left to `depthclip run`.
NOTEBOOKS := $(sort $(shell find notebooks -maxdepth 1 -name '[0-9]*.ipynb' -not -name '* *' 2>/dev/null))
RESULTS := $(NOTEBOOKS:notebooks/%=results/notebooks/%)
PACKAGE := $(shell find depthclip_core -type f \( -name '*.py' -o -name '*.toml' -o -name '*.html' -o -name '*.mplstyle' \
	-o -name '*.safetensors' -o -name '*.zip' -o -name '*.json' -o -name '*.js' -o -name '*.css' -o -name '*.j2' \) -not -path '*/sample/world/*' 2>/dev/null)

# Kernel, imports and plots come from .venv, whatever is set in the user's shell.
unexport PYTHONPATH PYTHONHOME JUPYTER_PATH VIRTUAL_ENV CONDA_PREFIX MPLBACKEND
export JUPYTER_PREFER_ENV_PATH := 1
export PYDEVD_DISABLE_FILE_VALIDATION := 1
export UV_HTTP_TIMEOUT ?= 180

# Tests run in several processes, each with one thread.
PYTEST := OMP_NUM_THREADS=1 $(PY) -m pytest -n $(WORKERS)
# A file stays in one process, which makes its fixtures once; tests/conftest.py orders the files.
BY_FILE := --dist loadfile --no-loadscope-reorder
# The tests share network passes through a store of their own, which is empty at first.
TEST_STORE := results/.test-store

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run report reproduce test fuzz gpu portable workshop unit browser lab dashboard render pretrain refresh bench latency lock lint format clean FORCE

help: ## list these commands
	@echo "make COMMAND, where COMMAND is one of"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-9s %s\n", $$1, $$2 }' Makefile
	@echo "PYTHON=python3.12 makes .venv from that Python (3.11 or newer)."

# --- set-up -----------------------------------------------------------------------------------

# .venv is kept if its Python and pip work, it was made for this folder, and its set-up finished.
# A .venv that this Makefile did not make is left alone.
define VENV
	@if [ -e .venv ] && [ ! -e $(INSTALLED) ] && [ ! -e .venv/.unfinished ]; then \
		echo "$(CURDIR)/.venv was not made by this Makefile: move it away" >&2; exit 1; \
	fi
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or newer is needed, and $(PYTHON) is not: make PYTHON=/path/to/python3.12" >&2; \
		exit 1; }
	@if [ -e .venv/.unfinished ] || ! $(PY) -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' \
			2>/dev/null || { [ -e $(INSTALLED) ] && [ "$$(cat $(INSTALLED))" != "$(CURDIR)" ]; }; then \
		echo "making .venv with $(PYTHON)"; \
		rm -rf .venv && mkdir .venv && touch .venv/.unfinished && "$(PYTHON)" -m venv .venv; \
	fi
	@$(PY) -m uv --version 2>/dev/null | grep -qF "uv $(UV_VERSION)" || \
		$(PY) -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	@rm -f .venv/.unfinished
endef

# A .venv that was copied or moved with the folder still points to the old folder.
$(INSTALLED): requirements.lock pyproject.toml $(if $(findstring |$(CURDIR)|,|$(shell cat $(INSTALLED) 2>/dev/null)|),,FORCE)
	$(VENV)
	@touch .venv/.unfinished
	@echo "installing requirements.lock into .venv (about 6 GB with torch)"
	@$(PY) -m uv pip install --compile-bytecode --python $(PY) -r requirements.lock
	@$(PY) -m uv pip install --quiet --python $(PY) --no-deps --no-build-isolation -e .
	@printf '%s\n' "$(CURDIR)" > $@ && rm .venv/.unfinished

lock: ## pin the packages of pyproject.toml in requirements.lock (UPGRADE=--upgrade for newer pins)
	$(VENV)
	@$(PY) -m uv pip compile --quiet --universal --python-version 3.11 --extra test --extra dev --extra cluster $(UPGRADE) \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		pyproject.toml --output-file requirements.lock
	@echo "requirements.lock: $$(grep -c == requirements.lock) pins"

# --- notebooks --------------------------------------------------------------------------------

run: ran ## run the notebooks that are not up to date, WORKERS=2 at a time, into results/notebooks/
	@echo
	@echo "Open these notebooks, now with their results (make lab, folder results/notebooks):"
	@for notebook in $(RESULTS); do echo "  $$notebook"; done
	@echo "Their figures: results/figures/"

comma := ,
RUN = $(PY) -m depthclip_core.cli run --kernel python3 < /dev/null

# The rules below collect the notebooks that are stale; then one command runs them all. It takes the
# place of the shell, so that a signal that make passes on reaches it.
ran: $(RESULTS) FORCE
	@[ -z "$(STALE)" ] || exec $(RUN) $(STALE) --out results/notebooks --figures results/figures \
		--workers $(WORKERS)

results/notebooks/%.ipynb: notebooks/%.ipynb $(PACKAGE) $(INSTALLED)
	$(eval STALE += $<)

# A result is up to date only if its run ended well.
UNFINISHED := $(shell grep -Ls '"outcome": "ok"' $(RESULTS:.ipynb=.json))
$(UNFINISHED:.json=.ipynb): FORCE

report: ran ## put all notebooks, without code, into one HTML file: results/report/index.html
	@$(PY) -m depthclip_core.cli report $(RESULTS) --out results/report

reproduce: nyu-given $(INSTALLED) ## make the ledger on NYU: NYU=path/to/nyu_depth_v2_labeled.mat (WEIGHTS=openai)
	@exec $(RUN) notebooks/07_ledger.ipynb --out results/reproduce -p dataset nyu -p data "$(NYU)" \
		-p encoder RN50 -p weights "$(or $(WEIGHTS),openai)" -p head released

# Checked before anything is installed.
nyu-given: FORCE
	@[ -f "$(NYU)" ] && [ -f "$$(dirname -- "$(NYU)")/splits.mat" ] || { \
		echo "$(if $(NYU),$(NYU)$(comma) or splits.mat beside it$(comma) does not exist,NYU is not set):" \
			"make reproduce NYU=path/to/nyu_depth_v2_labeled.mat, with splits.mat beside it" >&2; \
		exit 1; }

lab: $(INSTALLED) ## open JupyterLab on the notebooks (LAB='--no-browser --port=9999' adds options)
	@$(PY) -m jupyterlab --ServerApp.root_dir="$(CURDIR)" --LabApp.default_url=/lab/tree/notebooks/000_start_here.ipynb \
		--MultiKernelManager.default_kernel_name=python3 $(LAB)

DASHBOARD := .venv/.dashboard

$(DASHBOARD): $(INSTALLED)
	@$(PY) -m uv pip install --quiet --python $(PY) -c requirements.lock -r pyproject.toml --extra dashboard
	@touch $@

dashboard: $(DASHBOARD) ## explore frames and your photos on one page (DATASET=nyu DATA= ENCODER=RN50 WEIGHTS=openai)
	@$(PY) -m depthclip_core.cli dashboard $(foreach option,dataset data encoder weights,$(call given,$(option)))

# An option of a command, where the variable of its name, in capitals, is set.
upper = $(shell echo $(1) | tr a-z A-Z)
given = $(if $($(call upper,$(1))),--$(1) "$($(call upper,$(1)))")

# nbconvert drops timings, which change with every run, and makes pictures smaller.
refresh: $(INSTALLED) ## run the notebooks again, and renew their saved outputs and the README's numbers and pictures
	@rm -rf notebooks/.part
	@$(RUN) $(NOTEBOOKS) --out notebooks/.part --figures results/figures --workers $(WORKERS)
	@$(PY) -m nbconvert --to notebook --log-level WARN --output-dir notebooks \
		--ClearMetadataPreprocessor.enabled=True \
		--ClearMetadataPreprocessor.preserve_cell_metadata_mask=tags \
		--NotebookExporter.preprocessors=depthclip_core.workbook.pictures.SmallPictures \
		'--ClearMetadataPreprocessor.preserve_nb_metadata_mask={"kernelspec", ("language_info", "name")}' \
		notebooks/.part/*.ipynb
	@rm -rf notebooks/.part
	@$(PY) -m depthclip_core.workbook.readme README.md notebooks

bench: $(INSTALLED) ## measure this machine (half an hour, with nothing else running), store and show its row
	@$(RUN) notebooks/90_benchmark.ipynb --out results/benchmark -p measure True
	@$(PY) -m depthclip_core.bench docs/speed.md
	@echo "results/benchmark/90_benchmark--measure=true.ipynb; its row: data/benchmarks/, its table: docs/speed.md"

latency: $(DASHBOARD) ## measure how soon the explorers answer (minutes, with nothing else running; needs chromium)
	@$(PY) tests/browser/latency.py docs/speed.md

# --- the sample, for maintainers: the package contains its frames and weights ----------------------

WORKSHOP := .venv/.workshop

$(WORKSHOP): $(INSTALLED)
	@$(PY) -m uv pip install --quiet --python $(PY) -c requirements.lock -r pyproject.toml --extra render
	@touch $@

render: $(WORKSHOP) ## render the frames of the sample again: OUT=results/render/frames.zip
	@$(PY) -m depthclip_core.sample.world.ship "$(or $(OUT),results/render/frames.zip)"

pretrain: $(WORKSHOP) ## train the encoder of the sample again (minutes): OUT=results/pretrain/weights.safetensors
	@$(PY) -m depthclip_core.sample.world.pretrain "$(or $(OUT),results/pretrain/weights.safetensors)"

workshop: $(WORKSHOP) ## test the renderer of the sample and the training of its encoder
	@$(PYTEST) tests/sample/world

# --- tests ------------------------------------------------------------------------------------

test: $(INSTALLED) ## run all tests: lint, unit tests, notebooks compared with their saved outputs
	@failed=""; rm -rf $(TEST_STORE); export DEPTHCLIP_STORE="$(CURDIR)/$(TEST_STORE)"; \
	step() { name="$$1"; shift; echo; echo "== $$name"; env "$$@" || failed="$$failed; $$name"; }; \
	step "ruff check" $(PY) -m ruff check; \
	step "ruff format" $(PY) -m ruff format --check; \
	step "unit tests" $(PYTEST) $(BY_FILE) -m "not notebook and not browser" --ignore=tests/fuzz tests; \
	step "notebooks run with other parameters (papermill), and match their saved outputs (nbval)" \
		$(PYTEST) $(BY_FILE) --nbval --nbval-current-env -m notebook tests/notebooks notebooks; \
	echo; \
	rm -rf $(TEST_STORE); \
	if [ -n "$$failed" ]; then echo "FAILED$${failed}" >&2; exit 1; fi; \
	echo "All passed."

unit: $(INSTALLED) ## run the quick tests only, and no notebook
	@$(PYTEST) $(BY_FILE) -m "not notebook and not slow" --ignore=tests/fuzz tests

fuzz: $(INSTALLED) ## try damaged input of every kind in child processes (ROUNDS=20 for more, SEED=1 for other trials)
	@$(PYTEST) tests/fuzz --rounds=$(or $(ROUNDS),1) --seed=$(or $(SEED),0)

# Its store is kept: a second run makes no network pass. Screenshots: results/browser/.
browser: $(DASHBOARD) ## use all notebooks in JupyterLab, and the dashboard, as a person would (needs chromium; AGAIN=1: what failed)
	@DEPTHCLIP_STORE="$(CURDIR)/results/browser/store" $(PYTEST) $(BY_FILE) -m browser $(if $(AGAIN),--lf) tests

gpu: $(INSTALLED) ## test what needs a CUDA device, on this machine's
	@OMP_NUM_THREADS= $(PY) -m pytest -m gpu tests

portable: $(INSTALLED) ## compare notebooks with their saved outputs as other processors would compute them
	@$(PY) tests/portable.py

lint: $(INSTALLED) ## check code and notebooks with ruff
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check

format: $(INSTALLED) ## fix and format code and notebooks with ruff
	@$(PY) -m ruff check --fix --exit-zero
	@$(PY) -m ruff format

clean: ## remove what make can make again (not .venv, not your data or files)
	@for notebook in $(RESULTS); do \
		grep -qs '"outcome"' "$${notebook%.ipynb}.json" && rm -f "$$notebook" "$${notebook%.ipynb}.json"; \
	done; \
	for figure in results/figures/*.png results/figures/*.pdf; do \
		grep -qs "the DepthCLIP workbook" "$$figure" && rm -f "$$figure"; \
	done; \
	if grep -qs 'content="depthclip report"' results/report/index.html; then \
		rm -f results/report/index.html $(RESULTS:results/%=results/report/%); \
	fi; \
	rm -rf notebooks/.part results/notebooks/.*.part .pytest_cache .ruff_cache .hypothesis $(TEST_STORE) results/browser; \
	rmdir results/report/notebooks results/report results/notebooks results/figures results 2>/dev/null || true
	@find depthclip_core tests notebooks -name __pycache__ -prune -exec rm -rf {} +
