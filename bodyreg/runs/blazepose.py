"""BlazePose as the package MediaPipe has it: a detector of one person in a picture.

Its networks are files of the package (Apache-2.0), so nothing is downloaded.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from bodyreg.data.blazepose import detection
from bodyreg.data.detections import Detection
from bodyreg.errors import InstallationError

COMPLEXITY = 1
"""Of the three networks the one that the package has; the others would be downloaded."""


class BlazePose:
    """The detector. Opening takes some seconds; it is closed as a context manager.

    What it finds in a picture does not depend on other pictures.

    Raises:
        InstallationError: MediaPipe is not installed, or has no BlazePose of this kind.
    """

    def __init__(self) -> None:
        try:
            with _without_stderr():
                from mediapipe.python.solutions.pose import Pose

                self._pose = Pose(static_image_mode=True, model_complexity=COMPLEXITY)
                self._pose.process(np.zeros((64, 64, 3), np.uint8))  # its threads are ready then
        except ImportError as error:
            raise InstallationError(
                "detecting people needs MediaPipe: pip install 'bodyreg[detect]', with Python 3.12 "
                "or older; or give what another detector wrote (--keypoints, --openpose)"
            ) from error

    def __enter__(self) -> BlazePose:
        return self

    def __exit__(self, *error: object) -> None:
        with _without_stderr():
            self._pose.close()

    def __call__(self, picture: np.ndarray) -> Detection | None:
        """The most visible person of a picture (H, W, 3), uint8 blue, green, red; None if none."""
        height, width = picture.shape[:2]
        with _without_stderr():
            found = self._pose.process(np.ascontiguousarray(picture[..., ::-1]))
        if found.pose_landmarks is None:
            return None
        places = _numbers(found.pose_landmarks)
        world = _numbers(found.pose_world_landmarks)[:, :3]
        rows = places[:, [0, 1, 3]] * [width, height, 1]
        return detection(rows, places[:, 2] * width, world)


def _numbers(landmarks: Any) -> np.ndarray:
    """(33, 4) x, y, z, visibility."""
    return np.array([[p.x, p.y, p.z, p.visibility] for p in landmarks.landmark])


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """MediaPipe's own lines, which nothing else turns off, go nowhere."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
