"""DeepFashion and Market-1501 in the layout of appearance flow: pairs of poses of one person.

    Img/img/ID.jpg, Img/seg/ID.bmp (of Market-1501: Images)     pictures, and body parts
    Label/pose_label.pkl                                        joints as OpenPose finds them
    Label/pose_label_adapt.pkl                                  joints of the body itself
    Label/pair_split.json, pair_split_clean.json                pairs of the same person
    Label/image_split_dfm_new.json                              pictures for training and testing

truth.npz holds what a .corr file needs, in the order of pose_label.pkl: the vertices in picture
pixels are `image_from_frame(truth.in_frame(truth.vertices), truth.frame[:, None])`.

Coordinates of joints are 0 at the centre of the first pixel. Market-1501 has no adapted joints and
no clean pairs.
"""

from __future__ import annotations

import io
import itertools
import pickle
from functools import lru_cache

import cv2
import numpy as np

from bodyreg.body import Body
from bodyreg.data.deepfashion import PARTS
from bodyreg.data.skeletons import COCO_18
from bodyreg.pictures import encode_picture
from bodyreg.synthetic.formats.densepose_coco import compact
from bodyreg.synthetic.formats.format import Destination, Recipe, Shot
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

# Coordinates in the files are 0 at the centre of the first pixel, picture pixels at its corner.
FROM_CENTRE = 0.5
MISSING = [-1, -1]
HEAD = tuple(COCO_18.joints.index(f"{s}_{n}") for s in ("left", "right") for n in ("eye", "ear"))

MEDIAN = 5


class DeepFashion:
    """DeepFashion's folder."""

    name = "deepfashion"
    images = "Img"
    labels = ("pose_label", "pose_label_adapt")

    def scenes(self, recipe: Recipe) -> Catalogue:
        """Pictures of a catalogue."""
        return Catalogue(
            self.name,
            recipe.people,
            recipe.seed,
            256,
            256,
            FASHION_VIEWS,
            POSING,
            True,
            recipe.motions,
        )

    def identifier(self, shot: Shot, number: int) -> str:
        """The name of one of this person's pictures: the person's number and the view."""
        person_number, view = shot.scenes.place(number)
        person = shot.scene.figures[0].person
        traits = dict(zip(shot.body.shape_names, person.shape, strict=True))
        sex = "MEN" if traits.get("sex", -1) > 0 else "WOMEN"
        place = list(FASHION_VIEWS).index(view)
        # In the real names, additional views have the number 7.
        return f"fashion{sex}Clothesid{person_number + 1:08}01_{(1, 2, 3, 4, 7)[place]}{view}"

    def picture(self, shot: Shot) -> str:
        """Path of the picture."""
        return f"{self.images}/img/{self.identifier(shot, shot.scene.number)}.jpg"

    def files(self, shot: Shot) -> dict[str, bytes]:
        """The picture of body parts."""
        name = self.identifier(shot, shot.scene.number)
        return {f"{self.images}/seg/{name}.bmp": encode_picture(_parts(shot), ".bmp")}

    def describe(self, shot: Shot) -> Piece:
        """Joints, and for a person's first picture all pairs of this person."""
        name = self.identifier(shot, shot.scene.number)
        found, body = _joints(shot, shot.sights[0])
        person, _ = shot.scenes.place(shot.scene.number)
        split = "test" if is_test(person) else "train"
        pictures = shot.scenes.pictures_of(person)
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

    def join(self, destination: Destination, pieces: Pieces) -> int:
        """Write the labels, and the truth with the places in pose_label.pkl, from 0, as ids."""
        for label in self.labels:
            with destination.open(f"Label/{label}.pkl") as stream:
                # The pickle of a dictionary: protocol 2 and an empty dictionary, items, stop.
                stream.write(b"\x80\x02}")
                stream.writelines(pieces.texts(f"{self.name}.{label}"))
                stream.write(b".")
        for name in ("pair_split", "pair_split_clean")[: len(self.labels)]:
            self._write_splits(destination, pieces, name, "pairs", ("train", "test", "test_small"))
        if len(self.labels) > 1:
            name = "image_split_dfm_new"
            self._write_splits(destination, pieces, name, "pictures", ("train", "test"))
        return destination.save_truth(pieces)

    def _write_splits(
        self,
        destination: Destination,
        pieces: Pieces,
        file: str,
        what: str,
        splits: tuple[str, ...],
    ) -> None:
        with destination.open(f"Label/{file}.json") as stream:
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
        """Pictures of people in the street."""
        return Catalogue(
            self.name,
            recipe.people,
            recipe.seed,
            64,
            128,
            STREET_VIEWS,
            PASSING,
            False,
            recipe.motions,
        )

    def identifier(self, shot: Shot, number: int) -> str:
        """The name of one of this person's pictures: person, camera and sequence, frame, box."""
        person, view = shot.scenes.place(number)
        return f"{person + 1:04}_{view}s1_{number + 1:06}_01"


def _joints(shot: Shot, sight: Sight) -> tuple[list[list[float]], list[list[float]]]:
    """18 joints with OpenPose's errors, and the same joints of the body itself.

    Both lack the same joints: those outside of the picture, and the eyes and ears that are hidden,
    which OpenPose would not find.
    """
    joints = joints_of(sight.figure, COCO_18)
    random = shot.random("joints of OpenPose")
    marks, _ = mark(shot.layout, sight, COCO_18, shot.recipe.noise, random)
    missing = marks[:, 2] == ABSENT
    missing[list(HEAD)] |= marks[list(HEAD), 2] != VISIBLE
    body = sight.figure.project(joints)[:, :2]

    def rows(xy: np.ndarray) -> list[list[float]]:
        counted = np.round(xy - FROM_CENTRE, 3).tolist()
        return [MISSING if gone else row for row, gone in zip(counted, missing, strict=True)]

    return rows(marks[:, :2]), rows(body)


def _pickled_item(name: str, value: list[list[float]]) -> bytes:
    """The bytes of a dictionary's item in a pickle of protocol 2, which Python 2 reads too."""
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, 2)
    # Without the memo, items do not refer to each other and can be joined in any order.
    pickler.fast = True
    pickler.dump({name: value})
    # Drop the protocol and the empty dictionary before the item, and the stop after it.
    return buffer.getvalue()[3:-1]


def _parts(shot: Shot) -> np.ndarray:
    """(H, W) uint8 0 background, 1 head, 2 torso, 3 / 4 left / right arm, 5 / 6 left / right leg.

    As in appearance flow: a face belongs to the joint with the largest weight of its first vertex;
    a median filter runs over the joints' numbers; then joints are merged into parts.
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
    """(25,) uint8 part of each joint, whose number counts from 1; 0 is the background."""
    labels = np.zeros(25, np.uint8)
    for label, joints in PARTS.items():
        labels[[joint + 1 for joint in joints]] = label
    return labels
