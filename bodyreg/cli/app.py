"""bodyreg app: a page on which a picture and a detector's file become a body."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from bodyreg.cli.body import body_files
from bodyreg.cli.flags import Device, OptionalFile, require


@dataclass(frozen=True)
class Options:
    """Options of `bodyreg app`.

    Attributes:
        port: Port of the page.
        host: Address at which the page is served. By default only this machine can open it; with
            0.0.0.0 every machine of the network can.
        body: Body to fit: SMPL's .npz or .pkl, or the project's .npz. The default is the built-in
            body.
        uv: DensePose's UV_Processed.mat, to read points in DensePose's charts.
        landmarks: Your own landmarks (.json), which replace or join those of the data sets'
            conventions.
        device: Where to compute. auto takes CUDA if it can be used.
    """

    port: int = 7860
    host: str = "127.0.0.1"
    body: OptionalFile = None
    uv: OptionalFile = None
    landmarks: OptionalFile = None
    device: Device = "auto"


def run(options: Options, command: str) -> None:
    """Serve until Ctrl+C is pressed. What users drop is removed then."""
    del command
    require("--port", options.port, 1, 65535)
    from bodyreg.runs.app import KINDS, Uploads
    from bodyreg.runs.device import choose_device
    from bodyreg.viz.app import served

    choose_device(options.device)
    body = body_files(options)
    body.open()  # errors come before a page is served
    with tempfile.TemporaryDirectory(prefix="bodyreg-app-") as name:
        folder = Path(name)
        uploads = Uploads(folder, body, options.device)
        with served(uploads.fit, list(KINDS), folder, options.host, options.port) as address:
            print(f"{address}   Ctrl+C ends", flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()
