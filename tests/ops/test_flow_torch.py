"""`flow`: wrong arguments, equal bits, and (rung 6) its life inside torch.

Reference: the op itself, called plainly.
"""

from __future__ import annotations

import pytest
import torch

from bodyreg import _C, ops
from tests.ops.backends import CUDA, EMULATED, Backend
from tests.ops.cases import assert_same_bits
from tests.ops.flow_cases import Pairs, loose

ON_A_DEVICE = pytest.mark.parametrize(
    "backend",
    [
        pytest.param(EMULATED, marks=pytest.mark.rung3),
        pytest.param(CUDA, marks=pytest.mark.rung7),
    ],
    ids=["emulated", "cuda"],
)


def good(perspective: bool = False, device: str = "cpu") -> Pairs:
    case = loose(3, 25, (8, 9), (7, 11), perspective=perspective)
    return case.to(torch.float32, device)


def assert_refused(message: str, **wrong) -> None:
    with pytest.raises(RuntimeError, match=rf"^bodyreg\.flow: {message}$"):
        good()._replace(**wrong).call(ops)


# Rung 2: arguments.


@pytest.mark.rung2
def test_wrong_arguments_are_named():
    case = good()
    assert_refused(
        "barycentric: expected dtype float32 or float64, got float16",
        barycentric=case.barycentric.half(),
    )
    assert_refused(
        "vertices: expected dtype float32 as barycentric, got float64",
        vertices=case.vertices.double(),
    )
    assert_refused("face: expected dtype int32, got int64", face=case.face.long())
    assert_refused(
        r"face: expected shape \(3, 8, 9\), got \(2, 8, 9\)", face=case.face[:2].contiguous()
    )
    assert_refused(r"faces: expected shape \(any, 3\), got \(25, 2\)", faces=case.faces[:, :2])
    assert_refused(
        r"depth: expected shape \(3, any, any\), got \(7, 11\)", depth=case.depth[0].contiguous()
    )
    assert_refused(
        r"vertices: expected a contiguous tensor, got .*",
        vertices=case.vertices.repeat_interleave(2, -1)[..., ::2],
    )


@pytest.mark.rung2
def test_what_is_not_there_is_named():
    case = good()
    faces = case.faces.clone()
    faces[7, 1] = 75
    assert_refused(r"faces: expected vertices in \[0, 75\), got 75 in face 7", faces=faces)
    face = case.face.clone()
    face[2, 3, 4] = 25
    assert_refused(r"face: expected faces below 25, got 25", face=face)


@ON_A_DEVICE
def test_on_a_device_what_is_not_there_is_background(backend: Backend):
    with backend.active():
        case = loose(2, 40, (16, 16), (16, 16), reach=12).to(torch.float32, backend.device)
        expected = case.call(ops)
        faces, face = case.faces.clone(), case.face.clone()
        faces[5, 0], faces[6, 2] = -1, 120
        face[face == 7] = 40
        out = case._replace(faces=faces, face=face).call(ops)
        gone = (case.face >= 5) & (case.face <= 7)
        assert gone.any() and (out.visibility[gone] == 2).all() and (out.flow[gone] == 0).all()
        assert_same_bits([x[~gone] for x in out], [x[~gone] for x in expected])


# Rung 2: bits.


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("perspective", [False, True])
def test_a_pair_does_not_depend_on_the_batch(backend, perspective, dtype):
    case = loose(7, 40, (21, 19), (17, 23), perspective=perspective).to(dtype, backend.device)
    together = case.call(ops)
    for pairs in ([0], [6], [5, 4, 3]):
        assert_same_bits(case.select(pairs).call(ops), [x[pairs] for x in together])


@pytest.mark.rung2
@pytest.mark.parametrize("perspective", [False, True])
def test_the_number_of_threads_changes_no_bit(set_threads, perspective):
    case = loose(2, 200, (131, 40), (50, 40), perspective=perspective).to(torch.float32)
    set_threads(1)
    expected = case.call(ops)
    for threads in (2, 3, 5):
        set_threads(threads)
        assert_same_bits(case.call(ops), expected)


@pytest.mark.rung2
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("perspective", [False, True])
def test_instruction_sets_agree_bit_for_bit(use_isa, perspective, dtype):
    case = loose(3, 200, (50, 40), (40, 50), perspective=perspective).to(dtype)
    results = []
    for isa in _C.build_info()["isa"]:
        use_isa(isa)
        results.append(case.call(ops))
    for other in results[1:]:
        assert_same_bits(other, results[0])


@ON_A_DEVICE
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("perspective", [False, True])
def test_the_kernel_has_the_bits_of_the_cpu(backend, perspective, dtype):
    case = loose(2, 100, (21, 33), (33, 21), perspective=perspective).to(dtype)
    expected = case.call(ops)
    with backend.active():
        ours = case.to(dtype, backend.device).call(ops)
    assert_same_bits([x.cpu() for x in ours], expected)


# Rung 6.


@pytest.mark.rung6
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("perspective", [False, True])
def test_opcheck(built_backend, perspective, dtype):
    case = good(perspective).to(dtype, built_backend.device)
    torch.library.opcheck(built_backend.library.flow.default, (*case[:5], perspective, 0.5, 4.0))


@pytest.mark.rung6
def test_compile_fullgraph(built_backend):
    case = good(device=built_backend.device)

    def function(vertices):
        out = case._replace(vertices=2 * vertices).call(ops)
        return out.flow + 1, out.visibility.long()

    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    assert_same_bits(compiled(case.vertices), function(case.vertices))


@pytest.mark.rung6
@pytest.mark.parametrize(
    "in_dims", [(0, 0, 0, None, 0), (None, None, 0, None, None), (2, 1, 0, 1, 3), (0, 0, 0, 0, 0)]
)
def test_vmap(built_backend, in_dims):
    cases = [
        loose(2, 25, (8, 9), (7, 11), reach=3 + i).to(torch.float32, built_backend.device)
        for i in range(3)
    ]
    columns = [torch.stack(column) for column in list(zip(*cases, strict=True))[:5]]
    columns[3] = torch.stack([case.faces.roll(i, 0) for i, case in enumerate(cases)])
    laid = [
        x[0] if dim is None else x.movedim(0, dim).contiguous()
        for x, dim in zip(columns, in_dims, strict=True)
    ]
    ours = torch.vmap(lambda *tensors: tuple(ops.flow(*tensors)), in_dims)(*laid)
    for i in range(3):
        own = [x[0 if d is None else i] for x, d in zip(columns, in_dims, strict=True)]
        assert_same_bits([x[i] for x in ours], ops.flow(*own))


@pytest.mark.rung6
@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_autocast_casts_up(built_backend, half):
    case = good(device=built_backend.device).to(half)
    with torch.autocast(built_backend.device, dtype=half):
        out = case.call(ops)
    assert out.flow.dtype == torch.float32
    assert_same_bits(out, case.to(torch.float32).call(ops))
