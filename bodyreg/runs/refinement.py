"""A refinement: a network sees people, and a registration goes on from there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from bodyreg.data.json_files import load_json
from bodyreg.errors import UserError
from bodyreg.files import is_there
from bodyreg.runs import ranks
from bodyreg.runs.job import Request
from bodyreg.runs.record import NAME
from bodyreg.runs.registration import Outcome, register_people

PREDICTION = "prediction"
"""The folder of the network's own run, in that of the refinement."""


class Refinement(NamedTuple):
    """What a refinement came to.

    Attributes:
        request: The registration, which began where the network ended.
        predicted: The network's run.
        outcome: The registration's.
    """

    request: Request
    predicted: Outcome
    outcome: Outcome


def refine_people(request: Request, command: str, *, quiet: bool = False) -> Refinement | None:
    """Let a network see people, and register them from what it has seen.

    These are two runs, the first one in a folder of the second one; each goes on where it was
    killed. People whose pictures cannot be read are left out.

    Args:
        request: The registration, with the network (`regressor`) from which it begins.
        command: The command line or the function that asks, for the record.
        quiet: Show no progress bar.

    Returns:
        What it came to; None in every process but the first.

    Raises:
        UserError: as `register_people`.
    """
    folder = request.out / PREDICTION
    begun = any(is_there(request.out / name) for name in (NAME, "shards"))
    if begun and not is_there(folder / NAME):
        raise UserError(f"{request.out}: holds another run; remove it, or choose another --out")
    sees = replace(request, out=folder, meshes=None, overlays=0)
    fits = replace(request, regressor=None, initial=folder / "fits.npz", refines=True)
    with ranks.joined() as processes:
        predicted = register_people(sees, command, quiet=quiet)
        processes.from_first(None)  # which has then written what the others will read
        outcome = register_people(fits, command, quiet=quiet)
    if predicted is None or outcome is None:
        return None
    return Refinement(fits, predicted, outcome)


def stages_of(folder: Path) -> dict[str, float]:
    """Stage -> its median time for a person, milliseconds, by a run's record."""
    return load_json(folder / NAME)["median_stage"]
