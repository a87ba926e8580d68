# make book: everything, from nothing to the rendered book.  make test: the whole test suite.
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: book test pull run bench faults fuzz lint publish environment spice2 archive audit lock
.DEFAULT_GOAL := book

book: pull
	$(BIN)/dvc repro
	@echo "The book: $(CURDIR)/book/_build/html/index.html"

test: environment
	$(BIN)/pytest -n auto --dist worksteal

# DVC removes a damaged object, also where git tracks it
pull: environment
	$(BIN)/dvc pull || { git diff --quiet --diff-filter=D -- remote || \
	    echo "remote/ held damaged objects; \`git restore remote\` brings them back, then: make pull"; exit 1; }

# make run NB=05_entropy P="bin_width_eV=0.05 n_resamples=200"; both reach the shell as data alone
unexport NB P
run: export E3D_NOTEBOOK = $(value NB)
run: export E3D_PARAMETERS = $(value P)
run: pull
	@set -f; for p in $$E3D_PARAMETERS; do set -- "$$@" -p "$$p"; done; \
	    $(BIN)/e3d run "$$@" -- "$$E3D_NOTEBOOK"

# ratios into bench/results.json, on an otherwise idle machine; a smaller version: BENCH=--quick
bench: pull
	$(BIN)/python bench/benchmark.py $(BENCH)

# kills at random moments, full disks and the like, into results/faults.csv; forty minutes. FAULTS="--only book"
faults: pull
	$(BIN)/python bench/faults.py $(FAULTS)

# damaged input of every kind, into results/fuzzing.csv; a quarter of an hour. FUZZ="--only SMILES"
fuzz: pull
	$(BIN)/python bench/fuzz.py $(FUZZ)

# SPICE 2.0.1, 37 GB, into external/; an interrupted download goes on
spice2: environment
	$(BIN)/e3d download spice2

lint: environment
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports --no-logo

# the branch gh-pages of `origin` holds the built book and nothing else
publish: book
	cd book/_build/html && export GIT_DIR="$(CURDIR)/.git" GIT_INDEX_FILE="$(CURDIR)/.git/publish" \
	    && rm -f "$$GIT_INDEX_FILE" && git --work-tree=. add --all --force . && tree=$$(git write-tree) \
	    && git push --force origin "$$(git commit-tree -m Publish $$tree):refs/heads/gh-pages"

# everything in one file with its provenance, for a repository of data such as Zenodo
archive: pull
	$(BIN)/e3d archive --out runs/e3d.zip

# known vulnerabilities of the locked versions; asks the index of packages, so it needs the network
audit: .venv/.tools
	.ci/audit $(AUDIT)

# pins stay as they are unless pyproject.toml rules them out; newer ones: LOCK=--upgrade
lock: .venv/.tools
	.ci/lock $(LOCK)

.venv/.tools: .venv/.made
	$(PYTHON) -m venv .venv/tools
	.venv/tools/bin/pip install --quiet pip-audit==2.10.1 uv==0.13.9 && touch $@

environment: .venv/.made .dvc/config.local

# the locks hold whatever is needed, so pip looks for nothing else; CUDA only for the torch that uses it
INSTALL := -m pip install --quiet --no-deps
.venv/.made: requirements.lock cuda.lock pyproject.toml
	$(PYTHON) -m venv .venv
	@echo "installing the locked dependencies; this takes some minutes"
	sed -nE '/^(packaging|pip|setuptools|wheel)==/,/[^\\]$$/p' requirements.lock > .venv/build.lock
	$(BIN)/python $(INSTALL) --require-hashes --requirement .venv/build.lock
	$(BIN)/python $(INSTALL) --require-hashes --no-build-isolation --requirement requirements.lock
	$(BIN)/pip freeze | grep -q '^torch==.*+cpu' || \
	    $(BIN)/python $(INSTALL) --require-hashes --requirement cuda.lock
	$(BIN)/python $(INSTALL) --no-build-isolation --editable . && touch $@

# absolute, because DVC resolves it against the working directory; its default is world-writable
.dvc/config.local: .venv/.made
	$(BIN)/dvc config --local core.site_cache_dir "$(CURDIR)/.dvc/tmp/site" && touch $@
