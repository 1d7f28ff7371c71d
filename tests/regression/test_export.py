"""Networks as ONNX: what onnxruntime makes of them is what torch makes of them."""

from __future__ import annotations

import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from bodyreg import UserError
from bodyreg.body import Parameters
from bodyreg.cli import main
from bodyreg.errors import InstallationError
from bodyreg.regression import Architecture, Regressor, export_onnx

from .nets import untaught


def resnet50() -> Regressor:
    """With statistics of batches that are not those of the beginning."""
    regressor = Regressor.new(Architecture("resnet50"), 48, 3)
    pictures = torch.rand(8, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    regressor.network.train()(pictures)
    return regressor


def mirrored(regressor: Regressor) -> Regressor:
    """With the numbers of a reflection, where the rotation is."""
    with torch.no_grad():
        regressor.network.head.bias[120:129] *= -1
    return regressor


@pytest.mark.parametrize(
    ("make", "determinant"),
    [
        (lambda: mirrored(untaught(32, 1)), -1),
        (lambda: mirrored(untaught(33, 2, six_numbers=True)), 1),
        (lambda: untaught(32, 3, six_number_pose=True), None),
        (resnet50, None),
    ],
    ids=["three columns", "six numbers", "six numbers of the pose", "resnet50"],
)
def test_onnxruntime_gives_the_same_bodies(make, determinant, tmp_path):
    """Three columns may be a reflection, six numbers may not."""
    regressor, path = make(), tmp_path / "net.onnx"
    export_onnx(regressor, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (crops,) = session.get_inputs()
    side = regressor.side
    assert (crops.name, crops.type, crops.shape[1:]) == ("crops", "tensor(uint8)", [3, side, side])
    assert [output.name for output in session.get_outputs()] == list(Parameters._fields)
    for people in (1, 2, 7):
        given = torch.randint(256, (people, 3, side, side), dtype=torch.uint8)
        found = session.run(None, {"crops": given.numpy()})
        for name, one, other in zip(
            Parameters._fields, found, regressor.parameters(given), strict=True
        ):
            assert one.shape == other.shape and one.dtype == np.float32
            np.testing.assert_allclose(one, other, atol=1e-5, rtol=1e-5, err_msg=name)
    assert np.ptp(found[0], axis=0).max() > 0  # the pictures count
    rotation = found[Parameters._fields.index("rotation")].reshape(-1, 3, 3)
    eye = np.broadcast_to(np.eye(3, dtype=np.float32), rotation.shape)
    np.testing.assert_allclose(rotation @ rotation.transpose(0, 2, 1), eye, atol=1e-5)
    if determinant is not None:
        np.testing.assert_allclose(np.linalg.det(rotation), determinant, rtol=1e-5)


def test_the_command(tmp_path, capsys):
    regressor = untaught(32, body="0123456789ab")
    regressor.save(tmp_path / "net.safetensors", people=7)
    before = [weight.clone() for weight in regressor.network.parameters()]
    command = ["export", str(tmp_path / "net.safetensors"), "--out"]
    for name in ("a.onnx", "b.onnx"):
        assert main([*command, str(tmp_path / name)]) == 0
    printed = capsys.readouterr()
    assert printed.err == "" and "crops: uint8, people x 3 x 32 x 32; pose, " in printed.out
    model = onnx.load(str(tmp_path / "a.onnx"))
    onnx.checker.check_model(model)
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert about["body"] == "0123456789ab" and about["side"] == "32"
    assert json.loads(about["architecture"])["width"] == 8
    assert json.loads(about["facts"]) == {"people": 7}
    assert json.loads(about["export"])["command"].startswith("bodyreg export ")
    assert json.loads(about["export"])["version"]
    first, second = ((tmp_path / name).read_bytes() for name in ("a.onnx", "b.onnx"))
    assert first.replace(b"a.onnx", b"b.onnx") == second
    after = Regressor.load(tmp_path / "net.safetensors").network.parameters()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("name", "words"),
    [("net.safetensors", "the file is a .onnx, such as net.onnx"), ("net.onnx", "is read, so it")],
)
def test_the_network_is_not_written_over(tmp_path, capsys, name, words):
    path = tmp_path / name
    untaught(32).save(path)
    before = path.read_bytes()
    assert main(["export", str(path), "--out", str(path)]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert path.read_bytes() == before


def test_what_cannot_be_exported(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="cannot be written"):
        export_onnx(untaught(32), "/proc/net.onnx")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(InstallationError, match=r"pip install 'bodyreg\[onnx\]'"):
        export_onnx(untaught(32), tmp_path / "net.onnx")
    assert not (tmp_path / "net.onnx").exists()
