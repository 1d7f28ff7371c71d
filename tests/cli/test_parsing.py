"""Command lines that are refused before a command begins: one line, exit status 2."""

import pytest

HELP = "; see bodyreg {} --help\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("register", "Missing from bodyreg register: --out FOLDER; one of --observations, --dens"),
        ("register --mpii a.mat", "Missing from bodyreg register: --out FOLDER; see"),
        ("calibrate --out a", "Missing from bodyreg calibrate: one of --observations, --dense"),
        ("evaluate", "Missing from bodyreg evaluate: --fits FOLDER|FILE"),
        ("report", "Missing from bodyreg report: FOLDER"),
        ("view --port 80", "Missing from bodyreg view: FOLDER"),
        ("info a b", "Unrecognized options: a, b"),
        ("register --out a --quite", "Unrecognized options: --quite; Perhaps you meant: --quiet"),
        ("report run --people", "Missing value for argument '--people'"),
        ("report run --people few", "--people: 'few' is not a whole number"),
        ("register --out a --starts 1.5", "--starts: '1.5' is not a whole number"),
        ("synthesize --out=", "--out: an empty value; see bodyreg synthesize --help"),
        ("synthesize --out a --noise-pixels two", "--noise-pixels: 'two' is not a number"),
        ("demo --solver newton", "invalid choice 'newton' for argument '--solver'. Expected one"),
        ("synthesize --out a --formats coco", "invalid choice 'coco' for argument '--formats'"),
    ],
)
def test_what_is_wrong_and_where_to_read_more(bodyreg, arguments, expected):
    result = bodyreg(*arguments.split())
    assert result.out == ""
    assert result.refusal.startswith(f"bodyreg: error: {expected}")
    assert result.refusal.endswith(HELP.format(arguments.split()[0]))


@pytest.mark.parametrize("name", ["best", "None"])
def test_an_unknown_preset(bodyreg, name):
    line = bodyreg("info", "--preset", name).refusal
    assert line.endswith(f"preset '{name}' is unknown; choose one of: accurate, paper\n")


def test_none_is_a_name_like_any_other(bodyreg):
    assert "None: no such body file" in bodyreg("info", "--body", "None").refusal


def test_help_explains_every_option(bodyreg, capsys):
    with pytest.raises(SystemExit) as end:
        bodyreg("synthesize", "--help")
    assert end.value.code == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "--noise-depth FLOAT" in shown.out


def test_an_axis_that_looks_like_an_option_is_a_value(bodyreg, tmp_path):
    for axis in ("-x", "-y", "-z"):
        words = ("--out", tmp_path / "a", "--motions", tmp_path / "b", "--motion-up", axis)
        assert "b: no such folder; check the path" in bodyreg("synthesize", *words).refusal
    assert "Unrecognized options: -y" in bodyreg("info", "-y").refusal


def test_an_empty_path_is_not_the_current_folder(bodyreg, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in (("synthesize", "--people", 1, "--out", ""), ("report", "")):
        assert "an empty value; see bodyreg" in bodyreg(*command).refusal
    assert not list(tmp_path.iterdir())
