"""What torch saves, in all three kinds of files, read without torch; and files that lie."""

import io
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bodyreg.errors import UserError
from bodyreg.torch_files import load_torch

from .data.test_damaged import attempt, memory_of


@dataclass
class ChartResult:
    """A class of DensePose's, under the name of its module."""

    labels: Any
    uv: Any
    sigma: Any = None


def saved_by_densepose(monkeypatch, name: str = "densepose.structures.chart_result") -> type:
    module: Any = types.ModuleType(name)
    kind = type("DensePoseChartResult", (ChartResult,), {"__module__": name})
    module.DensePoseChartResult = kind
    monkeypatch.setitem(sys.modules, name, module)
    for end in range(len(name.split(".")) - 1):
        parent = ".".join(name.split(".")[: end + 1])
        monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
    return kind


KINDS = {
    "archive": lambda content, path: torch.save(content, path),
    "stream": lambda content, path: torch.save(content, path, _use_new_zipfile_serialization=False),
    "pickle": lambda content, path: Path(path).write_bytes(pickle.dumps(content)),
    "old pickle": lambda content, path: Path(path).write_bytes(pickle.dumps(content, 2)),
}


@pytest.mark.parametrize("save", KINDS.values(), ids=KINDS)
def test_tensors_of_all_types(tmp_path, save):
    base = torch.arange(60).reshape(3, 4, 5)
    types_ = (
        torch.float32, torch.float64, torch.float16, torch.int64, torch.int32, torch.int16,
        torch.int8, torch.uint8, torch.bool,
    )  # fmt: skip
    content = {str(kind): base.to(kind) for kind in types_}
    content |= {
        "turned": base.float().permute(2, 0, 1), "part": base[1:, ::2, 3], "one": base[0, 0, 0],
        "none": base[:0], "again": base, "row": base[2],
    }  # fmt: skip
    save([content, OrderedDict(a=base.shape, b=None)], tmp_path / "a.pkl")
    found, rest = load_torch(tmp_path / "a.pkl", kind="test")
    assert found.keys() == content.keys()
    for name, tensor in content.items():
        assert found[name].dtype == tensor.numpy().dtype
        np.testing.assert_array_equal(found[name], tensor.numpy())
    assert rest["a"] == [3, 4, 5] and rest["b"] is None


@pytest.mark.parametrize("save", KINDS.values(), ids=KINDS)
def test_objects_become_dictionaries(tmp_path, save, monkeypatch):
    kind = saved_by_densepose(monkeypatch)
    labels, uv = torch.randint(0, 25, (7, 5)), torch.rand(2, 7, 5)
    save([{"file_name": "a.jpg", "pred": [kind(labels, uv), kind(labels, uv)]}], tmp_path / "a")
    monkeypatch.undo()
    ((entry),) = load_torch(tmp_path / "a", kind="test")
    assert entry["file_name"] == "a.jpg" and len(entry["pred"]) == 2
    for found in entry["pred"]:
        assert found.keys() == {"labels", "uv", "sigma"} and found["sigma"] is None
        np.testing.assert_array_equal(found["labels"], labels)
        np.testing.assert_array_equal(found["uv"], uv)


class Bad:
    """Runs a command when it is unpickled by Python."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("save", KINDS.values(), ids=KINDS)
def test_hostile_pickles_run_nothing(tmp_path, save):
    marker = tmp_path / "ran"
    import os

    for bad in (
        Bad(os.system, (f"touch {marker}",)),
        Bad(eval, (f"open({str(marker)!r}, 'w')",)),
        Bad(torch.load, (str(marker),)),
        Bad(Path, (str(marker),)),
        Bad(torch.nn.Linear, (3, 3)),
    ):
        save([torch.zeros(2), bad], tmp_path / "a.pkl")
        with pytest.raises(UserError, match="which could run code") as caught:
            load_torch(tmp_path / "a.pkl", kind="test")
        assert "\n" not in str(caught.value)
    assert not marker.exists()


def archive_of(content: Any) -> dict[str, bytes]:
    stream = io.BytesIO()
    torch.save(content, stream)
    with zipfile.ZipFile(stream) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_archive(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def test_sizes_that_lie_take_no_memory(tmp_path):
    """A tensor of one number that claims to be huge: by its size, its stride, or its storage."""
    path = tmp_path / "a.pt"
    members = archive_of(torch.zeros(1).expand(1000, 1000))
    write_archive(path, members)
    assert attempt(lambda: load_torch(path, kind="test"), "a.pt")
    good = archive_of(torch.zeros(7, 11))
    pkl = next(name for name in good if name.endswith("data.pkl"))
    for before, after in (
        (b"K\x07K\x0b\x86", b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86"),  # the size
        (b"K\x0bK\x01\x86", b"J\xff\xff\xff\x7fK\x01\x86"),  # the stride
        (b"KM", b"J\xff\xff\xff\x7f"),  # the storage
        (b"K\x07K\x0b\x86", b"J\xff\xff\xff\xffK\x0b\x86"),  # below 0
    ):
        assert good[pkl].count(before) == 1
        write_archive(path, good | {pkl: good[pkl].replace(before, after)})
        assert memory_of(lambda: load_torch(path, kind="test")) < 2**20
        assert attempt(lambda: load_torch(path, kind="test"), "a.pt")
    write_archive(path, good)
    assert not attempt(lambda: load_torch(path, kind="test"), "a.pt")
    write_archive(path, good, zipfile.ZIP_LZMA)
    assert attempt(lambda: load_torch(path, kind="test"), "a.pt")
    write_archive(path, {name: data for name, data in good.items() if "data/" not in name})
    assert attempt(lambda: load_torch(path, kind="test"), "a.pt")


@pytest.mark.parametrize("save", KINDS.values(), ids=KINDS)
def test_damaged_files(tmp_path, save):
    random, path = np.random.default_rng(0), tmp_path / "a.pkl"
    save([{"a": torch.rand(3, 4), "b": torch.arange(5)}], path)
    good, refused = path.read_bytes(), 0
    for _ in range(80):
        data = bytearray(good)
        for place in random.integers(0, len(data), random.integers(1, 4)):
            data[place] = random.integers(0, 256)
        path.write_bytes(data[: random.integers(len(data) // 2, 2 * len(data))])
        refused += attempt(lambda: load_torch(path, kind="test"), str(path))
    assert refused > 25
