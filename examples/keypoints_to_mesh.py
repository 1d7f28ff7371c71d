"""Keypoints to a mesh: fit the body to the joints of one person, and write a file for 3-D viewers.

python examples/keypoints_to_mesh.py --out runs/person.glb
"""

import argparse
from pathlib import Path

import numpy as np
import trimesh

import bodyreg
from bodyreg.data.frames import image_from_frame

# Pixels of the picture, x right and y down. The names say whose joints they are: COCO's, as most
# detectors find them. bodyreg.body.CONVENTIONS has more, and names without "coco/" are the rig's.
KEYPOINTS = {
    "nose": (152, 60),
    "left_eye": (158, 56),
    "right_eye": (150, 56),
    "left_shoulder": (184, 91),
    "right_shoulder": (136, 91),
    "left_elbow": (197, 126),
    "right_elbow": (102, 76),
    "left_wrist": (200, 154),
    "right_wrist": (108, 40),
    "left_hip": (174, 161),
    "right_hip": (147, 161),
    "left_knee": (161, 216),
    "right_knee": (153, 220),
    "left_ankle": (164, 278),
    "right_ankle": (168, 276),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit the body to keypoints, and write a mesh.")
    parser.add_argument("--out", default="runs/person.glb", help="a .glb, .obj, .ply or .stl file")
    out = parser.parse_args().out

    body = bodyreg.Body.default()
    xy = np.array([list(KEYPOINTS.values())], np.float32)  # (people, keypoints, 2)
    weight = np.ones(xy.shape[:2], np.float32)  # 0 = this keypoint is absent
    names = [f"coco/{name}" for name in KEYPOINTS]
    people = bodyreg.Observations.of_keypoints(names, xy, weight)

    fits = bodyreg.register(body, people)

    seen = fits.seen(fits.keypoints(body, names))
    fitted = image_from_frame(seen[..., :2], people.frame[:, None])
    print(f"mean distance to the keypoints: {np.linalg.norm(fitted - xy, axis=2).mean():.1f} px")

    vertices = fits.vertices(body)[0] / fits.scale[0]  # metres; x right, y up, z to the viewer
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    trimesh.Trimesh(vertices, body.faces, process=False).export(out)
    print(f"wrote {out}: {len(vertices):,} vertices, {np.ptp(vertices[:, 1]):.2f} m tall")


if __name__ == "__main__":
    main()
