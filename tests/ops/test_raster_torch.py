"""`raster`: wrong arguments, equal bits, and (rung 6) its life inside torch.

Reference: the op itself, called plainly.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bodyreg import _C, ops
from tests.ops.backends import CPU, CUDA, EMULATED
from tests.ops.cases import assert_same_bits
from tests.ops.raster_cases import SUBPIXELS, fan, soup, sphere, tangle

torch_backend = pytest.mark.parametrize(
    "backend", [CPU, pytest.param(CUDA, marks=pytest.mark.rung7)], ids=["cpu", "cuda"]
)


ON_A_DEVICE = pytest.mark.parametrize(
    "backend",
    [
        pytest.param(EMULATED, marks=pytest.mark.rung3),
        pytest.param(CUDA, marks=pytest.mark.rung7),
    ],
    ids=["emulated", "cuda"],
)


def good() -> tuple[Tensor, Tensor]:
    return soup(2, 20, 8, 9)


def assert_refused(message: str, vertices, faces, height=8, width=9) -> None:
    with pytest.raises(RuntimeError, match=rf"^bodyreg\.raster: {message}$"):
        ops.raster(vertices, faces, height, width)


# Rung 2: arguments.


@pytest.mark.rung2
def test_wrong_arguments_are_named():
    vertices, faces = good()
    assert_refused(
        "vertices: expected dtype float32 or float64, got float16", vertices.half(), faces
    )
    assert_refused(r"vertices: expected shape \(any, any, 3\), got \(60, 3\)", vertices[0], faces)
    assert_refused(
        r"vertices: expected a contiguous tensor, got .*",
        vertices.repeat_interleave(2, -1)[..., ::2],
        faces,
    )
    assert_refused("faces: expected dtype int32, got int64", vertices, faces.long())
    assert_refused(r"faces: expected shape \(any, 3\), got \(1, 20, 3\)", vertices, faces[None])
    for side in (-1, 2**20 + 1):
        expected = f"expected 0 to 1048576 pixels, got {side}"
        assert_refused(f"height: {expected}", vertices, faces, height=side)
        assert_refused(f"width: {expected}", vertices, faces, width=side)


@pytest.mark.rung2
@pytest.mark.parametrize("wrong", [-1, 60, 2**31 - 1])
def test_a_vertex_that_is_not_there_is_named(wrong):
    vertices, faces = good()
    faces[7, 1] = wrong
    assert_refused(
        rf"faces: expected vertices in \[0, 60\), got {wrong} in face 7", vertices, faces
    )
    assert_refused(r"faces: expected vertices in \[0, 0\), got 0 in face 0", vertices[:, :0], faces)


@pytest.mark.rung2
@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("wrong", [torch.nan, torch.inf, -torch.inf])
def test_the_first_vertex_that_is_not_finite_is_named(axis, wrong):
    vertices, faces = good()
    vertices[1, 11:, axis] = wrong
    message = rf"vertices: expected finite numbers, got -?{wrong} for vertex 11 of picture 1"
    assert_refused(message, vertices, faces)
    assert_refused(message, vertices.double(), faces)


@ON_A_DEVICE
def test_on_a_device_faces_with_wrong_vertices_are_not_seen(backend):
    vertices, faces = soup(2, 40, 16, 16, size=12)
    broken, missing = vertices.clone(), faces.clone()
    broken[0, 4, 0], broken[0, 7, 1], broken[0, 11, 2] = torch.nan, torch.inf, -torch.inf
    missing[5, 0], missing[6, 2] = -1, 120
    left = [i for i in range(40) if i not in (1, 2, 3, 5, 6)]
    with backend.active():
        for dtype in (torch.float32, torch.float64):
            device = backend.device
            out = ops.raster(broken.to(device, dtype), missing.to(device), 16, 16)
            expected = ops.raster(vertices.to(device, dtype), faces[left].to(device), 16, 16)
            number = torch.tensor([*left, -1], dtype=torch.int32, device=device)
            assert torch.equal(out.face[0], number[expected.face[0].long()])
            assert torch.equal(out.depth[0], expected.depth[0])


# Rung 2: bits.


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("perspective", [False, True])
def test_a_picture_does_not_depend_on_the_batch(backend, perspective, dtype):
    vertices, faces = soup(7, 70, 21, 19, size=8, perspective=perspective)
    vertices, faces = vertices.to(backend.device, dtype), faces.to(backend.device)
    together = ops.raster(vertices, faces, 21, 19, perspective=perspective)
    for pictures in ([0], [6], [5, 4, 3], list(range(6, -1, -1))):
        some = vertices[pictures].contiguous()
        out = ops.raster(some, faces, 21, 19, perspective=perspective)
        assert_same_bits(out, [x[pictures] for x in together])


@pytest.mark.parametrize("perspective", [False, True])
def test_a_pixel_does_not_depend_on_the_picture_around_it(backend, perspective):
    # A face that crosses the border is drawn by other means than one inside.
    vertices, faces = soup(1, 150, 40, 40, size=3, perspective=perspective)
    vertices[..., :2] = (vertices[..., :2] * SUBPIXELS).round() / SUBPIXELS  # to move exactly
    vertices, faces = vertices.to(backend.device), faces.to(backend.device)
    whole = ops.raster(vertices, faces, 40, 40, perspective=perspective)
    moved = vertices - torch.tensor([9, 13, 0.0], device=backend.device)
    part = ops.raster(moved, faces, 11, 17, perspective=perspective)
    assert_same_bits(part, [x[:, 13:24, 9:26] for x in whole])


@pytest.mark.rung2
def test_the_number_of_threads_changes_no_bit(set_threads):
    # Fewer pictures than threads: each is cut into bands.
    cases = [soup(1, 200, 50, 40, size=5), soup(3, 200, 5, 40, size=30), tangle(2, 20, 50, 33, 31)]
    for vertices, faces in cases:
        set_threads(1)
        expected = ops.raster(vertices, faces, 50, 40)
        for threads in (2, 3, 5):
            set_threads(threads)
            assert_same_bits(ops.raster(vertices, faces, 50, 40), expected)


@pytest.mark.rung2
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("perspective", [False, True])
def test_instruction_sets_agree_bit_for_bit(use_isa, perspective, dtype):
    cases = [
        soup(3, 300, 50, 40, size=2, perspective=perspective),
        soup(3, 100, 50, 40, size=40, perspective=perspective),
        *(fan(1e12, 50, 40), tangle(2, 20, 50, 50, 40), sphere(20, 50, 40)),
    ]
    results = []
    for isa in _C.build_info()["isa"]:
        use_isa(isa)
        results.append(
            [ops.raster(v.to(dtype), f, 50, 40, perspective=perspective) for v, f in cases]
        )
    for other in results[1:]:
        for ours, expected in zip(other, results[0], strict=True):
            assert_same_bits(ours, expected)


@ON_A_DEVICE
def test_the_kernels_have_the_bits_of_the_cpu(backend):
    for perspective in (False, True):
        for size in (2, 30):
            for dtype in (torch.float32, torch.float64):
                vertices, faces = soup(2, 100, 21, 33, size=size, perspective=perspective)
                vertices = vertices.to(dtype)
                expected = ops.raster(vertices, faces, 21, 33, perspective=perspective)
                with backend.active():
                    ours = ops.raster(
                        vertices.to(backend.device),
                        faces.to(backend.device),
                        21,
                        33,
                        perspective=perspective,
                    )
                assert_same_bits([x.cpu() for x in ours], expected)


# Rung 6.


@pytest.mark.rung6
@torch_backend
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_opcheck(backend, dtype):
    with backend.active():
        vertices, faces = (x.to(backend.device) for x in good())
        for perspective in (False, True):
            arguments = (vertices.to(dtype), faces, 8, 9, perspective, False)
            torch.library.opcheck(backend.library.raster.default, arguments)


@pytest.mark.rung6
@torch_backend
def test_compile_fullgraph(backend):
    with backend.active():
        vertices, faces = (x.to(backend.device) for x in good())

        def function(vertices):
            out = ops.raster(2 * vertices, faces, 8, 9)
            return out.face + 1, out.barycentric.sum(-1), out.depth.clamp(min=0)

        compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
        assert_same_bits(compiled(vertices), function(vertices))


@pytest.mark.rung6
@torch_backend
def test_vmap(backend):
    with backend.active():
        each = [soup(2, 20, 8, 9, seed=seed) for seed in range(3)]
        vertices = torch.stack([v for v, _ in each]).to(backend.device)
        faces = torch.stack([f.roll(i, 0) for i, (_, f) in enumerate(each)]).to(backend.device)

        def draw(v, f):
            return tuple(ops.raster(v, f, 8, 9))

        for in_dims in ((0, None), (None, 0), (0, 0), (2, None), (2, 1)):
            arguments = (vertices, faces)
            laid = [
                x[0] if dim is None else x.movedim(0, dim).contiguous()
                for x, dim in zip(arguments, in_dims, strict=True)
            ]
            ours = torch.vmap(draw, in_dims)(*laid)
            for i in range(3):
                own = [x[0 if d is None else i] for x, d in zip(arguments, in_dims, strict=True)]
                assert_same_bits([x[i] for x in ours], draw(*own))


@pytest.mark.rung6
@torch_backend
@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_autocast_casts_up(backend, half):
    with backend.active():
        vertices, faces = (x.to(backend.device) for x in good())
        with torch.autocast(backend.device, dtype=half):
            out = ops.raster(vertices.to(half), faces, 8, 9)
        assert out.depth.dtype == torch.float32
        assert_same_bits(out, ops.raster(vertices.to(half).float(), faces, 8, 9))


@pytest.mark.rung6
@torch_backend
def test_asking_for_a_gradient_is_a_clear_error(backend):
    with backend.active():
        vertices, faces = (x.to(backend.device) for x in good())
        out = ops.raster(vertices.requires_grad_(), faces, 8, 9)
        assert not out.face.requires_grad
        with pytest.raises(RuntimeError, match=r"bodyreg\.raster: it is not differentiable"):
            out.barycentric.sum().backward()


@pytest.mark.rung6
@pytest.mark.skipif(bool(_C.build_info()["cuda_archs"]), reason="built with CUDA")
def test_cuda_tensors_without_cuda_kernels_are_a_clear_error():
    cuda = torch._C.DispatchKeySet(torch._C.DispatchKey.CUDA)
    with pytest.raises(RuntimeError, match="bodyreg was built without CUDA"):
        torch.ops.bodyreg.raster.default.redispatch(cuda, *good(), 8, 9, False, False)
