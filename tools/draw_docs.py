"""Draw the pictures of README.md that show the demo: docs/demo.png and docs/report.png.

    python -m bodyreg demo --out runs/demo
    python -m tools.draw_docs runs/demo

It needs Chromium and the extra `test`. docs/demo.png is the demo's overlays; docs/report.png shows
the top of its report, and below it the person whose fit is best.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from bodyreg.pictures import read_picture
from tests.viz.browser import chromium

DOCS = Path(__file__).parents[1] / "docs"
WIDTH, HEIGHT = 1200, 786
"""Of the window, pixels."""
DEMO_WIDTH = 1500


def report(run: Path) -> np.ndarray:
    """(2 HEIGHT, WIDTH, 3) the top of a run's report, and the person with the best fit in it."""
    with tempfile.TemporaryDirectory() as profile, chromium(Path(profile)) as browser:
        size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(f"file://{(run / 'report.html').resolve()}")
        _press(browser, "#direction", "best first")
        parts = [_screenshot(browser)]
        browser.find_element("css selector", ".card").click()
        _press(browser, "#also", "picture")
        parts.append(_screenshot(browser))
    return np.concatenate(parts)


def _press(browser, group: str, name: str) -> None:
    buttons = browser.find_elements("css selector", f"{group} button")
    next(button for button in buttons if button.text == name).click()


def _screenshot(browser) -> np.ndarray:
    time.sleep(3)  # until all is drawn
    data = np.frombuffer(browser.get_screenshot_as_png(), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def main() -> None:
    """Draw both pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="the --out folder of `bodyreg demo`")
    run = parser.parse_args().run
    page = read_picture(run / "overlays.png")
    height = round(len(page) * DEMO_WIDTH / page.shape[1])
    demo = cv2.resize(page, (DEMO_WIDTH, height), interpolation=cv2.INTER_AREA)
    _write(DOCS / "demo.png", demo)
    _write(DOCS / "report.png", report(run))


def _write(path: Path, picture: np.ndarray) -> None:
    """Write a picture in 256 colours: a quarter of the bytes."""
    Image.fromarray(picture[..., ::-1]).quantize(256).save(path, optimize=True)


if __name__ == "__main__":
    main()
