# Two commands matter: `make demo` and `make test`. Each does all its own set-up; a second run of it takes seconds.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FOLDERS := emotiw lbp_mapping prototxt data_prep engine train evaluate
# Two tests at a time: the programs that a test starts seldom use two cores.
TESTS := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal
SOURCES := $(shell find $(FOLDERS) -type f -not -name '*.pyc') setup.py README.md
PIP := $(BIN)/pip install --disable-pip-version-check

.PHONY: demo test test-all bench docs protobufs lint types install caffe clean sizes
.DELETE_ON_ERROR:

# The demo trains only with Caffe, so it does not need PyTorch, which is the largest part of `make install`.
demo: sizes caffe
	$(BIN)/emotiw demo -o demo

test: lint types caffe install
	$(TESTS) -m "not slow and not gpu"

test-all: lint types caffe install protobufs $(VENV)/sphinx
	$(TESTS) -m "not gpu"

# Needs an otherwise idle machine: 40 minutes on 2 cores.
bench: caffe install
	$(BIN)/python -P benchmarks

# The site: open site/index.html. A warning is an error.
docs: $(VENV)/installed $(VENV)/sphinx
	rm -rf site
	$(BIN)/sphinx-build --quiet --fail-on-warning --conf-dir docs --doctree-dir build/doctrees --fresh-env . site

# Caffe's messages are built at run time, and every protobuf release must give the same ones.
protobufs: caffe
	set -e; for release in 4 5 6 7; do \
	  folder=$$(mktemp -d); \
	  $(BIN)/pip install --quiet --disable-pip-version-check --target $$folder "protobuf==$$release.*"; \
	  PYTHONPATH=$$folder $(BIN)/python -P -c "import google.protobuf as p; print('protobuf', p.__version__)"; \
	  PYTHONPATH=$$folder $(BIN)/pytest -q -m "not slow" tests/prototxt; \
	  rm -rf $$folder; \
	done

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Run in another folder: here, mypy would check only the folder emotiw, not the installed package of that name.
types: install
	cd $(VENV) && bin/mypy --config-file ../pyproject.toml --cache-dir ../.mypy_cache

caffe: $(VENV)/installed
	$(BIN)/emotiw caffe install

install: $(VENV)/installed $(VENV)/torch

# Sizes and times of a first run, measured on 2 cores.
sizes:
	@test -e $(VENV)/installed || printf '%s\n' \
	  'First it fetches 400 MB of packages (1.5 GB in $(VENV)) and 159 MB of Caffe (0.6 GB in ~/.cache/emotiw): 2 minutes.' \
	  'Then it draws faces and trains on them (280 MB in demo): 4 minutes.'

# The tests use the installed wheel; install it again whenever a file of the package changes.
$(VENV)/installed: $(VENV)/locked $(SOURCES)
	rm -rf build
	$(PIP) --quiet --no-deps --no-build-isolation --force-reinstall .
	rm -rf build
	touch $@

# One lock has the packages of tests and demo, because pip can check only the hashes of a whole lock.
$(VENV)/locked: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "emotiw needs Python 3.11 or newer; name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv is missing: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) --require-hashes -r requirements.lock
	touch $@

# Not in the lock, because the wheel depends on the machine: 0.2 GB for a CPU, 2.3 GB if pip takes the one with CUDA.
$(VENV)/torch: $(VENV)/locked
	$(PIP) 'torch==2.13.0' 'h5py>=3.10,<4'
	touch $@

# Locked apart from the rest, so that no other target fetches it.
$(VENV)/sphinx: $(VENV)/locked docs/requirements.lock
	$(PIP) --require-hashes -r docs/requirements.lock
	touch $@

clean:
	rm -rf $(VENV) build site *.egg-info .mypy_cache .ruff_cache .pytest_cache
