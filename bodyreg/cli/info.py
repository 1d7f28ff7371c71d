"""bodyreg info: versions, the build, the device and the body."""

from __future__ import annotations

import inspect
import platform
import re
import shutil
import textwrap
from dataclasses import dataclass, fields
from importlib import metadata
from typing import TYPE_CHECKING, Annotated

import tyro

from bodyreg.cli.body import body_files
from bodyreg.cli.flags import OptionalFile

if TYPE_CHECKING:
    from bodyreg.body import Body

# Columns before the explanations of a configuration's fields, and of a line in a narrow terminal.
INDENT, LEAST_WIDTH = 34, 72


@dataclass(frozen=True)
class Options:
    """Options of `bodyreg info`.

    Attributes:
        body: Describe this body instead of the built-in one.
        uv: DensePose's UV_Processed.mat for it.
        landmarks: Your own landmarks (.json) for it.
        preset: List every field of this configuration instead, for `--set NAME=VALUE`.
    """

    body: OptionalFile = None
    uv: OptionalFile = None
    landmarks: OptionalFile = None
    preset: Annotated[
        str | None,
        tyro.conf.arg(metavar="accurate|paper", help_behavior_hint=""),
    ] = None


def run(options: Options, command: str) -> None:
    """Print one fact per line."""
    del command
    if options.preset is not None:
        print(_preset(options.preset))
        return

    body = body_files(options).open()
    rows = {**_software(), **_build(), **_device(), **_body(body)}
    width = max(map(len, rows)) + 2
    print("\n".join(f"{name:<{width}}{value}" for name, value in rows.items()))


def _software() -> dict[str, str]:
    from bodyreg.version import installed_version

    versions = {name: metadata.version(name) for name in ("torch", "numpy")}
    return {
        "bodyreg": installed_version(),
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        **versions,
    }


def _build() -> dict[str, str]:
    from bodyreg import native

    build = native.load().build_info()
    return {
        "compiler": str(build["compiler"]),
        "CUDA compiler": str(build["nvcc"] or "none: built for the CPU only"),
        "CUDA kernels for": " ".join(build["cuda_archs"]) or "none",
        "serves torch": f"{build['torch_target']} and later",
        "CPU instructions": " ".join(build["isa"]) or "the compiler's default",
    }


def _device() -> dict[str, str]:
    import torch

    from bodyreg.runs.device import choose_device

    device, why = choose_device("auto")
    return {"device": f"{device} ({why})", "threads": str(torch.get_num_threads())}


def _body(body: Body) -> dict[str, str]:
    import numpy as np

    size = np.ptp(body.vertices, axis=0)
    charts = [there.name for there in (body.charts, body.carried_charts) if there is not None]
    return {
        "body": f"{body.name}, fingerprint {body.fingerprint}",
        "mesh": f"{len(body.vertices):,} vertices, {len(body.faces):,} faces, {size[1]:.2f} m tall",
        "rig": f"{len(body.joints)} joints, up to {body.weights.shape[1]} per vertex",
        "charts": ", ".join(charts) or "none",
        "landmarks": ", ".join(body.landmarks) or "none",
        "shape directions": ", ".join(body.shape_names) or "none",
    }


def _preset(name: str) -> str:
    """Every field with its value and its line of the docstring."""
    from bodyreg.registration import RegistrationConfig

    config = RegistrationConfig.preset(name)
    lines = []
    for field in fields(config):
        value = f"{field.name}={getattr(config, field.name)}"
        lines += textwrap.wrap(
            _explained(RegistrationConfig, field.name),
            max(LEAST_WIDTH, shutil.get_terminal_size((100, 0)).columns),
            initial_indent=f"{value:<{INDENT}}",
            subsequent_indent=" " * INDENT,
        )
    return "\n".join(lines)


def _explained(record: type, name: str) -> str:
    found = re.search(rf"^ {{4}}{name}: (.*(?:\n {{8}}.*)*)", inspect.getdoc(record) or "", re.M)
    return " ".join(found.group(1).split()) if found else ""
