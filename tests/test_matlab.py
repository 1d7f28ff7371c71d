"""bodyreg.matlab against what SciPy writes, and against damage that crashes SciPy's reader."""

import contextlib
import struct
import zlib

import numpy as np
import pytest
import scipy.io

from bodyreg.errors import UserError
from bodyreg.matlab import load_mat


def write(path, compressed=False, **variables):
    scipy.io.savemat(path, variables, do_compression=compressed)
    return path


def read(path, *names):
    return load_mat(path, kind="test", names=names)


@pytest.mark.parametrize("compressed", [False, True])
def test_numbers_of_every_type(tmp_path, compressed):
    random = np.random.default_rng(0)
    arrays = {
        f"{kind}_{'x'.join(map(str, shape))}": (99 * random.normal(size=shape)).astype(kind)
        for kind in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")
        for shape in ((1, 1), (3, 4), (2, 3, 4), (0, 5))
    }
    path = write(tmp_path / "a.mat", compressed, **arrays)
    found = read(path, *arrays)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape


@pytest.mark.parametrize("compressed", [False, True])
def test_texts_cells_and_structs(tmp_path, compressed):
    cell = np.empty((1, 3), object)
    cell[0, 0], cell[0, 1], cell[0, 2] = "a", np.arange(3.0), {"b": 3}
    people = np.empty((2, 1), [("name", object), ("joints", object)])
    people[0, 0] = ("Zoë", np.zeros((0, 0)))
    people[1, 0] = ("", {"x": 1.5})
    path = write(
        tmp_path / "a.mat", compressed, cell=cell, people=people, one={"c": {"d": "deep"}}, other=3
    )
    found = read(path, "cell", "people", "one", "nobody")
    assert found.keys() == {"cell", "people", "one"}
    assert found["cell"][0] == "a"
    np.testing.assert_array_equal(found["cell"][1], [[0, 1, 2]])
    assert found["cell"][2] == [{"b": np.array([[3]])}]
    assert [person["name"] for person in found["people"]] == ["Zoë", ""]
    assert found["people"][0]["joints"].size == 0
    assert found["people"][1]["joints"][0]["x"] == 1.5
    assert found["one"][0]["c"][0]["d"] == "deep"


def element(kind, content, order):
    return struct.pack(f"{order}II", kind, len(content)) + content + b"\0" * (-len(content) % 8)


@pytest.mark.parametrize(("order", "mark"), [("<", b"IM"), (">", b"MI")])
def test_both_orders_of_bytes_and_small_elements(tmp_path, order, mark):
    values = np.array([1.5, -2, 3], f"{order}f8").tobytes()
    small = {"<": struct.pack("<HH", 1, 3), ">": struct.pack(">HH", 3, 1)}[order] + b"abc\0"
    matrix = (
        element(6, struct.pack(f"{order}II", 6, 0), order)
        + element(5, struct.pack(f"{order}ii", 1, 3), order) + small + element(9, values, order)
    )  # fmt: skip
    head = b" " * 124 + struct.pack(f"{order}H", 0x0100) + mark
    plain = element(14, matrix, order)
    packed = zlib.compress(plain)
    (tmp_path / "a.mat").write_bytes(
        head + struct.pack(f"{order}II", 15, len(packed)) + packed + plain
    )
    np.testing.assert_array_equal(read(tmp_path / "a.mat", "abc")["abc"], [[1.5, -2, 3]])


def test_damaged_files(tmp_path):
    random, path = np.random.default_rng(0), tmp_path / "a.mat"
    people = np.empty((3, 1), [("name", object), ("joints", object)])
    for number in range(3):
        people[number, 0] = ("somebody", random.normal(size=(number, 2)))
    refused = 0
    for number in range(300):
        write(path, number % 2 == 0, people=people)
        data = bytearray(path.read_bytes())
        for place in random.integers(124, len(data), 3):
            data[place] = random.integers(0, 256)
        path.write_bytes(data[: random.integers(len(data) // 2, 2 * len(data))])
        refused += 1
        with contextlib.suppress(UserError):  # and nothing else
            read(path, "people")
            refused -= 1
    assert refused > 100


def test_claims_take_no_memory(tmp_path):
    """A struct array of 10^9 elements, a number of 10^18 bytes, cells in cells without end."""
    path, order = tmp_path / "a.mat", "<"
    head = b" " * 124 + struct.pack("<H", 0x0100) + b"IM"

    def matrix(kind, shape, rest):
        description = element(6, struct.pack("<II", kind, 0), order)
        description += element(5, struct.pack("<ii", *shape), order) + element(1, b"x", order)
        return element(14, description + rest, order)

    fields = element(5, struct.pack("<i", 4), order) + element(1, b"a\0\0\0", order)
    deep = b""
    for _ in range(5000):
        deep = matrix(1, (1, 1), deep)
    for content in (
        matrix(2, (10**9, 1), fields), matrix(1, (10**9, 9), b""),
        matrix(6, (10**9, 10**9), element(9, b"\0" * 8, order)), deep,
        matrix(5, (1, 1), b""), matrix(6, (-1, -1), element(9, b"\0" * 8, order)),
    ):  # fmt: skip
        path.write_bytes(head + content)
        with pytest.raises(UserError, match="not a readable test file"):
            read(path, "x")


@pytest.mark.parametrize(
    "content",
    [
        # As MATLAB writes it: a text, the version, HDF5 after 512 bytes. As HDF5's tools do.
        b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .".ljust(124)
        + b"\0\2IM".ljust(388, b"\0") + b"\x89HDF\r\n\x1a\n" + bytes(500),
        b"MATLAB 7.3 MAT-file",
        b"\x89HDF\r\n\x1a\n" + bytes(500),
    ],
)  # fmt: skip
def test_version_7_3_has_its_own_message(tmp_path, content):
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.mat: .*version 7\.3 .*save it with '-v7'"):
        read(tmp_path / "a.mat", "x")


@pytest.mark.parametrize("content", [b"", b"MATLAB 5.0", b"\0" * 200, b"\x89HDF" + b" " * 600])
def test_other_files(tmp_path, content):
    path = tmp_path / "a.mat"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.mat: not a readable test file"):
        read(path, "x")
    with pytest.raises(UserError, match="no such test file"):
        read(tmp_path / "none.mat", "x")
