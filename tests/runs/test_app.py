"""What the page of `bodyreg app` shows: fits of dropped files are those of `bodyreg register`."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import trimesh

from bodyreg.errors import UserError
from bodyreg.pictures import write_picture
from bodyreg.runs import app, detection
from bodyreg.runs.app import KINDS, Uploads
from bodyreg.runs.finished import FinishedRun
from tests.cli.test_detect import RED, StandIn

DENSEPOSE = next(kind for kind, (form, _) in KINDS.items() if form == "densepose-coco")
MPII = next(kind for kind, (form, _) in KINDS.items() if form == "mpii")
OPENPOSE = next(kind for kind, (form, _) in KINDS.items() if form == "openpose")
KEYPOINTS = next(kind for kind, (form, _) in KINDS.items() if form == "keypoints")
STORED = next(kind for kind, (form, _) in KINDS.items() if form == "observations")


@pytest.fixture(scope="module")
def made(demo):
    """The source of the demo, and the names of its people's pictures."""
    run = FinishedRun.open(demo)
    return run.source, run.people.read(0, len(run)).picture.tolist()


@pytest.fixture
def picture(made):
    source, names = made
    return source.images / names[2]


def test_a_picture_and_a_file_become_bodies(made, picture, tmp_path):
    source, names = made
    shown = Uploads(tmp_path / "work").fit(picture, [source.path], DENSEPOSE)
    assert [one.name for one in shown] == [str(n + 1) for n in range(names.count(picture.name))]
    for one in shown:
        assert one.overlay.dtype == np.uint8 and one.overlay.shape[2] == 3
        assert one.overlay.std() > 10
        joints = [line for line in one.doubts.splitlines() if "mm along it" in line]
        assert len(joints) == app.UNCERTAIN
        mesh = trimesh.load(one.glb, force="mesh")
        assert len(mesh.faces) > 1000


def test_fits_are_those_of_the_command(made, picture, tmp_path):
    from bodyreg.cli import main
    from bodyreg.data import Fits, Observations

    source, _ = made
    Uploads(tmp_path / "work").fit(picture, [source.path], DENSEPOSE)
    (place,) = (tmp_path / "work").glob("fit-*")
    people = tmp_path / "people.npz"
    Observations.load(place / "people.npz").save(people)
    command = ["register", "--observations", str(people), "--images", str(picture.parent)]
    assert main([*command, "--out", str(tmp_path / "run"), "--quiet"]) == 0
    ours, theirs = (Fits.load(folder / "fits.npz") for folder in (place / "run", tmp_path / "run"))
    assert ours.pose.tobytes() == theirs.pose.tobytes()


def test_people_of_other_pictures_are_not_shown(made, picture, tmp_path):
    """Also where a file has only the numbers of pictures."""
    from bodyreg.pictures import number_of

    number = number_of(picture.name)
    keypoints = np.random.default_rng().uniform(20, 200, (2, 17, 3))
    keypoints[..., 2] = 1
    results = [
        {"image_id": image, "category_id": 1, "keypoints": points.reshape(-1).tolist()}
        for image, points in zip((number + 9**9, number), keypoints, strict=True)
    ]
    file = tmp_path / "results.json"
    file.write_text(json.dumps(results))
    (one,) = Uploads(tmp_path / "work").fit(picture, [file], KEYPOINTS)
    assert one.glb.is_file()
    file.write_text(json.dumps(results[:1]))
    with pytest.raises(UserError, match=f"it has people of {number + 9**9}$"):
        Uploads(tmp_path / "work").fit(picture, [file], KEYPOINTS)


def test_people_of_a_file_without_names_are_in_the_picture(made, picture, tmp_path):
    file = tmp_path / "poses.npy"
    np.save(file, np.random.default_rng().uniform(20, 200, (1, 34)))
    (one,) = Uploads(tmp_path / "work").fit(picture, [file], MPII)
    assert one.glb.is_file()
    assert one.doubts.startswith("doubtful: "), "random places are no person"


def test_without_a_file_a_person_is_detected(tmp_path, monkeypatch):
    monkeypatch.setattr(detection, "BlazePose", StandIn)
    picture = np.full((400, 640, 3), 90, np.uint8)
    write_picture(tmp_path / "empty.png", picture)
    picture[50:350, 120:380] = RED
    write_picture(tmp_path / "person.png", picture)
    (one,) = Uploads(tmp_path / "work").fit(tmp_path / "person.png", [], DENSEPOSE)
    assert one.glb.is_file()
    with pytest.raises(UserError, match="no person was found") as error:
        Uploads(tmp_path / "work").fit(tmp_path / "empty.png", [], DENSEPOSE)
    assert str(tmp_path) not in str(error.value)


def test_errors_are_one_line_without_a_folder_of_the_machine(made, picture, tmp_path):
    source, _ = made
    alien = tmp_path / "elsewhere.jpg"
    shutil.copyfile(picture, alien)
    broken = tmp_path / "broken.json"
    broken.write_bytes(source.path.read_bytes()[:-20])
    cases = (
        (None, [source.path], DENSEPOSE, "picture is missing"),
        (picture, [source.path], "densepose-coco", "choose one"),
        (picture, [source.path, source.path], DENSEPOSE, "drop one"),
        (picture, [broken], DENSEPOSE, "broken.json"),
        (picture, [picture], STORED, picture.name),
        (broken, [source.path], DENSEPOSE, "broken.json: no readable picture"),
        (alien, [source.path], DENSEPOSE, "has no people of elsewhere.jpg; it has people of "),
    )
    work = tmp_path / "work"
    for dropped, files, kind, words in cases:
        with pytest.raises(UserError, match=words) as error:
            Uploads(work).fit(dropped, files, kind)
        text = str(error.value)
        assert "\n" not in text and str(tmp_path) not in text and "/" not in text.split(":")[0]
        assert not list(work.iterdir())


def test_files_of_one_name_are_not_lost_in_each_other(picture, tmp_path):
    files = [tmp_path / folder / "7.json" for folder in "ab"]
    with pytest.raises(UserError, match=r"^7\.json: two files have this name; drop one of them$"):
        Uploads(tmp_path / "work").fit(picture, files, OPENPOSE)


@pytest.mark.parametrize(
    ("written", "dropped"),
    [("C:\\images\\{}{}", "folder\\{}{}"), ("{} (1){}", "{} 1{}")],
    ids=["backslashes", "brackets"],
)
def test_names_that_are_not_quite_the_same(made, picture, tmp_path, written, dropped):
    """Of another system; and Gradio takes brackets away from the names of uploaded files."""
    source, names = made
    coco = json.loads(source.path.read_text())
    for image in coco["images"]:
        name = Path(image["file_name"])
        image["file_name"] = written.format(name.stem, name.suffix)
    detected = tmp_path / "from\\elsewhere.json"
    detected.write_text(json.dumps(coco))
    shown = tmp_path / dropped.format(picture.stem, picture.suffix)
    shutil.copyfile(picture, shown)
    found = Uploads(tmp_path / "work").fit(shown, [detected], DENSEPOSE)
    assert len(found) == names.count(picture.name)


def test_only_the_last_results_are_kept(made, picture, tmp_path, monkeypatch):
    source, _ = made
    monkeypatch.setattr(app, "KEPT", 2)
    monkeypatch.setattr(app, "_fit", lambda *arguments: [])
    work = tmp_path / "work"
    for _ in range(5):
        Uploads(work).fit(picture, [source.path], DENSEPOSE)
    assert len(list(work.iterdir())) == 2


def test_there_are_kinds_for_all_evidence_and_switches():
    from bodyreg.data.formats import FORMATS

    offered = set(KINDS.values())
    for form in FORMATS.values():
        there = form.evidence and form.name != "deepfashion"  # which needs folders in its folder
        assert ((form.name, ()) in offered) == there
        assert all((form.name, (switch,)) in offered for switch in form.switches)


def test_a_file_of_a_users_choice_stays_in_its_folder(made, picture, tmp_path):
    """Names come from a browser; only their last part counts."""
    source, _ = made
    sly = Path(f"{source.path.parent}/images/../{source.path.name}")
    Uploads(tmp_path / "work").fit(picture, [sly], DENSEPOSE)
    assert {path.name for path in tmp_path.iterdir()} == {"work"}
