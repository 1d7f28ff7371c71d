"""Dense maps on the command line: from made maps to fits, and options that do not fit."""

import json

import numpy as np
import pytest

from bodyreg.data import Fits, Truth
from bodyreg.data.dense_maps import POINTS


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    from bodyreg.cli import main

    folder = tmp_path_factory.mktemp("made")
    command = ("synthesize", "--people", 5, "--seed", 4, "--formats", "iuv", "--quiet")
    assert main([str(word) for word in (*command, "--out", folder)]) == 0
    return folder / "iuv"


def test_maps_are_registered(bodyreg, made, tmp_path):
    out = tmp_path / "out"
    result = bodyreg(
        "register", "--iuv", made / "maps", "--images", made / "images", "--points", 200,
        "--iterations", 60, "--overlays", 2, "--out", out,
    )  # fmt: skip
    assert (result.status, result.error) == (0, "")
    assert "dense points" in result.out
    np.testing.assert_array_equal(Fits.load(out / "fits.npz").id, Truth.load(made / "truth.npz").id)
    source = json.loads((out / "run.json").read_text())["source"]
    assert (source["format"], source["points"]) == ("iuv", 200)
    assert bodyreg("report", out).status == 0
    maps = sorted((made / "maps").glob("*_INDS.png"))
    maps[0].write_bytes(maps[1].read_bytes())
    assert "maps: has changed since the run" in bodyreg("report", out).error


def test_options_that_do_not_fit(bodyreg, made, tmp_path):
    for arguments, words in (
        (("--mpii", "a.mat", "--points", 9), "--points belongs to --iuv"),
        (("--iuv", made / "maps", "--points", 0), "--points 0: must be"),
        (
            ("--iuv", made / "maps", "--part-in-red", "--part-in-blue"),
            "give one of --part-in-blue and --part-in-red",
        ),
        (("--iuv", made / "maps", "--part-in-red"), "its red channel is no part"),
        (("--mpii", "a.mat", "--part-in-red"), "--part-in-red belongs to --iuv"),
    ):
        result = bodyreg("register", *arguments, "--out", tmp_path / "no")
        assert result.status == 2 and words in result.error, words
        assert result.error.count("\n") == 1
    assert not (tmp_path / "no").exists()


def test_the_help_tells_the_number_of_points(capsys):
    from bodyreg.cli import main

    with pytest.raises(SystemExit, match="0"):
        main(["register", "--help"])
    assert f"(default: {POINTS})" in capsys.readouterr().out
