"""Pictures and meshes of the fits of a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bodyreg.files import atomic_path
from bodyreg.runs.finished import FinishedRun
from bodyreg.runs.job import Job, evenly
from bodyreg.runs.record import read_record

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

    from bodyreg.body.surface import outward_faces, vertex_normals

    # Of the camera only the sign: a scale near 0 would leave no digits of a body.
    sign = np.where(fit.scale < 0, -1, 1).astype(np.float32)
    placed = replace(fit, scale=sign, translation=np.zeros_like(fit.translation))
    vertices, faces = placed.vertices(body)[0], outward_faces(body.faces, placed.mirrored[0])
    # Without normals, viewers show every face flat.
    normals = vertex_normals(vertices, faces)
    trimesh.Trimesh(vertices, faces, vertex_normals=normals, process=False).export(path)


def draw(job: Job) -> None:
    """Draw some of the fits of a finished run over their evidence, as overlays.png.

    Doubtful fits come first, the worst of them.
    """
    import numpy as np

    from bodyreg.data.fits import FitsFile
    from bodyreg.pictures import encode_picture
    from bodyreg.viz.grounds import TILE
    from bodyreg.viz.overlay import fit_sheet

    out, source = job.request.out, job.request.source
    with FitsFile(out / "fits.npz") as file:
        run = FinishedRun(out, *read_record(out), source, job.body, job.people, file)
        doubt = run.doubt()
        rows = chosen(doubt, job.request.overlays)
        drawn, seen = run.read(rows[np.argsort(-doubt[rows], kind="stable")])
    grounds = None if source.images is None else run.grounds(seen, TILE)[0]
    captions = [_caption(drawn, seen, person) for person in range(len(drawn))]
    title = f"{len(drawn)} of {len(doubt):,} fits, worst first"
    page = fit_sheet(job.body, drawn, seen, captions, title, grounds)
    with atomic_path(out / "overlays.png", within=job.shards.folder) as temporary:
        temporary.write_bytes(encode_picture(page, ".png"))


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
