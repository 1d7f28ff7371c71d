"""Rung 5: the build has compiled every kernel for every arch, within its budget.

The build takes warnings for errors. Reference: budget.json, written by
``python -m tests.native.resources`` when a kernel is changed on purpose.
"""

import pytest

from bodyreg import native
from tests.native import resources
from tests.native.resources import Resources

pytestmark = pytest.mark.rung5

REPORT = """\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_ZN7bodyreg1kIfEEvNS_6ParamsIT_EE' for 'sm_90'
ptxas info    : Function properties for _ZN7bodyreg1kIfEEvNS_6ParamsIT_EE
    16 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 40 registers, used 1 barriers, 16 bytes cumulative stack size
"""


def test_report_is_read():
    assert resources.parse_report(REPORT) == {"sm_90": {"k<float>": Resources(40, 16, 8, 12)}}


@pytest.fixture(scope="module")
def measured() -> dict[str, dict[str, Resources]]:
    if not native.load().build_info()["cuda_archs"]:
        pytest.skip("bodyreg was built without CUDA")
    if not resources.BUILD.exists():
        pytest.skip("installed without the reports of its build")
    return resources.measure()


def test_every_arch_is_reported(measured):
    archs = native.load().build_info()["cuda_archs"]
    assert set(measured) == {arch for arch in archs if arch.startswith("sm_")}


@pytest.mark.parametrize("arch", resources.budget())
def test_kernels_stay_within_their_budget(measured, arch):
    if arch not in measured:
        pytest.skip(f"built without {arch}")
    budget = resources.budget()[arch]
    assert measured[arch].keys() == budget.keys(), "kernels came or went: rewrite budget.json"
    for name, taken in measured[arch].items():
        allowed = budget[name]
        assert taken.registers <= allowed.registers, name
        assert taken.stack <= allowed.stack, name
        assert taken.spill_stores <= allowed.spill_stores, name
        assert taken.spill_loads <= allowed.spill_loads, name


def test_nothing_spills(measured):
    for kernels in measured.values():
        for name, taken in kernels.items():
            assert (taken.stack, taken.spill_stores, taken.spill_loads) == (0, 0, 0), name
