# Guo et al. (2021) from the model grid to the figures. `make` lists what can be made.
#
# PROFILE=quick|paper   size of everything
# SOURCE=mock|lamost    simulated stars, or real spectra in data/raw/
# GRID=embedded|tlusty|PATH  model grid; tlusty is what `make data` builds
# RV=measured|catalogue  radial velocities: by cross-correlation, or from a catalogue, as in the paper
# For instance: make fig-3 PROFILE=quick

PROFILE = paper
SOURCE = mock
GRID = embedded
SEED = 257
RV = measured
PORT = 8866
PYTHON = python3

READY = .venv/.ready
PY = .venv/bin/python
PIPELINE = $(PY) -m compendium.pipeline.build
# Values go to Python through the environment, unexpanded: no shell ever reads one as a command.
VARIABLES = PROFILE SOURCE GRID SEED RV PORT FILE FETCH CLUSTER LONG
$(foreach name,$(VARIABLES),$(eval export MAKE_$(name) := $$(value $(name)))$(eval unexport $(name)))
OPTIONS = --profile="$$MAKE_PROFILE" --source="$$MAKE_SOURCE" --grid="$$MAKE_GRID" --seed="$$MAKE_SEED" --rv="$$MAKE_RV"
# What tests and pictures stand on, whatever was asked for.
SMALL = --profile=quick --source=mock --grid=embedded --seed=257 --rv=measured
CODE = slamlib compendium tests notebooks benchmarks
NOTEBOOKS = notebooks/*.ipynb notebooks/teaching/*.ipynb
# JupyterLab writes the version of Python into every notebook that it opens; that is no change.
STRIP = $(PY) -m nbstripout --extra-keys metadata.language_info

# Only the virtual environment's own packages count.
unexport PYTHONPATH PYTHONHOME
export PYTHONNOUSERSITE = 1

.PHONY: help install paper quick notebooks data test fuzz test-served lint models calibration laboratory learning bench bench-cluster bench-long
.PHONY: site picture lab explore clean lock verify stale trace numbers verify-twice torture audit sbom
.DELETE_ON_ERROR:

help: ## this list (the default)
	@echo "Targets (PROFILE=$$MAKE_PROFILE SOURCE=$$MAKE_SOURCE GRID=$$MAKE_GRID):"
	@sed -n 's/^\([a-zA-Z%-]*\):[^#]*## \(.*\)/  \1|\2/p' $(firstword $(MAKEFILE_LIST)) \
	    | sed 's/%/N/' | awk -F'|' '{printf "%-15s%s\n", $$1, $$2}'

paper: $(READY) ## every figure and table; the paper's sizes unless PROFILE=quick
	@$(PIPELINE) all $(OPTIONS)

quick: export MAKE_PROFILE = quick
quick: paper ## every figure and table at small size, about 6 minutes

notebooks: $(READY) ## run the notebooks, publish nothing
	@$(PIPELINE) notebooks $(OPTIONS)

fig-% table-%: export MAKE_TARGET = $@

fig-%: $(READY) ## one figure and what it needs
	@$(PIPELINE) $(OPTIONS) -- "$$MAKE_TARGET"

table-%: $(READY) ## one table and what it needs
	@$(PIPELINE) $(OPTIONS) -- "$$MAKE_TARGET"

stale: $(READY) ## what would be made again, and why
	@$(PIPELINE) stale $(OPTIONS)

install: $(READY) ## only the pinned packages and the command .venv/bin/slamlib
	@echo "installed; try .venv/bin/slamlib --help"

data: $(READY) ## fetch the real data: hours and many GB; choose by FETCH='--help'
	@$(PY) -m compendium.libraries
	@set -f; $(PY) -m slamlib fetch all --build $$MAKE_FETCH

test: $(READY) lint ## all tests, on the notebooks at small size; slamlib's lines at least 90% run
	@$(PIPELINE) notebooks $(SMALL)
	@SLAMLIB_CORES=1 $(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=term:skip-covered

fuzz: $(READY) ## thousands of spoilt files: what became of each kind; a few minutes
	@$(PIPELINE) notebooks $(SMALL)
	@FUZZ_SEED="$$MAKE_SEED" $(PY) -m pytest -q -m fuzz tests/test_fuzz.py tests/test_cards.py

test-served: $(READY) ## the paper on real file formats, fetched from a server of its own; about 7 minutes
	@$(PY) -m pytest -m served tests/test_served_paper.py

lint: $(READY) ## style of code and notebooks, types of slamlib
	@$(PY) -m ruff check --quiet $(CODE)
	@$(PY) -m mypy --no-error-summary
	@$(STRIP) --verify --dry-run $(NOTEBOOKS) || { echo "run: $(STRIP) $(NOTEBOOKS)"; exit 1; }
	@$(PY) -m ruff format --check --quiet $(CODE) || { echo "run: $(PY) -m ruff format $(CODE)"; exit 1; }

verify: $(READY) ## make again what changed; is each output as recorded?
	@$(PIPELINE) verify $(OPTIONS)

trace: $(READY) ## where a figure or table comes from: FILE=fig03
	@$(PIPELINE) $(OPTIONS) -- trace "$$MAKE_FILE"

numbers: $(READY) ## fill the numbers of README.md from what was made
	@$(PY) -m compendium.numbers --profile="$$MAKE_PROFILE" --grid="$$MAKE_GRID" --seed="$$MAKE_SEED"

verify-twice: quick ## `make quick` in a second folder: the same bytes?
	@$(PY) -m benchmarks.torture --kills 0

torture: quick ## the same, disturbed 30 times on the way; long
	@$(PY) -m benchmarks.torture --kills 30 --seed="$$MAKE_SEED"

models: $(READY) ## the labellers that come with slamlib, anew; about 5 minutes
	@for name in LRS MRS BOSS HERMES; do $(PY) -m slamlib train --instrument $$name --output data/embedded/models || exit 1; done

calibration: $(READY) ## do errors mean what they say? build/calibration.json
	@$(PIPELINE) calibration $(OPTIONS)

laboratory: $(READY) ## what is wrong with a star, and what becomes of its labels
	@$(PIPELINE) laboratory $(OPTIONS)

learning: $(READY) ## a simulated survey tells what is wrong with the models
	@$(PIPELINE) learning $(OPTIONS)

site: notebooks ## the site, offline: build/site/html/index.html
	@$(PY) -m compendium.teaching shown build/lessons
	@$(PY) -m compendium.site.build $(OPTIONS)

picture: $(READY) ## the README's picture, from the notebooks at small size
	@$(PIPELINE) notebooks $(SMALL)
	@$(PY) -m compendium.overview --profile quick

audit: $(READY) ## known faults of the pinned packages, where an index of advisories can be reached
	@$(PY) -m compendium.supply audit

sbom: $(READY) ## the pinned packages as a bill of materials (CycloneDX): build/sbom.cdx.json
	@$(PY) -m compendium.supply sbom

bench: $(READY) ## time training and inference beside the reference's methods
	@$(PY) -m benchmarks.bench

bench-cluster: $(READY) ## 100,000 simulated stars on a cluster of this machine, with the models of PROFILE
	@set -f; $(PY) -m benchmarks.cluster --profile="$$MAKE_PROFILE" $$MAKE_CLUSTER

bench-long: $(READY) ## 20,000 simulated files by slamlib label, stopped on the way; LONG="--stars 2000" is shorter
	@set -f; $(PY) -m benchmarks.long --profile="$$MAKE_PROFILE" $$MAKE_LONG

lab: $(READY) ## open the notebooks in JupyterLab
	@$(PY) -m jupyterlab --notebook-dir=. --LabApp.default_url=/lab/tree/notebooks/00_overview.ipynb

# The explorer shows the models and the catalogue that table 1 is made of.
explore: $(READY) ## sliders, spectra and the HR diagram as a web page; PORT=8866
	@$(PIPELINE) 06_lamost_labels $(OPTIONS)
	@$(PY) -m compendium.explorer $(OPTIONS) --port="$$MAKE_PORT"

clean: ## delete everything computed; data/raw and .venv stay
	rm -rf build tables data/products
	find figures -type f ! -name README.md -delete

# Extras stay in the names: pip, which checks hashes, refuses `coverage[toml]` if only `coverage` is pinned.
lock: ## renew requirements.lock (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv: $(PYTHON) -m pip install uv"; exit 1; }
	uv pip compile pyproject.toml compendium/pyproject.toml --all-extras --universal --python-version 3.11 --fork-strategy fewest --no-strip-extras \
	    --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-package slamlib \
	    --custom-compile-command "make lock" --quiet --output-file requirements.lock

# The filter keeps outputs out of the repository; it is set for this clone alone. Git looks at the files of a
# fresh clone once more: now, and not through the filter, which takes a second for each notebook.
$(READY): requirements.lock pyproject.toml compendium/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "$(PYTHON) is missing or older than 3.11; name another: make PYTHON=python3.12"; exit 1; }
	@echo "Installing the pinned packages into .venv (once, a minute or two) ..."
	@$(PY) -c '' 2>/dev/null || $(PYTHON) -m venv --clear .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . -e compendium
	@if [ -e .git ] && command -v git >/dev/null; then \
	    git update-index -q --refresh >/dev/null; \
	    git config filter.nbstripout.clean "$(STRIP)" && \
	    git config filter.nbstripout.smudge cat && \
	    git config diff.ipynb.textconv "$(PY) -m nbstripout -t" || true; fi
	@touch $@
