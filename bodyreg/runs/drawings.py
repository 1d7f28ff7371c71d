"""Pictures and meshes of the fits of a run."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bodyreg.files import atomic_path, writing
from bodyreg.runs.job import Job, evenly

if TYPE_CHECKING:
    import numpy as np

    from bodyreg.body import Body
    from bodyreg.data import Fits, Observations


def write_meshes(job: Job, fits: Fits) -> None:
    """Write a mesh for each fit, named by the person's id: metres, y up, z toward the viewer."""
    write = _write_glb if job.request.meshes == "glb" else _write_plain
    for person, number in enumerate(fits.id.tolist()):
        path = job.request.out / "meshes" / f"{number}.{job.request.meshes}"
        with atomic_path(path, within=job.shards.folder) as temporary:
            write(job.body, fits.select([person]), temporary)


def _write_glb(body: Body, fit: Fits, path: Path) -> None:
    """Write what `bodyreg convert` writes."""
    from bodyreg.exchange import motion_of, to_glb

    path.write_bytes(to_glb(motion_of(body, fit)))


def _write_plain(body: Body, fit: Fits, path: Path) -> None:
    """Write a mesh in a format of trimesh's, which the path names."""
    import numpy as np
    import trimesh

    from bodyreg.body.surface import vertex_normals

    # Without the camera: a camera of a scale near 0 would leave no digits of a body.
    scale, translation = np.ones_like(fit.scale), np.zeros_like(fit.translation)
    vertices = replace(fit, scale=scale, translation=translation).vertices(body)[0]
    # Without normals, viewers show every face flat.
    normals = vertex_normals(vertices, body.faces)
    trimesh.Trimesh(vertices, body.faces, vertex_normals=normals, process=False).export(path)


def draw(job: Job) -> None:
    """Draw some of the fits of the finished shards over their evidence, as overlays.png.

    Doubtful fits come first, the worst of them.
    """
    import numpy as np

    from bodyreg.data import Fits, Observations
    from bodyreg.pictures import write_picture
    from bodyreg.viz.grounds import picture_grounds
    from bodyreg.viz.overlay import fit_sheet

    last = np.cumsum(job.shards.counts)
    doubt = np.concatenate([Fits.load(path).doubt for path in job.shards.paths()])
    rows = chosen(doubt, job.request.overlays)
    of_shard = np.searchsorted(last, rows, side="right")
    fits, observations = [], []
    for shard in np.unique(of_shard).tolist():
        here = rows[of_shard == shard] - (last[shard] - job.shards.counts[shard])
        found, read = Fits.load(job.shards.path(shard)), job.read(shard).observations
        if len(found) < len(read):  # some of the pictures cannot be read
            read = read.select(np.isin(read.id, found.id))
        fits.append(found.select(here))
        observations.append(read.select(here))
    drawn, seen = Fits.concatenate(fits), Observations.concatenate(observations)
    order = np.argsort(-drawn.doubt, kind="stable")
    drawn, seen = drawn.select(order), seen.select(order)
    images = job.request.source.images
    grounds = None if images is None else picture_grounds(images, seen)
    captions = [_caption(drawn, seen, person) for person in range(len(drawn))]
    title = f"{len(drawn)} of {last[-1]:,} fits, worst first"
    page = fit_sheet(job.body, drawn, seen, captions, title, grounds)
    write_picture(job.shards.folder / "overlays.png", page)
    path = job.request.out / "overlays.png"
    with writing(path):
        os.replace(job.shards.folder / "overlays.png", path)


def chosen(doubt: np.ndarray, count: int) -> np.ndarray:
    """Rows of `count` fits with these doubts: the worst that are doubtful, and others evenly.

    At most half of them are doubtful, rounded up, if there are enough others. Rows rise.
    """
    import numpy as np

    worst = np.argsort(-doubt, kind="stable")
    worst = worst[doubt[worst] > 1]
    sure = np.flatnonzero(~(doubt > 1))
    doubtful = min(len(worst), max((count + 1) // 2, count - len(sure)))
    others = sure[evenly(len(sure), count - doubtful)] if len(sure) else sure
    return np.sort(np.concatenate([worst[:doubtful], others]))


def _caption(fits: Fits, people: Observations, person: int) -> tuple[str, str]:
    """A person's picture and id, and why the fit is doubtful, or else its loss."""
    reasons, loss = fits.reasons(person), "no loss"
    if fits.loss is not None:
        loss = f"loss {fits.loss[person]:.3g}"
    name = "" if people.picture is None else people.picture[person].replace("\\", "/")
    left = [name.rsplit("/", 1)[-1], f"person {fits.id[person]}"]
    return ", ".join(filter(None, left)), reasons[0] if reasons else loss
