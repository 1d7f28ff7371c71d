"""How fast a run is: seconds of its steps, bars for people at a terminal, rates for reading."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Literal

from bodyreg.runs import ranks

if TYPE_CHECKING:
    import torch
    from tqdm import tqdm

    from bodyreg.registration import RegistrationConfig


class Clock:
    """Seconds that the steps of a run took.

    Attributes:
        laps: Step -> seconds.
    """

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        """End a step, or a part of one."""
        now = time.perf_counter()
        self.laps[step] = round(self.laps.get(step, 0.0) + now - self._last, 3)
        self._last = now


def progress_bar(count: int, quiet: bool, unit: str = "people") -> tqdm:
    """A bar with people, or other units, per second and the time left."""
    from tqdm import tqdm

    return tqdm(total=count, unit=f" {unit}", unit_scale=True, disable=not shows_progress(quiet))


def shows_progress(quiet: bool) -> bool:
    """Whether to show progress: at a terminal only, and in the first of several processes."""
    return sys.stderr.isatty() and not quiet and ranks.rank() == 0


def counted(number: int, things: Literal["people", "pictures"]) -> str:
    """A number of things, for reading: 1 person, 2 people."""
    one = {"people": "person", "pictures": "picture"}
    return f"{number:,} {one[things] if number == 1 else things}"


def speed(
    people: int, seconds: float, config: RegistrationConfig, device: torch.device, *, warm: bool
) -> str:
    """People, seconds and rates, for reading."""
    from bodyreg.registration.schedule import iterations_per_person

    each = iterations_per_person(config, warm_start=warm)
    starts = "warm" if warm else f"{config.starts} start{'s' * (config.starts > 1)} each"
    return (
        f"{counted(people, 'people')} in {duration(seconds)} on {device}, {starts}: "
        f"{people / seconds:,.0f} people/s, {people * each / seconds:,.0f} person-iterations/s"
    )


def predicting_speed(people: int, seconds: float, device: torch.device) -> str:
    """People that a network has seen, seconds and rate, for reading."""
    rate = f"{people / seconds:,.3g} people/s"
    return f"{counted(people, 'people')} in {duration(seconds)} on {device}: {rate}"


def duration(seconds: float) -> str:
    """Seconds or milliseconds, for reading."""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1e3 * seconds:.0f} ms"
