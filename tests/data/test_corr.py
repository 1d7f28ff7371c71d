"""Correspondences and flow. Reference: the bytes of the format, packed one by one."""

import struct

import numpy as np

from bodyreg.data.corr import Correspondence, read_corr, write_corr

HEIGHT, WIDTH = 3, 5


def made() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    flow = random.uniform(-9, 9, (HEIGHT, WIDTH, 2)).astype(np.float32)
    kind = random.integers(0, 3, (HEIGHT, WIDTH)).astype(np.uint8)
    assert {*kind.flat} == {0, 1, 2}
    flow[kind == 2] = 0
    return flow, kind


def test_the_bytes_of_a_flow(tmp_path):
    flow, kind = made()
    write_corr(tmp_path / "a.corr", Correspondence.of_flow(flow, kind))
    expected = bytearray(struct.pack("<ii", WIDTH, HEIGHT))
    for row in range(HEIGHT):
        for column in range(WIDTH):
            x, y = flow[row, column] + np.float32([column, row])
            expected += struct.pack("<ff", *((0, 0) if kind[row, column] == 2 else (x, y)))
    expected += bytes(kind.reshape(-1).tolist())
    assert (tmp_path / "a.corr").read_bytes() == expected
    assert len(expected) == 8 + 9 * HEIGHT * WIDTH


def test_a_flow_comes_back(tmp_path):
    flow, kind = made()
    write_corr(tmp_path / "a.corr", Correspondence.of_flow(flow, kind))
    read = read_corr(tmp_path / "a.corr")
    np.testing.assert_array_equal(read.kind, kind)
    np.testing.assert_allclose(read.flow, flow, atol=1e-6)
    assert read.flow.dtype == np.float32


def test_places_on_the_background_do_not_count():
    kind = np.full((2, 2), 2, np.uint8)
    found = Correspondence.of_flow(np.full((2, 2, 2), np.nan, np.float32), kind)
    assert (found.place == 0).all() and (found.flow == 0).all()
