"""What the commands that register people share: options made into objects, and a run's record."""

from __future__ import annotations

import difflib
import json
import math
import platform
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bodyreg.errors import UserError
from bodyreg.files import atomic_path
from bodyreg.runs import ranks

if TYPE_CHECKING:
    import torch
    from tqdm import tqdm

    from bodyreg.body import Body
    from bodyreg.registration import RegistrationConfig


def speed(
    people: int, seconds: float, config: RegistrationConfig, device: torch.device, *, warm: bool
) -> str:
    """People, seconds and rates, for reading."""
    from bodyreg.registration.schedule import iterations_per_person

    each = iterations_per_person(config, warm_start=warm)
    starts = "warm" if warm else f"{config.starts} start{'s' * (config.starts > 1)} each"
    took = f"{seconds:.1f} s" if seconds >= 1 else f"{1e3 * seconds:.0f} ms"
    return (
        f"{people:,} people in {took} on {device}, {starts}: "
        f"{people / seconds:,.0f} people/s, {people * each / seconds:,.0f} person-iterations/s"
    )


class Clock:
    """Seconds that the steps of a run took.

    Attributes:
        laps: Step -> seconds.
    """

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        """End a step."""
        now = time.perf_counter()
        self.laps[step], self._last = round(now - self._last, 3), now


def progress_bar(count: int, quiet: bool, unit: str = "people") -> tqdm:
    """A bar with people, or other units, per second and the time left."""
    from tqdm import tqdm

    return tqdm(total=count, unit=f" {unit}", unit_scale=True, disable=not shows_progress(quiet))


def shows_progress(quiet: bool) -> bool:
    """Progress bars are for people at a terminal."""
    return sys.stderr.isatty() and not quiet and ranks.rank() == 0


def make_config(
    preset: str,
    solver: str,
    starts: int | None,
    iterations: int | None,
    settings: Sequence[str],
) -> RegistrationConfig:
    """A preset with some fields changed.

    Args:
        preset: Its name.
        solver: The field `solver`.
        starts: The field `starts`; None leaves the preset's.
        iterations: The fields `iterations` and `warm_iterations`, or with lm `lm_iterations`; None
            likewise.
        settings: Further fields, each as NAME=VALUE.

    Raises:
        UserError: unknown field, or a value that does not fit.
    """
    from bodyreg.registration import RegistrationConfig

    config = RegistrationConfig.preset(preset)
    changes: dict[str, Any] = {"solver": solver}
    if starts is not None:
        changes["starts"] = starts
    if iterations is not None:
        names = ("lm_iterations",) if solver == "lm" else ("iterations", "warm_iterations")
        changes |= dict.fromkeys(names, iterations)
    known = [field.name for field in fields(config)]
    for setting in settings:
        name, equals, text = setting.partition("=")
        name = name.replace("-", "_")
        if not equals or name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else "; bodyreg info --preset lists them"
            raise UserError(f"--set {setting}: expected NAME=VALUE with a field's name{hint}")
        changes[name] = _parsed(setting, text, getattr(config, name))
    return replace(config, **changes)


def choose_device(name: str) -> tuple[torch.device, str]:
    """The device of a name, and why. Of several processes each has a GPU of its own.

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


def require_writable(folder: Path) -> None:
    """Refuse an output folder that could not be written to, without making it yet.

    Raises:
        UserError: it, or the nearest folder above that exists, is not a folder one may write to.
    """
    existing = folder.absolute()
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise UserError(f"{folder}: cannot be written, {existing} is not a folder; choose another")
    try:
        # Asking for permissions would say yes to root, on a disk that is read-only, and so on. The
        # file has no name: it is gone with the process.
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written ({error.strerror} in {existing}); choose another"
        ) from error


def write_record(
    folder: Path,
    facts: Mapping[str, Any],
    config: RegistrationConfig,
    body: Body,
    inputs: Mapping[str, str],
    *,
    within: Path | None = None,
    **more: Any,
) -> None:
    """Write run.json: everything needed to do the run again, and what came of it.

    Args:
        folder: Where.
        facts: What made it, from `files.provenance`.
        config: How people were registered.
        body: The fitted body.
        inputs: Files that were read, and their fingerprints.
        within: The folder of the temporary file, as in `files.atomic_path`.
        **more: Further entries.
    """
    import torch

    record = {
        **facts,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        "body": {"name": body.name, "fingerprint": body.fingerprint},
        "inputs": dict(inputs),
        "config": plain(config),
        **more,
    }
    with atomic_path(folder / "run.json", within=within) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def plain_options(options: Any) -> dict[str, Any]:
    """A command's options for JSON; paths are absolute, so that they hold in any folder."""
    values = {field.name: getattr(options, field.name) for field in fields(options)}
    return {
        name: str(value.absolute()) if isinstance(value, Path) else value
        for name, value in values.items()
    }


def plain(config: RegistrationConfig) -> dict[str, Any]:
    """The configuration for JSON, which has no infinity."""
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in asdict(config).items()
    }


def _parsed(setting: str, text: str, example: Any) -> Any:
    if isinstance(example, bool):
        words = {"true": True, "false": False}
        if text.lower() not in words:
            raise UserError(f"--set {setting}: expected true or false")
        return words[text.lower()]
    try:
        return type(example)(text)
    except ValueError:
        kind = "a whole number" if isinstance(example, int) else "a number"
        raise UserError(f"--set {setting}: expected {kind}") from None
