"""Checkpoints: tensors, and JSON in the header of a safetensors file. Nothing is unpickled."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from bodyreg.errors import InstallationError, UserError
from bodyreg.files import atomic_path, reading, require_file

FACTS = "bodyreg"
"""The entry of a header that has the facts."""

LARGEST = 1 << 33
"""Bytes of a checkpoint; no network here is nearly as large."""

About = TypeVar("About")
AnyModule = TypeVar("AnyModule", bound=nn.Module)


def save_checkpoint(
    path: str | os.PathLike, form: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]
) -> None:
    """Write tensors and facts to a safetensors file, whole or not at all.

    Args:
        path: The file.
        form: The kind of checkpoint, which `load_checkpoint` asks for.
        tensors: By name.
        facts: Plain values for JSON.

    Raises:
        UserError: a number is not finite, because what learns has diverged; nothing is written.
    """
    safetensors = _safetensors()
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise UserError(
                f"{path}: not written, because '{name}' is not finite; lower the learning rate"
            )
    header = {FACTS: json.dumps({"format": form, **facts}, sort_keys=True)}
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        temporary.write_bytes(safetensors.save(plain, header))


def load_checkpoint(path: str | os.PathLike, form: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts of a file of `save_checkpoint`.

    Raises:
        UserError: the file is missing, damaged, or of another kind, or a number is not finite.
    """
    data = _read(path)
    tensors = _tensors(data, path)
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        facts = json.loads(header["__metadata__"][FACTS])
        found = facts.pop("format")
    except Exception as error:  # JSON may hold anything
        raise UserError(f"{path}: not a checkpoint of bodyreg, or damaged") from error
    if found != form:
        raise UserError(f"{path}: is '{found}', expected '{form}'")
    require_finite(tensors, path)
    return tensors, facts


def save_network(
    path: str | os.PathLike,
    form: str,
    network: nn.Module,
    about: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> None:
    """Write a network, as of `save_checkpoint`.

    Args:
        path: The file.
        form: The kind of checkpoint.
        network: Its weights and statistics are written.
        about: What the network is built from, plain values.
        facts: What made it; plain values.
    """
    save_checkpoint(path, form, network.state_dict(), {**about, "facts": dict(facts)})


def load_network(
    path: str | os.PathLike,
    form: str,
    what: str,
    read: Callable[[dict[str, Any]], About],
    build: Callable[[About], AnyModule],
) -> tuple[AnyModule, About, dict[str, Any]]:
    """A network of a file of `save_network`, what it was built from, and the facts.

    Args:
        path: The file.
        form: The kind of checkpoint.
        what: The name of such a file's content, for messages.
        read: Makes what `build` takes of the file's plain values. It may raise a UserError, a
            KeyError, a TypeError, an AttributeError or an OverflowError: then they are damaged.
        build: Makes the network; its weights are then the file's.

    Raises:
        UserError: the file is missing, damaged, or of another kind.
    """
    tensors, plain = load_checkpoint(path, form)
    try:
        about, facts = read(plain), plain["facts"]
        if not isinstance(facts, dict):
            raise TypeError("facts")
    except (KeyError, TypeError, AttributeError, OverflowError, UserError) as error:
        raise UserError(f"{path}: what it says of the {what} is damaged") from error
    with torch.device("meta"):
        network = build(about)
    load_module(network, tensors, "", path, assign=True)
    return network, about, facts


def rebuilt(example: About, plain: Any) -> About:
    """A dataclass of the kind of an example, from what `asdict` made of one.

    Raises:
        TypeError: a field is missing or unknown, or a value has another type than the example's.
        OverflowError: a whole number is too large for a field of floats.
        UserError: the dataclass refuses a value.
    """
    if is_dataclass(example) and not isinstance(example, type) and isinstance(plain, dict):
        values = {field.name: getattr(example, field.name) for field in fields(example)}
        if values.keys() != plain.keys():
            raise TypeError(f"fields {list(plain)}")
        return replace(example, **{n: rebuilt(value, plain[n]) for n, value in values.items()})
    if isinstance(example, float) and type(plain) is int:
        plain = type(example)(plain)
    if type(plain) is not type(example):
        raise TypeError(f"{plain!r}")
    return plain


def load_weights(path: str | os.PathLike) -> Mapping[str, Tensor]:
    """Name -> tensor of a network's weights, which need not be of `save_checkpoint`.

    Args:
        path: .safetensors, or a state dict of torch, such as torchvision's .pth, of which only
            tensors are read.

    Raises:
        UserError: the file is missing, damaged or something else, or a number is not finite.
    """
    require_file(path, "weights")
    if Path(path).suffix == ".safetensors":
        found: Any = _tensors(_read(path), path)
    else:
        try:
            found = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch.load has no kind of error for files it does not know
            raise UserError(f"{path}: no weights of torch, or damaged") from error
    if not isinstance(found, dict) or not all(isinstance(t, Tensor) for t in found.values()):
        raise UserError(f"{path}: no state dict; expected names and tensors")
    require_finite(found, path)
    return found


def require_finite(tensors: Mapping[str, Tensor], path: object) -> None:
    """Refuse tensors of a file that hold a number that is not finite.

    Raises:
        UserError: naming the first one.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise UserError(f"{path}: tensor '{name}' is not finite")


def load_module(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    prefix: str,
    path: object,
    *,
    assign: bool = False,
) -> None:
    """Give a module the tensors whose names begin with `prefix`.

    Args:
        module: The module.
        tensors: By name.
        prefix: Of the module's own names.
        path: The file, for messages.
        assign: Let the module own these tensors, instead of copying their numbers.

    Raises:
        UserError: they are not those of this module.
    """
    own = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
    expected = module.state_dict()
    kinds = [{n: (t.shape, t.dtype) for n, t in some.items()} for some in (own, expected)]
    if kinds[0] != kinds[1]:
        raise UserError(f"{path}: its tensors are not those of this network")
    module.load_state_dict(own, assign=assign)


def fingerprint_of(values: Iterable[Any]) -> str:
    """64 hexadecimal digits: a hash of arrays, tensors and plain values."""
    digest = hashlib.sha256()
    for value in values:
        array = value.numpy(force=True) if isinstance(value, Tensor) else value
        if isinstance(array, np.ndarray):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        else:
            digest.update(repr(array).encode())
    return digest.hexdigest()


def _read(path: str | os.PathLike) -> bytes:
    require_file(path, "checkpoint")
    with reading(path), open(path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > LARGEST:
            raise UserError(f"{path}: {size:,} bytes; checkpoints have up to {LARGEST:,}")
        return stream.read()


def _tensors(data: bytes, path: object) -> dict[str, Tensor]:
    safetensors = _safetensors()
    try:
        return safetensors.load(data)
    except Exception as error:  # safetensors has an error of its own
        raise UserError(f"{path}: not a checkpoint (safetensors), or damaged") from error


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise InstallationError(
            "checkpoints need safetensors: pip install 'bodyreg[train]'"
        ) from error
    return safetensors.torch
