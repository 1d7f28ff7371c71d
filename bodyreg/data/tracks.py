"""People followed over the pictures of videos, by the overlap of their frames."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from bodyreg.data.frames import overlap
from bodyreg.data.observations import Observations
from bodyreg.errors import UserError
from bodyreg.pictures import number_of, without_suffix

if TYPE_CHECKING:
    from bodyreg.body import Body
    from bodyreg.data.fits import Fits

LEAST_OVERLAP = 0.2
"""Intersection over union of the frames of one person in two pictures."""
LONGEST_GAP = 10
"""Pictures after which a person who is not seen is given up."""
FARTHEST_STEP = 0.2
"""Half sides of frames: the median of how far joints about the pelvis move on the picture from one
picture of a person to the next. In made videos of ten pictures a second it is at most 0.16, also if
keypoints are 6 px of 256 off; between other people it is 0.4."""
MOST_MOMENTS = 10**7


class Tracks(NamedTuple):
    """Who is who in videos.

    Attributes:
        track: (N,) int64 the person, from 0 in the order of appearance, over all videos.
        moment: (N,) int64 the picture's number in its video, from 0.
    """

    track: np.ndarray
    moment: np.ndarray


def follow(people: Observations) -> Tracks:
    """Follow people over the pictures of videos.

    A video is all pictures whose names differ only in the number with which they end; these numbers
    are its time, in units of their greatest common divisor. In each picture people are
    assigned to tracks such that the overlap of their frames with the last ones of the tracks is
    largest in sum.

    Raises:
        UserError: a picture is not known or its name has no number, or the numbers of a video are
            too far apart.
    """
    video, moment = _moments(people)
    track, count = np.full(len(people), -1), 0
    for number in range(video.max(initial=-1) + 1):
        own = np.flatnonzero(video == number)
        found, begun = _of_video(people.frame[own].astype(np.float64), moment[own])
        track[own] = found + count
        count += begun
    return Tracks(track, moment)


def require_motion(people: Observations, tracks: Tracks, fits: Fits, body: Body) -> None:
    """Refuse pictures of other people: fits of a track have to follow one another.

    Args:
        people: N people.
        tracks: Who is who.
        fits: Their fits, in the same order.
        body: The fitted body.

    Raises:
        UserError: the pictures of a video show no motion of people.
    """
    order = np.lexsort((tracks.moment, tracks.track))
    linked = np.flatnonzero(np.diff(tracks.track[order]) == 0)
    if not len(linked):
        return
    fits, video = fits.select(order), _moments(people)[0][order][linked]
    half = fits.frame[:, 2].astype(np.float64)
    seen = fits.seen(fits.joints(body))[..., :2].astype(np.float64)
    moved = np.diff((seen - seen[:, :1]) * half[:, None, None], axis=0)[linked]
    step = np.linalg.norm(moved, axis=2).mean(1) / np.minimum(half[1:], half[:-1])[linked]
    for number in np.unique(video):
        own = np.flatnonzero(video == number)
        if np.median(step[own]) > FARTHEST_STEP:
            assert people.picture is not None  # moments are of pictures
            one, other = (people.picture[order[linked[own[0]] + i]] for i in (0, 1))
            raise UserError(
                f"pictures '{one}', '{other}' and others do not show the motion of people; they "
                "are no video, so use the fits of single pictures, or name pictures of a video "
                "alike, and others not"
            )


def _moments(people: Observations) -> tuple[np.ndarray, np.ndarray]:
    """(N,) the video of each person's picture, in the order of names, and the moment in it."""
    names = [] if people.picture is None else people.picture.tolist()
    if people.picture is None or "" in names:
        raise UserError("people do not name their pictures, so they cannot be followed")
    numbers = [number_of(name) for name in names]
    if None in numbers:
        raise UserError(
            f"picture '{names[numbers.index(None)]}': its name has no number, which tells its time"
        )
    stems = [re.sub(r"[0-9]+$", "", without_suffix(name)) for name in names]
    places = {stem: place for place, stem in enumerate(sorted(set(stems)))}
    video = np.array([places[stem] for stem in stems], np.int64)
    moment = np.zeros(len(names), np.int64)
    for place, stem in enumerate(places):
        own = np.flatnonzero(video == place)
        # Of any size: names are texts.
        times = [numbers[row] or 0 for row in own]
        first, step = min(times), np.gcd.reduce([t - min(times) for t in times], dtype=object) or 1
        if (max(times) - first) // step >= MOST_MOMENTS:
            raise UserError(f"pictures '{stem}...': their numbers are too far apart to be a video")
        moment[own] = [(t - first) // step for t in times]
    return video, moment


def _of_video(frame: np.ndarray, moment: np.ndarray) -> tuple[np.ndarray, int]:
    """(N,) tracks of the people of one video, and how many there are."""
    track, last, seen = np.full(len(frame), -1), np.zeros((0, 3)), np.zeros(0, np.int64)
    for now in np.unique(moment):
        here = np.flatnonzero(moment == now)
        alive = np.flatnonzero(now - seen <= LONGEST_GAP)
        shared = overlap(last[alive][:, None], frame[here][None])
        olds, news = linear_sum_assignment(shared, maximize=True)
        kept = shared[olds, news] >= LEAST_OVERLAP
        track[here[news[kept]]] = alive[olds[kept]]
        begun = here[track[here] < 0]
        track[begun] = len(last) + np.arange(len(begun))
        last = np.concatenate([last, frame[begun]])
        seen = np.concatenate([seen, np.full(len(begun), now)])
        last[track[here]], seen[track[here]] = frame[here], now
    return track, len(last)
