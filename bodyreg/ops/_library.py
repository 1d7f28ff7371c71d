"""What the op files share: the native library, and the rules of registration.

An op file registers its fake, autograd, autocast and vmap for a torch namespace, "bodyreg" on
import. Tests register the same for a namespace whose kernels run elsewhere, and route the public
functions there with `routed_to`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

try:
    from bodyreg import _C  # loading it defines torch.ops.bodyreg
except ImportError as error:
    raise ImportError(
        "bodyreg's native library is missing or does not fit this torch: build it with "
        f"`pip install -e . --no-build-isolation` ({error})"
    ) from error

NAMESPACE = "bodyreg"

# The namespace whose ops the public functions call.
active: Any = torch.ops.bodyreg

_registrations: list[Callable[[str], None]] = []


def registration(register: Callable[[str], None]) -> Callable[[str], None]:
    """Decorates an op file's `register(namespace)`: runs it, and keeps it for `register_all`."""
    register(NAMESPACE)
    _registrations.append(register)
    return register


def register_all(namespace: str) -> None:
    """Registers fake, autograd, autocast and vmap of every op for another namespace."""
    for register in _registrations:
        register(namespace)


@contextmanager
def routed_to(namespace: str) -> Iterator[None]:
    """Makes the public functions call the ops of another namespace."""
    global active
    before, active = active, getattr(torch.ops, namespace)
    try:
        yield
    finally:
        active = before


def register_op(
    name: str,
    *,
    fake: Callable,
    setup_context: Callable,
    backward: Callable,
    vmap: Callable,
) -> None:
    """Registers a differentiable op, `name` being "namespace::op"."""
    torch.library.register_fake(name, fake)
    torch.library.register_autograd(name, backward, setup_context=setup_context)
    torch.library.register_vmap(name, vmap)
    _register_devices(name)


def register_solver_op(name: str, *, fake: Callable, vmap: Callable | None = None) -> None:
    """Registers an op without a derivative. Asking for one is an error that says so."""

    def refuse(ctx: Any, *grads: torch.Tensor) -> None:
        raise RuntimeError(f"bodyreg.{name.split('::')[1]}: it is not differentiable")

    torch.library.register_fake(name, fake)
    torch.library.register_autograd(name, refuse)
    if vmap is not None:
        torch.library.register_vmap(name, vmap)
    _register_devices(name)


def _register_devices(name: str) -> None:
    for device in ("cpu", "cuda"):
        torch.library.register_autocast(name, device, torch.float32)
    if not _C.build_info()["cuda_archs"] and name.startswith(f"{NAMESPACE}::"):
        torch.library.register_kernel(name, "cuda", _refuse_cuda)


def register_backward_op(name: str, *, fake: Callable, vmap: Callable) -> None:
    """Registers the backward of an op. Differentiating it again is an error that says so."""

    def refuse(ctx: Any, *grads: torch.Tensor) -> None:
        op = name.split("::")[1].split("_backward")[0]
        raise RuntimeError(f"bodyreg.{op}: second derivatives are not implemented")

    torch.library.register_fake(name, fake)
    torch.library.register_autograd(name, refuse)
    torch.library.register_vmap(name, vmap)


def _refuse_cuda(*args: Any) -> None:
    raise RuntimeError(
        "bodyreg was built without CUDA: build it where nvcc is, with BODYREG_CUDA=1, or use "
        "tensors on the CPU"
    )


def folded(size: int, dim: int | None, tensor: torch.Tensor) -> torch.Tensor:
    """A per-person argument of a vmapped call with the new dimension folded into the people.

    Args:
        size: of the vmapped dimension, V.
        dim: where it is in `tensor`, or None if it is not.
        tensor: (B, ...), with V somewhere unless `dim` is None.

    Returns:
        (V B, ...), contiguous.
    """
    lifted = tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
    return lifted.flatten(0, 1).contiguous()


def folded_shareable(
    size: int, dim: int | None, tensor: torch.Tensor, shared_dims: int, people: int
) -> torch.Tensor:
    """The same for an argument that all people may share.

    One that is shared stays so unless it differs along the vmapped dimension.

    Args:
        size: of the vmapped dimension.
        dim: where it is in `tensor`, or None if it is not.
        tensor: the argument, as the op would see it but for the vmapped dimension.
        shared_dims: the number of dimensions of the shared form.
        people: B.
    """
    is_shared = tensor.dim() - (dim is not None) == shared_dims
    if is_shared and dim is None:
        return tensor
    if is_shared:
        tensor = tensor.movedim(dim, 0).unsqueeze(1).expand(-1, people, *[-1] * shared_dims)
        dim = 0
    return folded(size, dim, tensor)


def unfolded(size: int, tensors: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """(V B, ...) back to (V, B, ...)."""
    return tuple(tensor.unflatten(0, (size, -1)) for tensor in tensors)


def people_of(dim: int | None, tensor: torch.Tensor) -> int:
    """B of a per-person argument of a vmapped call."""
    return tensor.shape[0 if dim is None or dim > 0 else 1]
