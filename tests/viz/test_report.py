"""The report: its data are right, and the page works in a browser without a network."""

import base64
import json
import re
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from bodyreg.body import Body
from bodyreg.cli import main
from bodyreg.data import Fits, Truth
from bodyreg.data.frames import seen_in_perspective
from bodyreg.viz.report import (
    histogram,
    jpeg,
    packed,
    page,
    plain_json,
    poses_data,
    shape_data,
    truth_data,
)

from .browser import chromium, console_errors, network_requests, picture

HOSTILE = "<img src=x onerror=hacked=1><script>hacked=1</script>&amp;.png"


@pytest.fixture(scope="module")
def runs(demo, tmp_path_factory):
    """A demo, and its people without pictures, with and without a loss, and with hostile names."""
    folder = tmp_path_factory.mktemp("runs")
    images, named, plain = folder / "images", folder / "<b>run", folder / "plain"
    predicted = folder / "predicted"
    common = ("--iterations", "40", "--quiet")
    content = json.loads((demo / "densepose-coco" / "densepose.json").read_text())
    images.mkdir()
    for image in content["images"]:
        image["file_name"] = f"{image['id']}{HOSTILE.replace('/', '')}"
        ramp = np.linspace(0, 200, image["width"] * image["height"] * 3)
        shape = (image["height"], image["width"], 3)
        cv2.imwrite(str(images / image["file_name"]), ramp.reshape(shape).astype(np.uint8))
    (folder / "people.json").write_text(json.dumps(content))
    assert main(
        ["register", "--densepose-coco", str(folder / "people.json"), "--images", str(images),
         "--overlays", "1", "--initial", str(demo / "fits.npz"), "--out", str(named), *common]
    ) == 0  # fmt: skip
    assert main(
        ["register", "--densepose-coco", str(folder / "people.json"), "--out", str(plain), *common]
    ) == 0  # fmt: skip
    shutil.copytree(plain, predicted)
    without = replace(Fits.load(plain / "fits.npz"), loss=None, terms={}, doubts={})
    without.save(predicted / "fits.npz")
    reports = {n: folder / f"{n}.html" for n in ("demo", "plain", "named", "predicted")}
    for run, name in zip((demo, plain, named, predicted), reports, strict=True):
        people = "5" if name == "demo" else "24"
        assert main(["report", str(run), "--people", people, "--out", str(reports[name])]) == 0
    return {"demo": demo, "reports": reports}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("browser") / "profile", 900, 700) as driver:
        yield driver


@pytest.fixture
def opened(runs, browser):
    """Open a report; at the end there must be no errors and no network requests."""

    def open_report(name, hash_=""):
        browser.get("about:blank")
        browser.get(runs["reports"][name].as_uri() + hash_)
        return browser

    yield open_report
    assert console_errors(browser) == []
    assert network_requests(browser) == []


def data_of(path):
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', path.read_text())
    return json.loads(found[1])


def unpacked(text, dtype):
    return np.frombuffer(base64.b64decode(text), dtype)


def test_json_cannot_leave_its_script_element():
    data = {
        "a": ["</script><!--", "<script>", "\u2028&lt;", 'quote"'],
        "n": [np.float32(1.5), np.nan],
    }
    text = plain_json(data)
    assert not set("<>&") & set(text)
    assert json.loads(text) == {"a": data["a"], "n": [1.5, None]}


def test_the_page_is_one_file_and_its_title_is_escaped():
    html = page("<script>x</script>", {"title": "{{plotly}}"})
    assert "&lt;script&gt;x&lt;/script&gt;" in html
    assert html.count("* plotly.js v") == 1
    assert '"{{plotly}}"' in html  # what looks like a placeholder is not one
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=[\"'](?!data:)", html)
    assert "default-src 'none'" in html


@pytest.mark.parametrize("logarithmic", [False, True])
def test_a_histogram_counts_everyone_once(logarithmic):
    values = np.random.default_rng(0).lognormal(size=500)
    values[7] = np.nan
    found = histogram(values, logarithmic)
    assert sum(found["counts"]) == 499
    assert found["edges"][0] == np.nanmin(values) and found["edges"][-1] == np.nanmax(values)
    steps = np.diff(np.log(found["edges"]) if logarithmic else found["edges"])
    np.testing.assert_allclose(steps, steps[0])
    assert found["median"] == pytest.approx(np.nanmedian(values))


def test_a_histogram_of_equal_numbers():
    found = histogram(np.full(9, 3.0), True)
    assert sum(found["counts"]) == 9 and not found["logarithmic"]


def test_segments_in_the_page_move_vertices_as_fits_do(runs):
    body, fits = Body.default(), Fits.load(runs["demo"] / "fits.npz")
    away = np.float32([0, -0.22, 0.3])  # SMPL's pelvis is not at the origin
    body = replace(body, vertices=body.vertices + away, joints=body.joints + away)
    pelvis = fits.joints(body)[:, 0, 2]
    data = poses_data([fits, fits], body)
    for person, one, depth in zip(data, fits.vertices(body), pelvis, strict=True):
        segments = unpacked(person["poses"], "<f4").reshape(2, 24, 3, 4)[1]
        points = body.vertex_points()
        placed = np.einsum("vkij,vkj->vi", segments[points.joint_ids], points.anchors.numpy())
        np.testing.assert_allclose(placed, one - [0, 0, depth], atol=1e-5)
        np.testing.assert_allclose(person["pelvis"], [depth, depth], atol=1e-5)


def test_the_truth_in_the_page_is_seen_through_the_fits_frame(runs):
    truth = Truth.load(runs["demo"] / "densepose-coco" / "truth.npz")
    frames = truth.frame * [1, 1, 2] + [10, 20, 0]
    found = truth_data(truth, frames)[2]
    places = unpacked(found["vertices"], "<i2").reshape(-1, 3) * found["step"]
    placed = truth.placed(truth.vertices)[2, :, :2]  # in true proportions: the page turns bodies
    pixels = placed * [1, -1] * truth.frame[2, 2] + truth.frame[2, :2]
    expected = (pixels - frames[2, :2]) / frames[2, 2] * [1, -1]
    np.testing.assert_allclose(places[:, :2], expected, atol=1e-4)
    span = np.ptp(truth.vertices[2, :, 2]) * found["metre"]
    assert np.ptp(places[:, 2]) == pytest.approx(span, abs=1e-3)


def test_pictures_and_arrays_are_packed():
    assert jpeg(np.zeros((4, 4, 3), np.uint8)).startswith("data:image/jpeg;base64,/9j/")
    np.testing.assert_array_equal(unpacked(packed(np.arange(5), "<u4"), "<u4"), np.arange(5))


def test_the_data_are_the_runs(runs):
    data, fits = data_of(runs["reports"]["demo"]), Fits.load(runs["demo"] / "fits.npz")
    assert len(data["people"]) == 5 and data["total"] == 7
    losses = dict(zip(fits.id.tolist(), fits.loss.tolist(), strict=True))
    for person in data["people"]:
        assert person["losses"][-1] == person["numbers"]["loss"] == losses[person["id"]]
    errors = [person["numbers"]["vertex"] for person in data["people"]]
    assert errors == sorted(errors)
    assert data["marks"][0] == 0 and data["marks"][-1] == 80
    assert set(data["people"][0]["tiles"]) == {"picture", "evidence", "fit", "side"}
    deviation = dict(zip(fits.id.tolist(), fits.joint_deviation, strict=True))
    for person in data["people"]:
        largest = np.linalg.norm(deviation[person["id"]], axis=1).max()
        assert person["numbers"]["deviation"] == pytest.approx(largest, rel=1e-6)
        assert len(person["doubt"]["segments"]) == 24
        assert re.fullmatch(
            r"\w+( \w+)?, ± \d+ mm across .*, ± \d+ mm along it", person["doubt"]["words"]
        )
    plain = data_of(runs["reports"]["plain"])
    assert set(plain["people"][0]["tiles"]) == {"evidence", "fit", "side"}
    named = data_of(runs["reports"]["named"])
    assert set(named["people"][0]["tiles"]) == {"picture", "evidence", "before", "fit", "side"}
    assert named["order"] == "doubt" and named["groups"] == {}
    doubts = [person["numbers"]["doubt"] for person in named["people"]]
    assert doubts == sorted(doubts)
    for person, doubt in zip(named["people"], doubts, strict=True):
        assert bool(person["reasons"]) == (doubt > 1)


def test_fits_without_a_loss_are_judged_by_their_distances(runs, opened):
    data = data_of(runs["reports"]["predicted"])
    assert data["order"] == "points"
    assert all("loss" not in person["numbers"] for person in data["people"])
    assert len(opened("predicted").find_elements("css selector", ".card")) == 7


def test_it_opens_without_a_complaint(opened):
    page = opened("demo")
    assert len(page.find_elements("css selector", ".card")) == 5
    assert len(page.find_elements("css selector", ".tile b")) >= 6
    assert len(page.find_elements("css selector", ".plot .bars .point")) > 20
    assert len(page.find_elements("css selector", "#curves .scatterlayer .trace")) == 5 + 4
    images = page.execute_script(
        "return [...document.images].every((i) => i.loading || i.naturalWidth > 0)"
    )
    assert images


def test_names_are_text_and_never_markup(opened):
    page = opened("named")
    assert page.execute_script("return window.hacked") is None
    assert page.find_element("id", "title").text == "<b>run"
    label = page.find_element("css selector", ".label span").get_property("textContent")
    assert HOSTILE.replace("/", "") in label
    assert not page.find_elements("css selector", "img[src='x']")


def test_a_click_opens_a_person_in_space(opened):
    """The body covers some of the stage, is shaded, and turns with the mouse."""
    page = opened("demo")
    page.find_element("css selector", ".card:nth-child(2)").click()
    assert page.find_element("id", "person").is_displayed()
    number = page.find_element("css selector", ".card:nth-child(2)").get_attribute("data-person")
    assert page.find_element("id", "person-title").text.startswith(f"Person {number} ")
    stage = page.find_element("id", "scene")
    front = picture(stage)
    body = np.abs(front - front[2, -3]).sum(-1) > 30
    assert 0.02 < body.mean() < 0.6
    assert len(np.unique(front[body] // 8, axis=0)) > 15

    from selenium.webdriver import ActionChains

    ActionChains(page).move_to_element(stage).click_and_hold().move_by_offset(
        150, 0
    ).release().perform()
    page.execute_async_script("setTimeout(arguments[0], 300)")
    turned = picture(stage)
    assert (np.abs(turned - front).sum(-1) > 30).mean() > 0.25 * body.mean()


def test_the_fit_can_be_followed_and_the_truth_shown(opened):
    page = opened("demo")
    page.find_element("css selector", ".card").click()
    stage = page.find_element("id", "scene")
    end = picture(stage)
    page.execute_async_script("goTo(0).then(arguments[0])")
    begin = picture(stage)
    assert (np.abs(end - begin).sum(-1) > 30).mean() > 0.02
    assert page.find_element("id", "iteration").text.startswith("0 of 80")
    for choice in ("truth", "skeleton", "evidence", "picture"):
        page.find_element("xpath", f"//span[@id='also']/button[text()='{choice}']").click()
        page.execute_async_script("setTimeout(arguments[0], 400)")
        before, begin = begin, picture(stage)
        assert (np.abs(begin - before).sum(-1) > 30).any(), choice


def test_a_person_of_an_own_shape_is_posed(opened, runs):
    """Their vertices move as the segments do, and the next person has the template's again."""
    page, body = opened("demo"), Body.default()
    page.find_element("css selector", ".card").click()
    own = body.with_shape(np.random.default_rng(2).normal(0, 0.3, len(body.shape_names)))
    show = (
        "const own = arguments[0]; scene.show({ ...scene.person, own }, scene.mark);"
        "return [scene.places.map((axis) => Array.from(axis)), Array.from(scene.transforms)]"
    )
    for data, shown in ((shape_data(own, ("left_hip",)), own), (None, body)):
        places, segments = page.execute_script(show, data)
        segments = np.reshape(segments, (-1, 24, 3, 4))[-1]
        points = shown.vertex_points()
        expected = np.einsum("vkij,vkj->iv", segments[points.joint_ids], points.anchors.numpy())
        np.testing.assert_allclose(places, expected, atol=1e-5)


def test_evidence_lies_on_the_rays_of_its_camera(opened):
    """A point that is seen somewhere is found there again, at its depth, from the pelvis's."""
    random = np.random.default_rng(3)
    places = random.normal(0, 0.5, (1, 6, 3)).astype(np.float32)
    person = {"perspective": [0.3, 0.5, -0.2], "pelvis": [0, 0.4]}
    seen = seen_in_perspective(places, np.float32([person["perspective"]]))[0]
    found = opened("demo").execute_script(
        "const [person, seen] = arguments;"
        "const scene = { person, mark: 1 };"
        "return seen.map(([x, y, z]) => Scene.prototype.onRay.call(scene, [x, y], z))",
        person,
        (seen - [0, 0, 0.4]).tolist(),
    )
    np.testing.assert_allclose(found, places[0] - [0, 0, 0.4], atol=1e-5)


def test_people_change_places(opened):
    from selenium.webdriver.support.ui import Select

    page = opened("demo")

    def order():
        cards = page.find_elements("css selector", ".card")
        return [card.get_attribute("data-person") for card in cards]

    worst = order()
    page.find_element("css selector", "#direction button:nth-child(2)").click()
    assert order() == worst[::-1]
    pressed = page.find_element("css selector", "#direction [aria-pressed='true']")
    assert pressed.text == "best first"
    Select(page.find_element("id", "sort")).select_by_value("id")
    assert [int(number) for number in order()] == sorted(map(int, worst))
    shown = len(page.find_elements("css selector", ".card:first-child img"))
    page.find_element("css selector", "#columns button").click()
    assert len(page.find_elements("css selector", ".card:first-child img")) == shown - 1


def test_links_and_keys(opened, runs):
    from selenium.webdriver.common.keys import Keys

    people = data_of(runs["reports"]["demo"])["people"]
    worst, next_worst = (f"Person {person['id']} " for person in (people[-1], people[-2]))
    page = opened("demo", f"#person-{people[-1]['id']}")
    title = page.find_element("id", "person-title")
    assert title.text.startswith(worst)
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    page.execute_async_script("setTimeout(arguments[0], 100)")
    assert title.text.startswith(next_worst)
    page.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not page.find_element("id", "person").is_displayed()
    assert "#" not in page.current_url


@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone_nothing_sticks_out(opened, dark):
    page = opened("demo")
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        if dark:
            page.find_element("id", "theme").click()
        assert page.execute_script("return document.documentElement.scrollWidth") <= 390
        paper = page.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert (int(re.findall(r"\d+", paper)[0]) < 60) == dark
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
