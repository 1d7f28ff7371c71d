"""Pictures and meshes of the fits of a run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bodyreg.cli.job import Job, Options, shown
from bodyreg.files import atomic_path

if TYPE_CHECKING:
    from bodyreg.data import Fits


def write_meshes(options: Options, fits: Fits, job: Job) -> None:
    """Write a mesh per fit, named by the person's id: metres, y up, z toward the viewer."""
    import trimesh

    from bodyreg.body.surface import vertex_normals

    faces = job.body.faces
    for person, number in enumerate(fits.id.tolist()):
        fit = fits.select([person])
        vertices = fit.vertices(job.body)[0]
        vertices[:, :2] -= fit.translation[0]
        vertices /= fit.scale[0]
        # Without normals, viewers of GLB show every face flat.
        normals = vertex_normals(vertices, faces)
        mesh = trimesh.Trimesh(vertices, faces, vertex_normals=normals, process=False)
        path = options.out / "meshes" / f"{number}.{options.meshes}"
        with atomic_path(path, within=job.parts.folder) as temporary:
            mesh.export(temporary)


def draw(options: Options, job: Job) -> None:
    """Draw some of the fits of a finished run over their evidence, as overlays.png."""
    import numpy as np

    from bodyreg.data import Fits, Observations
    from bodyreg.pictures import write_picture
    from bodyreg.viz.overlay import fit_sheet

    last = np.cumsum(job.parts.counts)
    chosen = shown(last[-1], options.overlays)
    of_part = np.searchsorted(last, chosen, side="right")
    fits, observations = [], []
    for part in np.unique(of_part).tolist():
        here = chosen[of_part == part] - (last[part] - job.parts.counts[part])
        fits.append(Fits.load(job.parts.path(part)).select(here))
        observations.append(job.read(part).observations.select(here))
    drawn = Fits.concatenate(fits)
    losses = [None] * len(drawn) if drawn.loss is None else drawn.loss
    captions = [
        (str(number), "no loss" if loss is None else f"loss {loss:.3g}")
        for number, loss in zip(drawn.id, losses, strict=True)
    ]
    title = f"{len(drawn)} of {last[-1]:,} fits"
    page = fit_sheet(
        job.body, drawn, Observations.concatenate(observations), captions, title, job.grounds
    )
    # Half-written, it lies where everything that is not finished does.
    write_picture(job.parts.folder / "overlays.png", page)
    os.replace(job.parts.folder / "overlays.png", options.out / "overlays.png")
