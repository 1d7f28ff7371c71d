"""bodyreg make-map: where SMPL's vertices lie on a body."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from bodyreg.cli.flags import require_output


@dataclass(frozen=True)
class Options:
    """Options of `bodyreg make-map`.

    Attributes:
        template: The body's file, in a T-pose. The built-in body needs no map.
        out: The file to write (.npz): the same body with the map. Give it as --body, with --uv.
    """

    template: Annotated[Path, tyro.conf.arg(metavar="FILE")]
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")]


def run(options: Options, command: str) -> None:
    """Write the body with its map, and print how near the built-in body came to it."""
    del command
    require_output(options.out, "mapped.npz", [options.template])
    import numpy as np

    from bodyreg.body import Body
    from bodyreg.body.mapping import map_smpl

    mapping = map_smpl(Body.load(options.template))
    mapping.body.save(options.out)
    away = ", ".join(f"{q} % {1000 * np.percentile(mapping.away, q):.1f}" for q in (50, 99, 100))
    print(f"SMPL's vertices, millimetres from the surface: {away}")
    print(f"body: {options.out}")
