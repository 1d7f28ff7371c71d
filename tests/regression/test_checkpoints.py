"""Files of regressors are untrusted: whatever is in them, one line says that they are damaged."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import safetensors.torch
import torch

from bodyreg import UserError
from bodyreg.regression import Regressor
from bodyreg.regression.regressor import FORMAT
from bodyreg.training.checkpoints import FACTS, load_checkpoint, save_checkpoint

from .nets import untaught

WEIGHT = "head.bias"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "net.safetensors"
    untaught(32, body="0123456789ab").save(path)
    return path


def refusal(path) -> str:
    """The one line with which the file is refused."""
    with pytest.raises(UserError) as error:
        Regressor.load(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
    return str(error.value)


def with_header(path, change) -> None:
    """Write the file anew with another header; the tensors' bytes stay."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    text = change(header)
    text = json.dumps(header if text is None else text).encode() if text != b"" else b""
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])


def test_a_whole_file(path):
    assert Regressor.load(path).body == "0123456789ab"
    with_header(path, lambda header: None)
    assert Regressor.load(path).side == 32


@pytest.mark.parametrize("share", [0, 0.001, 0.01, 0.5, 0.999])
def test_a_file_that_is_cut(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    assert "not a checkpoint" in refusal(path)


def test_bytes_of_the_header_that_are_wrong(path):
    """A changed byte is refused, or changes nothing but a word of the facts, or a number."""
    data, random = path.read_bytes(), np.random.default_rng(0)
    end = 8 + int.from_bytes(data[:8], "little")
    refused = 0
    for place in (*range(12), *random.integers(12, end, 200)):
        changed = bytearray(data)
        changed[place] ^= 1 << int(random.integers(8))
        path.write_bytes(changed)
        try:
            Regressor.load(path)
        except UserError:
            refusal(path)
            refused += 1
    assert refused > 150


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h[WEIGHT].update(shape=[131]),
        lambda h: h[WEIGHT].update(shape=[2**40]),
        lambda h: h[WEIGHT].update(shape=[2**62, 2**62]),
        lambda h: h[WEIGHT].update(shape=[-132]),
        lambda h: h[WEIGHT].update(data_offsets=[0, 2**60]),
        lambda h: h[WEIGHT].update(data_offsets=[8, 0]),
        lambda h: h[WEIGHT].update(dtype="Q8"),
        lambda h: h.pop(WEIGHT) and None,
        lambda h: h.pop("__metadata__") and None,
        lambda h: h.update(__metadata__={"bodyreg": "{"}),
        lambda h: h.update(__metadata__={"bodyreg": "[" * 100_000}),
        lambda h: h.update(__metadata__={"bodyreg": "[1]"}),
        lambda h: h.update(__metadata__={"other": "{}"}),
        lambda h: [h],
        lambda h: b"",
    ],
)
def test_headers_that_are_wrong(path, change):
    with_header(path, change)
    refusal(path)


def test_a_header_that_claims_more_than_the_file(path):
    data = path.read_bytes()
    for size in (len(data), 2**40, 2**63, 2**64 - 1):
        path.write_bytes(size.to_bytes(8, "little") + data[8:])
        assert "not a checkpoint" in refusal(path)


def test_a_file_that_is_too_large(path):
    """It has no content, and would fill the memory."""
    os.truncate(path, 1 << 40)
    assert "1,099,511,627,776 bytes" in refusal(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update({WEIGHT: t[WEIGHT] * torch.nan}), "tensor 'head.bias' is not finite"),
        (lambda t: t.update({WEIGHT: t[WEIGHT] / 0}), "tensor 'head.bias' is not finite"),
        (lambda t: t.update({WEIGHT: t[WEIGHT][:5]}), "not those of this network"),
        (lambda t: t.update({WEIGHT: t[WEIGHT][None]}), "not those of this network"),
        (lambda t: t.update({WEIGHT: t[WEIGHT].double()}), "not those of this network"),
        (lambda t: t.update({WEIGHT: t[WEIGHT].int()}), "not those of this network"),
        (lambda t: t.update(more=torch.ones(1)), "not those of this network"),
        (lambda t: t.pop(WEIGHT), "not those of this network"),
        (lambda t: t.clear(), "not those of this network"),
    ],
)
def test_tensors_that_are_wrong(path, change, message):
    tensors, facts = load_checkpoint(path, FORMAT)
    change(tensors)
    header = {FACTS: json.dumps({"format": FORMAT, **facts})}
    path.write_bytes(safetensors.torch.save(tensors, header))
    assert message in refusal(path)


@pytest.mark.parametrize("body", [7, None, ["a"]])
def test_a_body_that_is_no_text(path, body):
    tensors, facts = load_checkpoint(path, FORMAT)
    save_checkpoint(path, FORMAT, tensors, facts | {"body": body})
    assert "what it says of the regressor is damaged" in refusal(path)


def test_a_large_network_takes_no_memory_before_its_tensors_are_compared(path):
    """The widest one has 10^10 weights."""
    tensors, facts = load_checkpoint(path, FORMAT)
    facts["architecture"]["width"] = 4096
    save_checkpoint(path, FORMAT, tensors, facts)
    assert "not those of this network" in refusal(path)


def test_another_kind_of_file(path, tmp_path):
    save_checkpoint(path, "bodyreg-lifter-1", {"a": torch.ones(1)}, {})
    assert "is 'bodyreg-lifter-1', expected 'bodyreg-regressor-1'" in refusal(path)
    with pytest.raises(UserError, match="no such checkpoint file"):
        Regressor.load(tmp_path / "none")
