"""People of every format, from the file to the fit."""

import dataclasses
import json
import pickle

import cv2
import numpy as np
from scipy.io import savemat

from bodyreg.body import Body
from bodyreg.data import Fits, Observations
from bodyreg.data.frames import image_from_frame
from bodyreg.data.skeletons import (
    BODY_25,
    COCO_17,
    COCO_18,
    H36M_17,
    LSP_14,
    MPII_16,
    SPIN_24,
)


def test_every_format_is_registered(bodyreg, tmp_path):
    """The same person, standing, written by hand in the formats of keypoints."""
    body = Body.default()

    def pixels(skeleton) -> np.ndarray:
        """(J, 2) where the built-in body's T-pose has the joints, 200 pixels a metre, y down."""

        places = body.keypoints(skeleton.keypoints).anchors[..., :2].sum(1).numpy()
        return 300 + 200 * places * [1, -1]

    mpii = {"image": "a.jpg", "joints": (pixels(MPII_16) + 0.5).tolist(), "joints_vis": [1] * 16}
    (tmp_path / "train.json").write_text(json.dumps([mpii | {"center": [300, 300], "scale": 1.7}]))
    np.savez(
        tmp_path / "2d.npz",
        positions_2d={"S1": {"Posing": [pixels(H36M_17)[None]]}},
        metadata={"layout_name": "h36m", "num_joints": 17},
    )
    part = np.column_stack([pixels(SPIN_24), np.ones(24)])[None]
    np.savez(
        tmp_path / "spin.npz", imgname=np.array(["a.jpg"]), center=np.full((1, 2), 300.0),
        scale=np.array([2.0]), part=part,
    )  # fmt: skip
    person = np.column_stack([pixels(BODY_25), np.ones(25)]).reshape(-1).tolist()
    (tmp_path / "a_keypoints.json").write_text(
        json.dumps({"people": [{"pose_keypoints_2d": person}]})
    )
    (tmp_path / "Img").mkdir()
    (tmp_path / "Label").mkdir()
    label = {"a": (pixels(COCO_18) - 0.5).tolist()}
    (tmp_path / "Label" / "pose_label.pkl").write_bytes(pickle.dumps(label, 2))
    (tmp_path / "Label" / "pair_split.json").write_text("{}")
    cv2.imwrite(str(tmp_path / "a.jpg"), np.full((600, 600, 3), 200, np.uint8))

    result = np.column_stack([pixels(COCO_17) - 0.5, np.ones(17)]).reshape(-1).tolist()
    (tmp_path / "results.json").write_text(
        json.dumps([{"image_id": "a.jpg", "keypoints": result, "score": 0.9}])
    )
    lsp = np.column_stack([pixels(LSP_14) + 0.5, np.zeros(14)])
    savemat(tmp_path / "joints.mat", {"joints": lsp.T[..., None]})
    cv2.imwrite(str(tmp_path / "im0001.jpg"), np.full((600, 600, 3), 200, np.uint8))

    sources = {
        "--keypoints": "results.json", "--lsp": "joints.mat",
        "--mpii": "train.json", "--human36m": "2d.npz", "--human36m ": "spin.npz",
        "--openpose": "", "--deepfashion": "",
    }  # fmt: skip
    for number, (flag, name) in enumerate(sources.items()):
        out = tmp_path / f"out{number}"
        drawn = () if name == "2d.npz" else ("--images", tmp_path, "--overlays", 1)
        result = bodyreg(
            "register", flag.strip(), tmp_path / name, "--out", out, "--iterations", 40, *drawn
        )
        assert (result.status, result.error) == (0, ""), flag
        fits = Fits.load(out / "fits.npz")
        assert len(fits) == 1
        pelvis = image_from_frame(fits.joints(body)[:, 0, :2], fits.frame)
        assert np.abs(pelvis - pixels(H36M_17)[0]).max() < 10, flag
        assert (out / "overlays.png").is_file() == bool(drawn)


def test_observations_that_know_their_pictures_are_drawn_over_them(
    bodyreg, tmp_path, observations_file, body_file
):
    """Also where one of the pictures is damaged, which a warning tells."""
    people = dataclasses.replace(
        Observations.load(observations_file), picture=np.array(["a.png", "b/c.png", ""])
    )
    people.save(observations_file)
    (tmp_path / "b").mkdir()
    for name, colour in (("a.png", (0, 0, 255)), ("b/c.png", (0, 255, 0))):
        cv2.imwrite(str(tmp_path / name), np.full((600, 600, 3), colour, np.uint8))
    command = (
        "register", "--observations", observations_file, "--body", body_file, "--images", tmp_path,
        "--overlays", 3, "--iterations", 5, "--out",
    )  # fmt: skip
    result = bodyreg(*command, tmp_path / "out")
    assert (result.status, result.error) == (0, "")
    sheet = cv2.imread(str(tmp_path / "out" / "overlays.png"))
    assert (sheet == (0, 0, 255)).all(2).any()
    assert (sheet == (0, 255, 0)).all(2).any()

    (tmp_path / "b" / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    damaged = tmp_path / "damaged"
    warning = f"warning: 1 of 3 people shown without picture; {tmp_path}/b/c.png: no readable"
    for words in ((*command, damaged), ("report", damaged)):
        result = bodyreg(*words)
        assert result.status == 0
        assert result.error.startswith(warning) and result.error.count("\n") == 1
    assert (damaged / "run.json").is_file() and (damaged / "report.html").is_file()
    page = cv2.imread(str(damaged / "overlays.png"))
    assert (page == (0, 0, 255)).all(2).any() and not (page == (0, 255, 0)).all(2).any()
    assert page.shape == sheet.shape
