"""The page of `bodyreg app`: a picture goes in, a body comes out. It is drawn by Gradio.

The page asks nothing of any other machine: fonts are the system's, Gradio's counting of its users
is off, and the browser is told to load from this server alone.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bodyreg.errors import InstallationError, UserError
from bodyreg.pictures import SUFFIXES

if TYPE_CHECKING:
    import gradio

MOST_BYTES = 2**28
"""Of one file that a user drops."""

ORIGIN_ALONE = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'; "
    "base-uri 'self'; form-action 'self'"
)
"""What the browser may load: nothing but what this server has."""

FAULT = "This is a fault of the program; the terminal in which it runs has the details."

INTRODUCTION = (
    "Drop a picture, and the file in which a detector wrote what it found there: a body is fitted "
    "to each person. Without such a file, one person is looked for."
)


class Shown(NamedTuple):
    """A person of a picture.

    Attributes:
        name: Of the person, for the list of people.
        overlay: (H, W, 3) uint8 red, green, blue: the picture, the body over it, and from the side.
        doubts: What is uncertain, in words.
        glb: The file of the body.
    """

    name: str
    overlay: np.ndarray
    doubts: str
    glb: Path


Fit = Callable[[Path | None, Sequence[Path], str], list[Shown]]
"""Fits the people of a picture: the picture, files of a detector, and their kind."""


@contextmanager
def served(fit: Fit, kinds: Sequence[str], folder: Path, host: str, port: int) -> Iterator[str]:
    """Serve the page, and yield its address.

    Args:
        fit: Fits the people of a picture. The text of a `UserError` is shown in the page.
        kinds: Descriptions of the kinds of a detector's file.
        folder: For the files that the browser sends.
        host: The address of this machine at which the page can be opened.
        port: The port of the page.

    Raises:
        InstallationError: Gradio is not installed.
        UserError: the port is taken, or the host is not this machine.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    # Gradio tells httpx to log each request.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        import gradio
        from starlette.middleware import Middleware
    except ImportError:
        raise InstallationError('the page needs Gradio: pip install "bodyreg[app]"') from None
    page = _page(gradio, fit, kinds)
    try:
        _, address, _ = page.launch(
            server_name=host,
            server_port=port,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            inbrowser=False,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            enable_monitoring=False,
            footer_links=[],
            max_file_size=MOST_BYTES,
            theme=_theme(gradio),
            css=CSS,
            app_kwargs={"middleware": [Middleware(_OriginAlone)]},
        )
    except OSError as error:
        raise UserError(f"{host}:{port}: the page cannot be served here; {error}") from None
    try:
        yield address
    finally:
        page.close(verbose=False)


CSS = """
.gradio-container { max-width: 1180px !important; margin: auto; }
#overlay img { object-fit: contain; }
"""


def _theme(gradio: Any) -> Any:
    """Gradio's plain theme in fonts that every system has."""
    return gradio.themes.Default(
        primary_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )


def _page(gradio: Any, fit: Fit, kinds: Sequence[str]) -> gradio.Blocks:
    with gradio.Blocks(title="bodyreg", analytics_enabled=False, delete_cache=(600, 3600)) as page:
        people = gradio.State([], time_to_live=3600)
        gradio.Markdown(f"# bodyreg\n{INTRODUCTION}")
        with gradio.Row():
            picture = gradio.File(label="Picture", file_types=list(SUFFIXES), height=130)
            files = gradio.File(
                label="A detector's file, if there is one", file_count="multiple", height=130
            )
        kind = gradio.Dropdown(list(kinds), value=kinds[0], label="Kind of the detector's file")
        start = gradio.Button("Fit", variant="primary")
        person = gradio.Dropdown([], label="Person", visible=False, interactive=True)
        overlay = gradio.Image(
            label="The picture, the fit, and the same body from the side",
            elem_id="overlay",
            format="png",
            interactive=False,
            buttons=["download", "fullscreen"],
        )
        with gradio.Row(equal_height=True):
            with gradio.Column(scale=3):
                body = gradio.Model3D(
                    label="The body, to turn", height=420, clear_color=(0.96, 0.96, 0.97, 1)
                )
            with gradio.Column(scale=2):
                doubts = gradio.Textbox(label="What is uncertain", lines=8, interactive=False)
                download = gradio.DownloadButton("Download GLB", interactive=False)

        shown = [person, overlay, doubts, body, download]

        def show(found: list[Shown], name: str) -> list[Any]:
            names = [one.name for one in found]
            one = found[names.index(name)] if name in names else None
            path = None if one is None else str(one.glb)
            return [
                gradio.Dropdown(choices=names, value=name or None, visible=len(found) > 1),
                None if one is None else one.overlay,
                "" if one is None else one.doubts,
                path,
                gradio.DownloadButton(value=path, interactive=path is not None),
            ]

        def run(picture: str | None, files: list[str] | None, kind: str) -> list[Any]:
            found = _told(gradio, fit, picture, files, kind)
            return [found, *show(found, found[0].name)]

        def clear() -> list[Any]:
            return [[], *show([], "")]

        private = {"api_visibility": "private"}
        start.click(clear, None, [people, *shown], show_progress="hidden", **private).then(
            run, [picture, files, kind], [people, *shown], **private
        )
        person.input(show, [people, person], shown, **private)
    return page


def _told(
    gradio: Any, fit: Fit, picture: str | None, files: list[str] | None, kind: str
) -> list[Shown]:
    """What a fit gives; what is wrong is told in the page, in one line."""
    try:
        return fit(picture and Path(picture), [Path(file) for file in files or ()], kind)
    except (UserError, InstallationError) as error:
        line = " ".join(str(error).split())
        raise gradio.Error(line, duration=None, title="This cannot be fitted") from None
    except Exception:
        logging.getLogger(__name__).exception("a fit has failed")
        raise gradio.Error(FAULT, duration=None) from None


class _OriginAlone:
    """Tells browsers to load nothing from other machines."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def with_policy(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                policy = (b"content-security-policy", ORIGIN_ALONE.encode())
                message["headers"] = [*message.get("headers", ()), policy]
            await send(message)

        await self._app(scope, receive, with_policy)
