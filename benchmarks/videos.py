"""How much nearer to the truth fits of videos are if their pictures are fitted together.

    python -m benchmarks.videos --takes 12 --frames 40
    python -m benchmarks.videos --motions clips/        # people in the poses of BVH files

Videos are takes of made people, ten pictures a second, by a camera of known focal length. Evidence
are COCO's keypoints alone, with independent errors in each picture, errors that all pictures share,
and missing ones.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bodyreg.body import Body
from bodyreg.data import Fits, Observations
from bodyreg.data.frames import boxes_of_points, frames_of_boxes, pixel_sizes
from bodyreg.data.skeletons import COCO_17
from bodyreg.registration import register, smooth
from bodyreg.synthetic.motions.captured import find_motions
from bodyreg.synthetic.motions.motion import FRAME_RATE
from bodyreg.synthetic.motions.performance import Motions
from bodyreg.synthetic.scenes.studio import studio_cameras
from bodyreg.synthetic.scenes.takes import TAKES, Takes

KINDS = (("still", 0.02), ("still", 1.0), ("moving", 1.0), ("moving", 3.0), ("moving", 6.0))
"""What people do, and standard deviations of a keypoint in a picture, pixels of a 256-pixel frame.
Still people are seen in the pose of the first picture."""
SHARED = 0.5
"""Those of errors that all pictures share, over these."""
MISSING = 0.1
"""Share of keypoints."""
JITTER = 0.03
"""Standard deviation of frames' sizes and places, shares of their half sides."""


@dataclass(frozen=True)
class Video:
    """A person in T pictures.

    Attributes:
        people: What they show.
        joints: (T, 24, 3) metres, the pelvis at 0.
    """

    people: Observations
    joints: np.ndarray


def video(
    takes: Takes, body: Body, take: int, frames: int, noise: float, *, still: bool = False
) -> Video:
    """A take as its first camera sees it; of still people, its first picture again and again."""
    random = np.random.default_rng([take, frames])
    first = len(studio_cameras()) * frames * take
    scenes = [takes.scene(body, first + frame * (not still)) for frame in range(frames)]
    figures = [scene.figures[0] for scene in scenes]
    names = COCO_17.keypoints
    xy = np.stack([figure.project(figure.keypoints(names))[:, :2] for figure in figures])
    frame = frames_of_boxes(boxes_of_points(xy))
    frame += JITTER * frame[:, 2:] * random.normal(size=frame.shape).astype(np.float32)
    pixel = pixel_sizes(frame)[:, None, None] * noise
    errors = random.normal(size=xy.shape) + SHARED * random.normal(size=xy.shape[1:])
    found = random.random(xy.shape[:2]) > MISSING
    if still:
        found[:] = found[0]
    cameras = [figure.camera for figure in figures]
    people = Observations.of_keypoints(
        names,
        xy + pixel * errors,
        found.astype(float),
        id=np.arange(frames),
        frame=frame,
        focal=np.array([camera.focal.mean() for camera in cameras], np.float32),
        principal_point=np.array([camera.centre for camera in cameras], np.float32),
        picture_size=np.tile(np.int32([scenes[0].width, scenes[0].height]), (frames, 1)),
    )
    return Video(people, np.stack([figure.joints for figure in figures]).astype(np.float64))


def errors_of(body: Body, fits: Fits, truth: np.ndarray) -> np.ndarray:
    """(3,) MPJPE and PA-MPJPE, mm, and the error of accelerations, m/s²; of the best size."""
    joints = fits.joints(body).astype(np.float64) / abs(fits.scale)[:, None, None]
    joints -= joints[:, :1]
    joints *= (joints * truth).sum() / (joints**2).sum()
    apart = np.diff(joints - truth, 2, axis=0) * FRAME_RATE**2
    distances = (joints - truth, aligned(joints, truth) - truth, apart)
    mean, pa, jitter = (np.linalg.norm(one, axis=-1).mean() for one in distances)
    return np.array([1e3 * mean, 1e3 * pa, jitter])


def aligned(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Points (T, J, 3), each set moved, turned and sized to be nearest to another one."""
    middles = one.mean(1, keepdims=True), two.mean(1, keepdims=True)
    one, two = one - middles[0], two - middles[1]
    u, size, v = np.linalg.svd(two.swapaxes(1, 2) @ one)
    sign = np.ones_like(size)
    sign[:, 2] = np.linalg.det(u @ v)
    scale = (size * sign).sum(1) / (one**2).sum((1, 2))
    turn = (u * sign[:, None]) @ v
    return scale[:, None, None] * (one @ turn.swapaxes(1, 2)) + middles[1]


def main() -> None:
    """Print a table for each size of errors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--takes", type=int, default=12)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--motions", type=Path, help="a folder of BVH files")
    options = parser.parse_args()
    body = Body.default()
    motions: Motions | None = options.motions and find_motions(options.motions)
    people = len(studio_cameras()) * len(TAKES) * options.frames
    takes = Takes(people, options.seed, motions)
    chosen = np.linspace(0, len(TAKES) - 1, options.takes).round().astype(int).tolist()
    print(f"{options.takes} videos of {options.frames} pictures")
    print(
        "| people | errors of keypoints, px of 256 | fits | MPJPE, mm | PA-MPJPE, mm "
        "| acceleration, m/s² |"
    )
    print("|---|---|---|---:|---:|---:|")
    for kind, noise in KINDS:
        rows: dict[str, list[np.ndarray]] = {"single": [], "together": []}
        for take in chosen:
            made = video(takes, body, take, options.frames, noise, still=kind == "still")
            single = register(body, made.people)
            seconds = np.arange(options.frames) / FRAME_RATE
            together = smooth(body, made.people, single, seconds)
            for name, fits in (("single", single), ("together", together)):
                rows[name].append(errors_of(body, fits, made.joints))
        for name, row in rows.items():
            mean, pa, jitter = np.mean(row, axis=0)
            print(
                f"| {kind} | {noise:g} | {name} | {mean:.1f} | {pa:.1f} | {jitter:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
