"""The readers, and good files for each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from scipy.io import savemat

from bodyreg.body import Body
from bodyreg.cli import main
from bodyreg.data import Fits, Observations, Truth
from bodyreg.data.corr import Correspondence, read_corr, write_corr
from bodyreg.data.landmarks import FORMAT as LANDMARKS
from bodyreg.data.landmarks import read_landmarks
from bodyreg.data.opening import open_people
from bodyreg.data.pairs import read_split
from bodyreg.data.proportions import FORMAT as PROPORTIONS
from bodyreg.data.proportions import read_proportions
from bodyreg.data.source import Source
from bodyreg.exchange import motion_of, to_bvh
from bodyreg.pictures import read_header, read_picture
from bodyreg.synthetic.motions.bvh import read_bvh
from bodyreg.training.checkpoints import load_checkpoint, load_weights, save_checkpoint
from tests.body.densepose_files import write_uv
from tests.body.smpl_files import smpl_arrays, write_smpl_pickle
from tests.data.test_corr import made as made_flow
from tests.data.test_cse import entry as cse_entry
from tests.data.test_cse import vertices as cse_vertices
from tests.data.test_densepose_results import LAYOUTS, tensors
from tests.data.test_keypoint_files import GOOD as KEYPOINTS
from tests.data.test_mpii import mat_file
from tests.data.test_observations import make as make_observations
from tests.data.test_point_lists import points, write_csv
from tests.data.test_spin import arrays as spin_arrays
from tests.exchange.people import random_fits
from tests.test_pictures import with_exif

FORMS = (
    "densepose-coco",
    "densepose-results",
    "iuv",
    "mpii",
    "human36m",
    "deepfashion",
    "market1501",
)
"""Formats that the project writes itself."""


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        name: Of the format.
        damaged: The files of its folder that are damaged, one at a time.
        read: Reads a folder.
        format: Its row in `FORMATS`, if it has one.
    """

    name: str
    damaged: tuple[str, ...]
    read: Callable[[Path], Any]
    format: str = ""


def prepare(home: Path, readers: Sequence[str] = ()) -> Iterator[tuple[Target, Path]]:
    """Make good files; yields each reader and the folder of its files.

    Args:
        home: A folder for all.
        readers: Names of readers; all if left out.
    """
    made, body = home / "made", Body.default()
    command = ["synthesize", "--people", "3", "--seed", "5", "--quiet", "--formats", *FORMS]
    if main([*command, "--out", str(made)]) != 0:
        raise RuntimeError("the good files were not made")
    targets = [*_of_formats(home, made, body), *_of_results(home, body), *_others(home, body)]
    for target in targets:
        if not readers or target.name in readers:
            yield target, home / target.name


def _of_formats(home: Path, made: Path, body: Body) -> Iterator[Target]:
    """Formats that the project writes itself, and small files of others."""
    for name, reads, damaged, form in (
        ("densepose-coco", "densepose.json", ("densepose.json",), "densepose-coco"),
        ("densepose-results", "results.json", ("results.json",), "densepose-results"),
        (
            "iuv",
            "maps",
            tuple(f"maps/00000000000{n}_{kind}.png" for n in (1, 2) for kind in ("IUV", "INDS")),
            "iuv",
        ),
        ("mpii", "annot.json", ("annot.json",), "mpii"),
        (
            "deepfashion",
            "",
            ("Label/pose_label.pkl", "Label/pair_split.json"),
            "deepfashion",
        ),
    ):
        shutil.copytree(made / name, home / name)
        yield _people(name, form, reads, damaged, body)
    for name, file in (
        ("human36m: VideoPose3D", "data_2d_h36m_gt.npz"),
        ("human36m: SPIN", "h36m_train.npz"),
    ):
        shutil.copytree(made / "human36m", home / name)
        yield _people(name, "human36m", file, (file,), body)
    shutil.copytree(made / "human36m", home / "truth")
    yield Target("truth", ("truth.npz",), lambda folder: Truth.load(folder / "truth.npz"))
    shutil.copytree(made / "densepose-coco", home / "boxes")
    yield _people("boxes", "boxes", "densepose.json", ("densepose.json",), body)
    folder = home / "pictures"
    shutil.copytree(made / "densepose-coco" / "images", folder / "images")
    (folder / "images" / "000000000001.jpg").rename(folder / "images" / "a.jpg")
    yield _people("pictures", "pictures", "images", ("images/a.jpg",), body)
    shutil.copytree(made / "deepfashion" / "Label", home / "pairs")
    read = lambda folder: read_split(folder / "pair_split.json", "train")  # noqa: E731
    yield Target("pairs", ("pair_split.json",), read)


def _of_results(home: Path, body: Body) -> Iterator[Target]:
    """What detectors write, in all layouts that are known."""
    for layout, (content, _) in KEYPOINTS.items():
        name = f"keypoints: {layout}"
        _json(_folder(home, name) / "7.json", content)
        yield _people(name, "keypoints", "7.json", ("7.json",), body)
    for layout, content in LAYOUTS.items():
        name = f"densepose-results: {layout}"
        _json(_folder(home, name) / "a.json", content)
        yield _people(name, "densepose-results", "a.json", ("a.json",), body)
    name = "densepose-results: torch"
    content = [tensors(entry) for entry in LAYOUTS["dump"]]
    torch.save(content, _folder(home, name) / "a.pkl")
    yield _people(name, "densepose-results", "a.pkl", ("a.pkl",), body)
    _json(_folder(home, "cse: results") / "a.json", [cse_entry()])
    yield _people("cse: results", "cse", "a.json", ("a.json",), body)
    np.save(_folder(home, "cse: arrays") / "a.npy", cse_vertices())
    yield _people("cse: arrays", "cse", "a.npy", ("a.npy",), body)
    write_csv(_folder(home, "point-list") / "a.csv", points())
    yield _people("point-list", "point-list", "a.csv", ("a.csv",), body)
    _json(
        _folder(home, "openpose") / "people" / "7_keypoints.json",
        {"people": [{"pose_keypoints_2d": np.linspace(1, 75, 75).tolist()}] * 2},
    )
    yield _people("openpose", "openpose", "people", ("people/7_keypoints.json",), body)
    mat_file(_folder(home, "mpii: mat") / "mpii.mat")
    yield _people("mpii: mat", "mpii", "mpii.mat", ("mpii.mat",), body)
    np.save(_folder(home, "mpii: npy") / "a.npy", np.linspace(9, 99, 68).reshape(2, 34))
    yield _people("mpii: npy", "mpii", "a.npy", ("a.npy",), body)
    joints = np.random.default_rng(0).uniform(20, 400, (3, 14, 3))
    savemat(_folder(home, "lsp") / "joints.mat", {"joints": joints})
    yield _people("lsp", "lsp", "joints.mat", ("joints.mat",), body)
    people = replace(make_observations(4), body="", picture=np.array(["7.png"] * 3 + [""]))
    people.save(_folder(home, "observations") / "a.npz")
    yield _people("observations", "observations", "a.npz", ("a.npz",), body)
    np.savez(_folder(home, "spin") / "spin.npz", **spin_arrays())
    yield _people("spin", "human36m", "spin.npz", ("spin.npz",), body)


def _others(home: Path, body: Body) -> Iterator[Target]:
    """Bodies, maps, weights, motions, pictures, and files of the project."""
    arrays = smpl_arrays()
    np.savez(_folder(home, "body: npz") / "a.npz", **arrays)
    yield Target("body: npz", ("a.npz",), lambda folder: Body.load(folder / "a.npz"))
    write_smpl_pickle(_folder(home, "body: pkl") / "a.pkl", arrays)
    yield Target("body: pkl", ("a.pkl",), lambda folder: Body.load(folder / "a.pkl"))
    write_uv(_folder(home, "charts") / "a.mat", body)
    yield Target("charts", ("a.mat",), lambda folder: body.with_uv(folder / "a.mat"))
    term = {"point": "left_shoulder", "offset": [-0.01, 0.04, 0], "moves_with": "left_collar"}
    chin = [{"vertex": 210, "share": 0.5}, {"vertex": 214, "share": 0.5}]
    _json(
        _folder(home, "landmarks") / "a.json",
        {"format": LANDMARKS, "landmarks": {"coco/left_shoulder": [term], "chin": chin}},
    )
    yield Target("landmarks", ("a.json",), lambda folder: read_landmarks(folder / "a.json", body))
    _json(
        _folder(home, "proportions") / "a.json",
        {
            "format": PROPORTIONS,
            "body": {"name": body.name, "fingerprint": body.fingerprint},
            "segment_scale": {"left_hip": 1.1, "right_hip": 1.1},
        },
    )
    yield Target(
        "proportions", ("a.json",), lambda folder: read_proportions(folder / "a.json", body)
    )
    fits = random_fits(np.random.default_rng(0), 3)
    fits.save(_folder(home, "fits") / "a.npz")
    yield Target("fits", ("a.npz",), lambda folder: Fits.load(folder / "a.npz"))
    text = to_bvh(motion_of(body, fits))
    (_folder(home, "bvh") / "a.bvh").write_text(text)
    yield Target("bvh", ("a.bvh",), lambda folder: read_bvh(folder / "a.bvh", 30.0))
    flow, kind = made_flow()
    write_corr(_folder(home, "corr") / "a.corr", Correspondence.of_flow(flow, kind))
    yield Target("corr", ("a.corr",), lambda folder: read_corr(folder / "a.corr"))
    weights = {"layer.weight": torch.eye(4), "layer.bias": torch.zeros(4)}
    save_checkpoint(_folder(home, "checkpoint") / "a.safetensors", "a-form", weights, {"width": 4})
    yield Target(
        "checkpoint",
        ("a.safetensors",),
        lambda folder: load_checkpoint(folder / "a.safetensors", "a-form"),
    )
    torch.save(weights, _folder(home, "weights: pth") / "a.pth")
    yield Target("weights: pth", ("a.pth",), lambda folder: load_weights(folder / "a.pth"))
    picture = np.random.default_rng(0).integers(0, 256, (24, 36, 3)).astype(np.uint8)
    file = _folder(home, "picture: jpg") / "a.jpg"
    with_exif(file, picture, ">", {0x0112: 6}, {0xA405: 35})
    for suffix in ("png", "bmp", "webp", "tif"):
        cv2.imwrite(str(_folder(home, f"picture: {suffix}") / f"a.{suffix}"), picture)
    for suffix in ("jpg", "png", "bmp", "webp", "tif"):
        yield Target(f"picture: {suffix}", (f"a.{suffix}",), partial(_picture, name=f"a.{suffix}"))


def _picture(folder: Path, name: str) -> None:
    read_header(folder / name)
    read_picture(folder / name)


def _people(name: str, form: str, reads: str, damaged: tuple[str, ...], body: Body) -> Target:
    """A target of a format, read as `bodyreg register` reads it."""

    def read(folder: Path) -> Observations:
        people, _ = open_people(Source(form, folder / reads, folder / "images"), body)
        found = people.read(0, len(people))
        found.check(body)
        return found

    return Target(name, damaged, read, form)


def _folder(home: Path, name: str) -> Path:
    """A new folder, with a picture that detectors have seen."""
    (home / name / "images").mkdir(parents=True)
    for picture in ("7.png", "a.png", "3.png"):
        cv2.imwrite(str(home / name / "images" / picture), np.zeros((600, 600, 3), np.uint8))
    return home / name


def _json(path: Path, content: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))
