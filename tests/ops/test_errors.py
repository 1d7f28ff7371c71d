"""Wrong arguments: the message names op and argument, what was expected and what was got."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from bodyreg import ops
from tests.ops import cases
from tests.ops.cases import FORMS, Case

pytestmark = pytest.mark.rung2

TENSORS = [
    (form, i)
    for form, make in FORMS.items()
    for i, argument in enumerate(make(3, 5).arguments)
    if isinstance(argument, torch.Tensor)
]
NAMES = {
    "kinematics": ["rotations", "segment_scale", "joints"],
    "lbs": ["transforms", "joint_ids", "anchors"],
    "projection": ["points", "rotation", "scale", "translation", "perspective"],
    "gram_schmidt": ["matrix"],
    "correspondence": [
        *["transforms", "rotation", "scale", "translation"],
        *["joint_ids", "anchors", "targets", "weights"],
    ],
    "warp": ["features", "flow", "visibility"],
}


def assert_refused(case: Case, name: str, expected: str) -> None:
    with pytest.raises(RuntimeError, match=rf"^bodyreg\.{case.op}: {name}: expected {expected}"):
        case.call(ops)


@pytest.mark.parametrize(("form", "i"), TENSORS)
def test_shape(form, i):
    case = FORMS[form](3, 5).to(torch.float32)
    wrong = case.arguments[i].unsqueeze(-1).unsqueeze(-1)
    assert_refused(case.with_argument(i, wrong), NAMES[case.op][i], r"shape \(.*\), got \(")


@pytest.mark.parametrize(("form", "i"), TENSORS)
def test_dtype(form, i):
    case = FORMS[form](3, 5).to(torch.float32)
    if i == 0:
        wrong, expected = torch.int64, "dtype float32 or float64, got int64"
    elif case.arguments[i].is_floating_point():
        wrong, expected = torch.float64, r"dtype float32 as \w+, got float64"
    else:
        own = str(case.arguments[i].dtype).removeprefix("torch.")
        wrong, expected = torch.int64, f"dtype {own}, got int64"
    wrong = case.arguments[i].to(wrong)
    assert_refused(case.with_argument(i, wrong), NAMES[case.op][i], expected)


@pytest.mark.parametrize(("form", "i"), TENSORS)
def test_layout(form, i):
    case = FORMS[form](3, 5).to(torch.float32)
    argument = case.arguments[i]
    strided = argument.repeat_interleave(2, -1)[..., ::2]
    wrong = case.with_argument(i, strided)
    assert_refused(
        wrong,
        NAMES[case.op][i],
        r"a contiguous( or channels-last)? tensor, got strides \(.*\); "
        r"call \.contiguous\(\) on it$",
    )


def test_half_precision_without_autocast():
    case = FORMS["projection"](3, 5).to(torch.float16)
    assert_refused(case, "points", "dtype float32 or float64, got float16")


def test_sizes_that_disagree():
    case = FORMS["projection"](3, 5).to(torch.float32)
    wrong = case.with_argument(2, torch.ones(4))
    assert_refused(wrong, "scale", r"shape \(3,\), got \(4,\)")


@pytest.mark.parametrize(
    ("parents", "got"),
    [
        ([0, *cases.SMPL_PARENTS[1:]], "0 for joint 0"),
        ([-1, 1, *cases.SMPL_PARENTS[2:]], "1 for joint 1"),
        ([-1, -1, *cases.SMPL_PARENTS[2:]], "-1 for joint 1"),
        ([], "0$"),
        ([-1] + [0] * 128, "129$"),
    ],
)
def test_parents(parents, got):
    case = FORMS["kinematics"](3, 5).to(torch.float32).with_argument(3, parents)
    assert_refused(case, "parents", f".*, got {got}")


@pytest.mark.parametrize("width", [0.0, -1.0, float("nan")])
def test_width(width):
    case = FORMS["correspondence"](3, 5).to(torch.float32).with_argument(8, width)
    assert_refused(case, "width", "a positive number, got")


@pytest.mark.parametrize("i", [5, 6, 7])
def test_correspondence_has_no_gradient_for_evidence(i):
    case = FORMS["correspondence"](3, 5).to(torch.float32)
    case = case.with_argument(i, case.arguments[i].clone().requires_grad_())
    with pytest.raises(ValueError, match=f"correspondence: {NAMES['correspondence'][i]}: expected"):
        case.call(ops)


def test_ops_import_with_torch_and_numpy_alone():
    blocked = ["cv2", "pycocotools", "scipy", "tqdm", "trimesh", "tyro", "matplotlib"]
    code = f"import sys; sys.modules.update(dict.fromkeys({blocked})); import bodyreg.ops; "
    code += "import bodyreg.reference; bodyreg.__version__"
    subprocess.run([sys.executable, "-c", code], check=True)
