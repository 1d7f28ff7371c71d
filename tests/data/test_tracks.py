"""People followed over pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bodyreg.body import Body
from bodyreg.data import Fits, Observations
from bodyreg.data.tracks import LONGEST_GAP, Tracks, follow, require_motion
from bodyreg.errors import UserError


def people_in(names: list[str], frame: np.ndarray) -> Observations:
    count = len(names)
    return Observations.of_keypoints(
        (), np.zeros((count, 0, 2)), np.zeros((count, 0)), id=np.arange(count),
        frame=np.float32(frame), picture=np.array(names, np.str_),
    )  # fmt: skip


def same_people(track: np.ndarray, person: np.ndarray) -> bool:
    """Whether numbers of two kinds name the same people."""
    pairs = set(zip(track.tolist(), person.tolist(), strict=True))
    return len(pairs) == len(set(track.tolist())) == len(set(person.tolist()))


@pytest.mark.parametrize("seed", range(5))
def test_people_who_walk_about(seed):
    """In any order of pictures and of people; some are not seen for a while."""
    random = np.random.default_rng(seed)
    count, length = 4, 40
    times, persons = np.meshgrid(np.arange(length), np.arange(count), indexing="ij")
    times, persons = times.reshape(-1), persons.reshape(-1)
    seen = random.random(len(times)) > 0.2
    times, persons = times[seen], persons[seen]
    x = 200 * persons + 60 * np.sin(times / 9 + persons)
    frame = np.stack([x, 300 + 5 * np.cos(times), 80 + 4 * np.sin(times / 5)], 1)
    frame += random.normal(0, 3, frame.shape)
    order = random.permutation(len(times))
    names = [f"walk/frame_{7 * time + 100}.jpg" for time in times[order]]
    track, moment = follow(people_in(names, frame[order]))
    assert same_people(track, persons[order])
    np.testing.assert_array_equal(moment, times[order] - times.min())


def test_two_people_who_meet_keep_the_larger_overlap():
    """Neither of two frames goes to a track whose sum of overlaps would be less."""
    frame = np.array([[100, 100, 50], [160, 100, 50], [130, 100, 50], [185, 100, 50]])
    track, _ = follow(people_in(["a1.png", "a1.png", "a2.png", "a2.png"], frame))
    assert track.tolist() == [0, 1, 0, 1]


def test_videos_do_not_share_people():
    frame = np.tile([100, 100, 50], (4, 1))
    names = ["one/1.jpg", "one/2.jpg", "two/1.jpg", "two/2.jpg"]
    track, moment = follow(people_in(names, frame))
    assert track.tolist() == [0, 0, 1, 1] and moment.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(("away", "same"), [(LONGEST_GAP, True), (LONGEST_GAP + 1, False)])
def test_who_is_away_too_long_is_another(away, same):
    names = ["a0.jpg", "a1.jpg", f"a{1 + away}.jpg"]
    track, _ = follow(people_in(names, np.tile([100, 100, 50], (3, 1))))
    assert (track[2] == track[0]) == same


def test_who_is_elsewhere_is_another():
    track, _ = follow(people_in(["a0.jpg", "a1.jpg"], np.array([[0, 0, 50], [90, 0, 50]])))
    assert track.tolist() == [0, 1]


def test_people_of_other_pictures_are_no_video():
    body, random = Body.default(), np.random.default_rng()
    count, turn = 12, np.eye(3, dtype=np.float32)
    pose = np.float32(random.normal(0, 0.5, (count, 24, 3)))
    frame = np.tile(np.float32([100, 100, 50]), (count, 1))
    other = Fits(
        id=np.arange(count), frame=frame, pose=pose, rotation=np.tile(turn, (count, 1, 1)),
        segment_scale=np.ones((count, 24), np.float32), scale=np.full(count, 0.9, np.float32),
        translation=np.zeros((count, 2), np.float32),
    )  # fmt: skip
    people = people_in([f"a{n}.jpg" for n in random.permutation(count)], frame)
    tracks = follow(people)
    with pytest.raises(UserError, match="do not show the motion of people"):
        require_motion(people, tracks, other, body)
    slow = replace(other, pose=pose[:1] + np.float32(random.normal(0, 0.02, pose.shape)))
    require_motion(people, tracks, slow, body)
    require_motion(people, Tracks(np.arange(count), tracks.moment), other, body)


def test_nobody():
    track, moment = follow(people_in([], np.zeros((0, 3))))
    assert len(track) == len(moment) == 0


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.jpg", "b1.jpg"], "picture 'a.jpg': its name has no number"),
        (["", "b1.jpg"], "do not name their pictures"),
        (["b1.jpg", "b2.jpg", "b999999999999999999999999.jpg"], "too far apart"),
    ],
)
def test_pictures_that_are_no_video(names, message):
    with pytest.raises(UserError, match=message):
        follow(people_in(names, np.tile([100, 100, 50], (len(names), 1))))
