"""The people of benchmarks.million: the right number, all different, the same every time."""

import numpy as np

from benchmarks import million
from bodyreg.body import Body
from bodyreg.data import open_observations


def test_people_of_shards_differ(tmp_path, monkeypatch):
    monkeypatch.setattr(million, "BASE", 8)
    monkeypatch.setattr(million, "SHARD", 16)
    for name in ("first", "second"):
        million.write_shards(tmp_path / name, 37)
    shards = sorted((tmp_path / "first").iterdir())
    assert len(shards) == 3
    for shard in shards:
        assert shard.read_bytes() == (tmp_path / "second" / shard.name).read_bytes()
    people = open_observations(tmp_path / "first", Body.default()).read(0, 37)
    np.testing.assert_array_equal(people.id, np.arange(37))
    again = np.arange(8, 37) % 8
    assert (np.abs(people.frame[8:] - people.frame[again]) > 0).all()
    noise = (people.keypoint_xy[8:] - people.keypoint_xy[again]) / people.frame[again, None, 2:]
    assert 0 < np.abs(noise).min()
    # Both people have their own noise.
    assert 0.9 < noise.std() / (2**0.5 * million.PIXEL_SD / 128) < 1.1
