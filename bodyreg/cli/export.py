"""bodyreg export: a network as ONNX."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from bodyreg.cli.flags import require_output
from bodyreg.files import provenance


@dataclass(frozen=True)
class Options:
    """Options of `bodyreg export`.

    Attributes:
        checkpoint: The network (.safetensors), as train/regress.py writes it.
        out: The file to write (.onnx).
    """

    checkpoint: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="CHECKPOINT")]
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")]


def run(options: Options, command: str) -> None:
    """Write the network, and print what goes in and what comes out."""
    require_output(options.out, "net.onnx", [options.checkpoint])

    from bodyreg.body import Parameters
    from bodyreg.regression import Regressor, export_onnx

    regressor = Regressor.load(options.checkpoint)
    export_onnx(regressor, options.out, **provenance(command))
    side = regressor.side
    print(f"crops: uint8, people x 3 x {side} x {side}; {', '.join(Parameters._fields)}: float32")
    print(f"network: {options.out}")
