"""What the op files share: the native library, and the rules of registration.

An op file registers its fake, autograd, autocast and vmap for a torch namespace, "bodyreg" on
import. Tests register the same for a namespace whose kernels run elsewhere, and route the public
functions there with `routed_to`.

What `torch.library` registers serves `torch.autograd`, `torch.compile` and `torch.vmap`. It does
not serve the derivatives of `torch.func`, which end in an error, or forward mode, where they are
silent zeros. There the functions of `ops_of` call a `torch.autograd.Function`, made from the
same registration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import islice
from types import SimpleNamespace
from typing import Any

import torch
from torch.autograd import forward_ad

from bodyreg import native

_C = native.load()

NAMESPACE = "bodyreg"
HALF = (torch.float16, torch.bfloat16)


@cache
def ops_of(namespace: str) -> SimpleNamespace:
    """The ops that are registered for a torch namespace, as functions."""
    return SimpleNamespace()


# The ops that the public functions call.
active = ops_of(NAMESPACE)

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
    before, active = active, ops_of(namespace)
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
    refuse = _refusal(
        f"{_public(name)}: forward-mode derivatives are not implemented; use reverse mode "
        "(torch.autograd.grad, torch.func.grad, vjp, jacrev)"
    )
    _define(name, fake, setup_context, backward, refuse, vmap)
    _register_devices(name)


def register_solver_op(name: str, *, fake: Callable, vmap: Callable | None = None) -> None:
    """Registers an op without a derivative. Asking for one is an error that says so."""
    refuse = _refusal(f"{_public(name)}: it is not differentiable")
    _define(name, fake, _keep_nothing, refuse, refuse, vmap)
    _register_devices(name)


def register_backward_op(name: str, *, fake: Callable, vmap: Callable) -> None:
    """Registers the backward of an op. Differentiating it again is an error that says so."""
    refuse = _refusal(f"{_public(name)}: second derivatives are not implemented")
    _define(name, fake, _keep_nothing, refuse, refuse, vmap)


def _define(
    name: str,
    fake: Callable,
    setup_context: Callable,
    backward: Callable,
    jvp: Callable,
    vmap: Callable | None,
) -> None:
    """Registers an op both ways: with `torch.library`, and as a function of `ops_of`."""
    torch.library.register_fake(name, fake)
    torch.library.register_autograd(name, backward, setup_context=setup_context)
    if vmap is not None:
        torch.library.register_vmap(name, vmap)
    namespace, op = name.split("::")
    raw = getattr(getattr(torch.ops, namespace), op)
    members = {
        "forward": lambda *arguments: raw(*_nested(arguments)),
        "setup_context": setup_context,
        "backward": backward,
        "jvp": jvp,
        "vmap": vmap,
    }
    kinds = {key: staticmethod(member) for key, member in members.items() if member is not None}
    function: Any = type(
        op, (torch.autograd.Function,), {**kinds, "generate_vmap_rule": vmap is None}
    )

    def call(*arguments: Any) -> Any:
        if torch.compiler.is_compiling() or not _is_transformed():
            return raw(*arguments)
        return function.apply(*map(_autocast, _flat(arguments)))

    setattr(ops_of(namespace), op, call)


def _is_transformed() -> bool:
    """Whether a transform of `torch.func` or forward mode is on."""
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


class _Count(int):
    """How many of the arguments that follow are a list."""


def _flat(arguments: Iterable[Any]) -> Iterator[Any]:
    """Arguments with their lists of tensors laid open: a transform does not see inside a list."""
    for argument in arguments:
        if isinstance(argument, list) and any(isinstance(x, torch.Tensor) for x in argument):
            yield _Count(len(argument))
            yield from argument
        else:
            yield argument


def _nested(arguments: Iterable[Any]) -> Iterator[Any]:
    """The arguments that `_flat` was given."""
    rest = iter(arguments)
    for argument in rest:
        yield list(islice(rest, argument)) if isinstance(argument, _Count) else argument


def _autocast(argument: Any) -> Any:
    """What the registered op gets under autocast: half precision is cast up."""
    is_half = isinstance(argument, torch.Tensor) and argument.dtype in HALF
    if is_half and torch.is_autocast_enabled(argument.device.type):
        return argument.float()
    return argument


def _keep_nothing(ctx: Any, inputs: tuple, output: Any) -> None:
    """The context of an op whose backward is an error."""


def _refusal(message: str) -> Callable:
    def refuse(ctx: Any, *gradients: Any) -> None:
        raise RuntimeError(message)

    return refuse


def _public(name: str) -> str:
    """The name that a user knows an op by."""
    return f"bodyreg.{name.split('::')[1].split('_backward')[0]}"


def _register_devices(name: str) -> None:
    for device in ("cpu", "cuda"):
        torch.library.register_autocast(name, device, torch.float32)
    if not _C.build_info()["cuda_archs"] and name.startswith(f"{NAMESPACE}::"):
        torch.library.register_kernel(name, "cuda", _refuse_cuda)


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
    if is_shared:
        if dim is None:
            return tensor
        tensor = tensor.movedim(dim, 0).unsqueeze(1).expand(-1, people, *[-1] * shared_dims)
        dim = 0
    return folded(size, dim, tensor)


def unfolded(size: int, tensors: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """(V B, ...) back to (V, B, ...)."""
    return tuple(tensor.unflatten(0, (size, -1)) for tensor in tensors)


def people_of(dim: int | None, tensor: torch.Tensor) -> int:
    """B of a per-person argument of a vmapped call."""
    return tensor.shape[0 if dim is None or dim > 0 else 1]


def is_channels_last(*pictures: torch.Tensor | None) -> bool:
    """Whether one of the tensors (B, C, H, W) lies in memory as (B, H, W, C) alone."""
    return any(
        not picture.is_contiguous() and picture.movedim(1, -1).is_contiguous()
        for picture in pictures
        if picture is not None
    )


def laid_out(picture: torch.Tensor, channels_last: bool) -> torch.Tensor:
    """The tensor (B, C, H, W) in that layout; the same if it has it. vmap can do this."""
    if not channels_last:
        return picture.contiguous()
    return picture.movedim(1, -1).contiguous().movedim(-1, 1)


def empty_picture(like: torch.Tensor, channels_last: bool, *sizes: int) -> torch.Tensor:
    """An uninitialised tensor (B, C, H, W) with the dtype and on the device of another."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return torch.empty(sizes, dtype=like.dtype, device=like.device, memory_format=layout)
