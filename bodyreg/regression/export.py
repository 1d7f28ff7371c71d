"""Networks as ONNX, for programs without torch."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from bodyreg.body import Parameters
from bodyreg.errors import InstallationError
from bodyreg.files import atomic_path
from bodyreg.reference import gram_schmidt
from bodyreg.regression.network import Network
from bodyreg.regression.outputs import parameters_of
from bodyreg.regression.regressor import FORMAT, Regressor

INPUT, PEOPLE = "crops", "people"
"""The name of the input, and of its first side."""


def export_onnx(regressor: Regressor, path: str | os.PathLike, **facts: Any) -> None:
    """Write a network as ONNX.

    Its input, `crops`, is uint8 (people, 3, side, side): what is in people's frames; red, green,
    blue. Its outputs are the blocks of `Parameters`, float32: `pose` (people, 24, 4) as quaternions
    w, x, y, z, `segment_scale` (people, 24), `rotation` (people, 3, 3), `translation` (people, 2)
    and `scale` (people,). Any number of people fits. The model's metadata are texts: `format`,
    `body`, `side`, and JSON of `architecture`, of `facts` (of the network) and of `export`.

    Args:
        regressor: The network.
        path: The file.
        **facts: What made the file, under `export`; plain values.

    Raises:
        InstallationError: onnx or onnxscript is not installed.
        UserError: the file cannot be written.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  torch's exporter needs it
    except ImportError as error:
        raise InstallationError("ONNX needs its packages: pip install 'bodyreg[onnx]'") from error
    about = {
        "format": FORMAT,
        "body": regressor.body,
        "side": str(regressor.side),
        "architecture": json.dumps(asdict(regressor.network.architecture)),
        "facts": json.dumps(dict(regressor.facts)),
        "export": json.dumps(facts),
    }
    example = torch.zeros(2, 3, regressor.side, regressor.side, dtype=torch.uint8)
    with _silent():
        program = torch.onnx.export(
            _Plain(regressor.network).eval(),
            (example.to(regressor.network.head.weight.device),),
            dynamo=True,
            verbose=False,
            input_names=[INPUT],
            output_names=list(Parameters._fields),
            dynamic_shapes=({0: torch.export.Dim(PEOPLE)},),
        )
    assert program is not None
    model = program.model_proto
    for node in model.graph.node:  # where each comes from in the sources of this machine
        del node.metadata_props[:]
    onnx.helper.set_model_props(model, about)
    with atomic_path(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


class _Plain(nn.Module):
    """A network made of torch's own operations alone, from bytes."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        flat = self.network.numbers(crops.float() / 255)
        six_numbers = self.network.architecture.six_numbers
        return tuple(parameters_of(flat, six_numbers=six_numbers, orthonormal=gram_schmidt))


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """A section without the warnings that torch's exporter has about itself and other packages."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
