"""The page of `bodyreg app` in a browser, which talks to no other machine."""

import re
import socket
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest

from bodyreg.runs.app import KINDS, Uploads
from bodyreg.runs.finished import FinishedRun
from bodyreg.viz.app import served

from .browser import chromium, console_errors, network_requests, picture

pytest.importorskip("gradio", reason="Gradio (the extra 'app') is not installed")

DENSEPOSE = next(kind for kind, (form, _) in KINDS.items() if form == "densepose-coco")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("app")
    with served(Uploads(folder).fit, [DENSEPOSE], folder, "127.0.0.1", port) as at:
        yield at


@pytest.fixture(scope="module")
def dropped(demo):
    """A picture of the demo, and the file of its people."""
    source = FinishedRun.open(demo).source
    return sorted(source.images.iterdir())[1], source.path


def eventually(find, seconds=120):
    """What `find` finds first that is not false."""
    for _ in range(5 * seconds):
        if found := find():
            return found
        time.sleep(0.2)
    raise AssertionError("it did not come")


def test_a_picture_becomes_a_body_and_errors_are_one_line(address, dropped, tmp_path):
    def elements(selector):
        return window.find_elements("css selector", selector)

    def drop(number, path):
        eventually(lambda: len(elements("input[type=file]")) > number)
        elements("input[type=file]")[number].send_keys(str(path))
        eventually(lambda: path.name in window.page_source)

    def fit():
        (button,) = [one for one in elements("button") if one.text == "Fit"]
        button.click()

    with chromium(tmp_path / "browser") as window:
        network_requests(window)
        window.get(address)
        eventually(lambda: len(elements("input[type=file]")) == 2)
        fit()
        error = eventually(lambda: elements(".toast-body"))[0]
        assert "the picture is missing; drop one" in error.text
        assert str(tmp_path.parent) not in window.page_source
        drop(0, dropped[0])
        drop(-1, dropped[1])
        fit()
        image = eventually(lambda: elements("#overlay img"))[0]
        eventually(lambda: picture(image).std() > 10)
        words = eventually(lambda: elements("textarea")[0].get_property("value"))
        assert re.search(r"± \d+ mm across the view", words)
        (link,) = eventually(
            lambda: [a for a in elements("a[download]") if a.get_attribute("download") == "1.glb"]
        )
        with urllib.request.urlopen(link.get_attribute("href")) as answer:
            assert answer.read(4) == b"glTF"
        body = eventually(lambda: elements("canvas"))[0]
        eventually(lambda: picture(body).std() > 3)
        requests = network_requests(window)
        hosts = {urlsplit(url).hostname for url in requests}
        assert len(requests) > 10 and hosts == {"127.0.0.1"}
        # A headless browser has no WebGPU; the viewer then takes WebGL.
        assert not [error for error in console_errors(window) if "WebGPU" not in error]


def test_browsers_are_told_to_load_from_this_server_alone(address):
    with urllib.request.urlopen(address) as answer:
        policy, page = answer.headers["content-security-policy"], answer.read().decode()
    assert policy.startswith("default-src 'self'") and "http" not in policy
    assert not re.findall(r"<(?:script|link)[^>]+(?:src|href)=.https?://", page)


@pytest.mark.parametrize("path", ["/gradio_api/file=/etc/passwd", "/file=/etc/passwd"])
def test_other_files_of_the_machine_are_not_served(address, path):
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(address.rstrip("/") + path)
    assert error.value.code in (403, 404)
