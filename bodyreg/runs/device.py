"""The device of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bodyreg.errors import UserError
from bodyreg.runs import ranks

if TYPE_CHECKING:
    import torch


def choose_device(name: str) -> tuple[torch.device, str]:
    """The device with a name, and why it was chosen. Each of several processes has its own GPU.

    Args:
        name: "auto" takes CUDA where it can be used, and the CPU elsewhere.

    Raises:
        UserError: the device is unknown or cannot be used here.
    """
    import torch

    from bodyreg import native

    if not native.load().build_info()["cuda_archs"]:
        obstacle = "this build has no CUDA kernels"
    elif not torch.backends.cuda.is_built():
        obstacle = "this torch was built without CUDA"
    elif not torch.cuda.is_available():
        obstacle = "torch sees no CUDA device"
    else:
        obstacle = ""
    if name == "auto" and obstacle:
        return torch.device("cpu"), obstacle
    why = "asked for"
    if name == "auto":
        name, why = "cuda", torch.cuda.get_device_name()
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"--device {name}: unknown device; use auto, cpu or cuda") from None
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"--device {name}: only cpu and cuda are supported")
    if device.type == "cuda" and device.index is None and ranks.count() > 1:
        device = torch.device("cuda", ranks.local_rank())
    if device.type == "cuda" and (obstacle or (device.index or 0) >= torch.cuda.device_count()):
        missing = f"no CUDA device {device.index}"
        raise UserError(f"--device {name}: {obstacle or missing}; use --device cpu")
    return device, why
