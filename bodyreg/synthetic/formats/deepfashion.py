"""DeepFashion and Market-1501 as appearance flow keeps them: people in several poses, in pairs.

    Img/img/ID.jpg, Img/seg/ID.bmp (of Market-1501: Images)     pictures, and the body's parts
    Label/pose_label.pkl                                        joints as OpenPose finds them
    Label/pose_label_adapt.pkl                                  joints of the body itself
    Label/pair_split.json, pair_split_clean.json                pairs of the same person
    Label/image_split_dfm_new.json                              pictures for training and for tests

What a .corr file needs is in truth.npz, in the order of pose_label.pkl: where vertices lie in a
picture is `image_from_frame(truth.in_frame(truth.vertices), truth.frame[:, None])`.

Joints count from the centre of the first pixel. Market-1501 has no adapted joints and clean pairs.
"""

from __future__ import annotations

import io
import itertools
import pickle
from functools import lru_cache

import cv2
import numpy as np

from bodyreg.body import Body
from bodyreg.data.skeletons import COCO_18
from bodyreg.pictures import encode_picture
from bodyreg.synthetic.formats.densepose_coco import compact
from bodyreg.synthetic.formats.format import Goal, Recipe, Shot
from bodyreg.synthetic.observe import ABSENT, VISIBLE, Sight, joints_of, mark
from bodyreg.synthetic.pieces import Piece, Pieces
from bodyreg.synthetic.scenes.catalogue import (
    FASHION_VIEWS,
    PASSING,
    POSING,
    STREET_VIEWS,
    Catalogue,
    is_test,
)

# The centre of the first pixel, where coordinates here begin half a pixel before.
FROM_CENTRE = 0.5
MISSING = [-1, -1]
HEAD = tuple(COCO_18.joints.index(f"{s}_{n}") for s in ("left", "right") for n in ("eye", "ear"))

PARTS = {
    1: (12, 15), 2: (0, 3, 6, 9), 3: (13, 16, 18, 20, 22), 4: (14, 17, 19, 21, 23),
    5: (1, 4, 7, 10), 6: (2, 5, 8, 11),
}  # fmt: skip
"""Label of head, torso, left arm, right arm, left leg, right leg -> joints."""
MEDIAN = 5


class DeepFashion:
    """DeepFashion's folder."""

    name = "deepfashion"
    images = "Img"
    labels = ("pose_label", "pose_label_adapt")

    def scenes(self, recipe: Recipe) -> Catalogue:
        """A catalogue."""
        return Catalogue(
            self.name, recipe.people, recipe.seed, 256, 256, FASHION_VIEWS, POSING, plain=True
        )

    def identifier(self, shot: Shot, number: int) -> str:
        """The name of a picture of the same person, of two words: who and which view."""
        who, view = shot.scenes.place(number)
        person = shot.scene.figures[0].person
        traits = dict(zip(shot.body.shape_names, person.shape, strict=True))
        sex = "MEN" if traits.get("sex", -1) > 0 else "WOMEN"
        place = list(FASHION_VIEWS).index(view)
        # In the real names, other views have the number 7.
        return f"fashion{sex}Clothesid{who + 1:08}01_{(1, 2, 3, 4, 7)[place]}{view}"

    def picture(self, shot: Shot) -> str:
        """Its name among the pictures."""
        return f"{self.images}/img/{self.identifier(shot, shot.scene.number)}.jpg"

    def files(self, shot: Shot) -> dict[str, bytes]:
        """The body's parts."""
        name = self.identifier(shot, shot.scene.number)
        return {f"{self.images}/seg/{name}.bmp": encode_picture(_parts(shot), ".bmp")}

    def describe(self, shot: Shot) -> Piece:
        """Joints, and with a person's first picture all pairs of this person."""
        name = self.identifier(shot, shot.scene.number)
        found, body = _joints(shot, shot.sights[0])
        who, _ = shot.scenes.place(shot.scene.number)
        split = "test" if is_test(who) else "train"
        pictures = shot.scenes.pictures_of(who)
        piece: Piece = {
            "pose_label": [_pickled_item(name, found)],
            "pose_label_adapt": [_pickled_item(name, body)],
            f"{split}.pictures": [compact(name).encode()],
        }
        if shot.scene.number == pictures[0]:
            names = [self.identifier(shot, number) for number in pictures]
            pairs = [compact(pair).encode() for pair in itertools.permutations(names, 2)]
            piece[f"{split}.pairs"] = pairs
            if split == "test":
                piece["test_small.pairs"] = pairs[:1]
        return {f"{self.name}.{key}": value for key, value in piece.items()}

    def join(self, goal: Goal, pieces: Pieces) -> int:
        """Write the labels and the truth, whose ids are places in pose_label.pkl, from 0."""
        for label in self.labels:
            with goal.open(f"Label/{label}.pkl") as stream:
                # A dictionary's pickle: beginning, items, end.
                stream.write(b"\x80\x02}")
                stream.writelines(pieces.texts(f"{self.name}.{label}"))
                stream.write(b".")
        for name in ("pair_split", "pair_split_clean")[: len(self.labels)]:
            self._write_splits(goal, pieces, name, "pairs", ("train", "test", "test_small"))
        if len(self.labels) > 1:
            name = "image_split_dfm_new"
            self._write_splits(goal, pieces, name, "pictures", ("train", "test"))
        return goal.save_truth(pieces)

    def _write_splits(
        self, goal: Goal, pieces: Pieces, file: str, what: str, splits: tuple[str, ...]
    ) -> None:
        with goal.open(f"Label/{file}.json") as stream:
            for place, split in enumerate(splits):
                stream.write(f'{"," if place else "{"}"{split}":'.encode())
                pieces.write_list(stream, f"{self.name}.{split}.{what}")
            stream.write(b"}")


class Market1501(DeepFashion):
    """Market-1501's folder."""

    name = "market1501"
    images = "Images"
    labels = ("pose_label",)

    def scenes(self, recipe: Recipe) -> Catalogue:
        """People in the street."""
        return Catalogue(
            self.name, recipe.people, recipe.seed, 64, 128, STREET_VIEWS, PASSING, plain=False
        )

    def identifier(self, shot: Shot, number: int) -> str:
        """The name of a picture of the same person: who, camera and sequence, frame, box."""
        who, view = shot.scenes.place(number)
        return f"{who + 1:04}_{view}s1_{number + 1:06}_01"


def _joints(shot: Shot, sight: Sight) -> tuple[list[list[float]], list[list[float]]]:
    """18 joints as OpenPose finds them, with its errors, and as the body has them.

    Both lack what is outside of the picture; OpenPose lacks hidden eyes and ears too, and what it
    lacks is left out of the body's.
    """
    joints = joints_of(sight.figure, COCO_18)
    sd = sight.noise_sd(shot.recipe.noise)
    marks = mark(shot.layout, sight, joints, sd, shot.random("joints of OpenPose"))
    missing = marks[:, 2] == ABSENT
    missing[list(HEAD)] |= marks[list(HEAD), 2] != VISIBLE
    body = sight.figure.project(joints)[:, :2]

    def rows(xy: np.ndarray) -> list[list[float]]:
        counted = np.round(xy - FROM_CENTRE, 3).tolist()
        return [MISSING if gone else row for row, gone in zip(counted, missing, strict=True)]

    return rows(marks[:, :2]), rows(body)


def _pickled_item(name: str, value: list[list[float]]) -> bytes:
    """A dictionary's item as it stands in a pickle of protocol 2, which Python 2 reads too."""
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, 2)
    # Without a memory of what was pickled before, items can be put together in any company.
    pickler.fast = True
    pickler.dump({name: value})
    # After the head and the empty dictionary come the item and the end.
    return buffer.getvalue()[3:-1]


def _parts(shot: Shot) -> np.ndarray:
    """(H, W) uint8 0 background, 1 head, 2 torso, 3 / 4 left / right arm, 5 / 6 left / right leg.

    As appearance flow made them: a face belongs to the joint that moves its first vertex most; a
    median over the joints' numbers; joints merged to parts.
    """
    joint = np.zeros(shot.layout.owner.shape, np.uint8)
    for sight in shot.sights:
        face = shot.layout.surface[sight.place].face[sight.pixels]
        joint[sight.pixels] = _joint_of_face(shot.body)[face] + 1
    return _merged()[cv2.medianBlur(joint, MEDIAN)]


@lru_cache(maxsize=1)
def _joint_of_face(body: Body) -> np.ndarray:
    return body.segment[body.faces[:, 0]].astype(np.uint8)


@lru_cache(maxsize=1)
def _merged() -> np.ndarray:
    """(25,) uint8 a joint's number from 1, 0 = background -> part."""
    labels = np.zeros(25, np.uint8)
    for label, joints in PARTS.items():
        labels[[joint + 1 for joint in joints]] = label
    return labels
