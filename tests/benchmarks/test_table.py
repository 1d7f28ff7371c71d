"""Tables from a run: rows, ratios, order, and their places in the README and on the page."""

from __future__ import annotations

import json

import pytest

from benchmarks import table

CEILING = {"bytes_per_s": 1e9, "flops_per_s": 1e9}


def item(group: str, row: str, median: float, machine: str = "box", **info) -> dict:
    info = {"row": row, "machine": machine, "calls": 1, "flops": 1e6, **CEILING} | info
    return {
        "group": f"{group} [cpu]",
        "stats": {"median": median, "iqr": 0.0, "rounds": 5},
        "extra_info": info,
    }


def tables_of(*items: dict) -> str:
    (content,) = table.contents({"datetime": "2026-01-02T03:04:05", "benchmarks": list(items)})
    return table.markdown(content)


def cells(text: str, row: str) -> list[str]:
    lines = [line for line in text.splitlines() if line.startswith(f"| {row} |")]
    line = next(line for line in lines if "time" not in line)
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_ops_are_compared_with_the_reference():
    text = tables_of(
        item("lbs", "reference, eager", 0.008, bytes=4e6), item("lbs", "bodyreg", 0.004, bytes=2e6)
    )
    assert cells(text, "bodyreg") == ["4 ms", "2 ×", "50 %"]
    assert "| lbs [cpu] | time | against reference, eager | of the ceiling |" in text


def test_calls_of_a_round_share_its_time():
    assert cells(tables_of(item("lbs", "bodyreg", 0.004, calls=4, bytes=0)), "bodyreg")[0] == "1 ms"


def test_registrations_come_first_and_name_their_peers():
    fit = {"against": ["slow", "other"], "person_iterations": 6000}
    text = tables_of(
        item("lbs", "bodyreg", 0.004),
        item("fit", "ours", 0.002, **fit),
        item("fit", "slow", 0.5, **fit),
        item("fit", "other", 0.05, **fit),
    )
    assert text.index("fit [cpu]") < text.index("lbs [cpu]")
    assert "against slow | against other" in text
    assert cells(text, "ours") == ["2 ms", "3 M", "250 ×", "25 ×", "50 %"]


def test_ratios_are_of_equal_work():
    few = {"against": ["few"], "person_iterations": 1000}
    text = tables_of(
        item("growth", "few", 0.001, **few),
        item("growth", "many", 0.008, **(few | {"person_iterations": 10_000})),
    )
    assert cells(text, "many")[2] == "1.25 ×"


def test_what_two_rows_share_is_taken_off():
    info = {"against": [], "people": 4}
    text = tables_of(
        item("points", "short", 0.003, person_iterations=1000, flops=1e5, **info),
        item("points", "long", 0.005, person_iterations=3000, flops=3e5, less="short", **info),
    )
    assert cells(text, "long") == ["2 ms", "1 M", "10 %"]


def test_roofline_of_fit():
    fit = {"against": ["slow"], "person_iterations": 100, "flops": 4e6}
    text = tables_of(item("many", table.FIT, 0.004, **fit), item("many", "slow", 1.0, **fit))
    head = "| fit against the ceiling | operations a person-iteration | reached | of the ceiling |"
    assert head in text
    assert cells(text, "many [cpu]") == ["40,000", "1 GFLOP/s", "100 %"]


def test_what_came_out_has_a_column():
    text = tables_of(
        item("goal", "ours", 2.5, people=5, flops=0, against=[], result=["mm", "27.9"])
    )
    assert "| goal [cpu] | time | people/s | mm |" in text
    assert cells(text, "ours") == ["2.5 s", "2", "27.9"]


@pytest.fixture
def files(tmp_path):
    """The flags of a table maker whose README, page and results are in a folder of their own."""
    (tmp_path / "results").mkdir()
    for name in ("README.md", "page.md"):
        (tmp_path / name).write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    return [f"--results={tmp_path / 'results'}", f"--readme={tmp_path / 'README.md'}",
            f"--page={tmp_path / 'page.md'}"]  # fmt: skip


def store(folder, machine: str, date: str, device: str = "cpu") -> None:
    run = {"datetime": date, "benchmarks": [item("lbs", "bodyreg", 0.004, machine)]}
    (content,) = table.contents(run)
    content["rows"][0]["group"] = f"lbs [{device}]"
    (folder / "results" / f"{machine}.json").write_text(json.dumps(content))


def make(monkeypatch, *flags) -> None:
    monkeypatch.setattr("sys.argv", ["table", *map(str, flags)])
    monkeypatch.setattr(table, "HIGHLIGHTS", [table.Highlight("skinning", "lbs [cpu]", "bodyreg")])
    table.main()


def test_the_page_gets_the_newest_cpu_and_all_gpus(tmp_path, monkeypatch, files):
    for name, date, device in (("gpu", "2025-01-01", "cuda"), ("old", "2025-01-01", "cpu")):
        store(tmp_path, name, date, device)
    run = {"datetime": "2026-01-02", "benchmarks": [item("lbs", "bodyreg", 0.004)]}
    (tmp_path / "run.json").write_text(json.dumps(run))
    make(monkeypatch, tmp_path / "run.json", *files)
    text = (tmp_path / "page.md").read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "\nold\n" not in text
    assert "Measured on box" in text and "Measured on gpu" in text and "on old" not in text
    stored = json.loads((tmp_path / "results" / "box.json").read_text())
    assert stored["rows"][0]["row"] == "bodyreg"
    readme = (tmp_path / "README.md").read_text()
    assert "(box)" in readme and cells(readme, "skinning") == ["4 ms", "", "", ""]


def test_tables_are_made_again_from_stored_results(tmp_path, monkeypatch, files):
    store(tmp_path, "older", "2025-12-31")
    store(tmp_path, "newer", "2026-01-01")
    make(monkeypatch, *files)
    for name in ("README.md", "page.md"):
        text = (tmp_path / name).read_text()
        assert "newer" in text and "older" not in text


def test_no_stored_results_are_an_error(tmp_path, monkeypatch, files):
    with pytest.raises(SystemExit, match="no results of a CPU"):
        make(monkeypatch, *files)


def test_highlights_name_their_peers(monkeypatch):
    fit = {"against": ["slow"], "people": 8, "person_iterations": 800}
    times = {"ours": 0.002, "slow": 0.5, "fast": 0.004}
    items = [item("fit", name, time, **fit) for name, time in times.items()]
    (content,) = table.contents({"datetime": "2026-01-02T03:04:05", "benchmarks": items})
    monkeypatch.setattr(
        table, "HIGHLIGHTS", [table.Highlight("eight", "fit [cpu]", "ours", "slow", "fast")]
    )
    assert cells(table.highlights(content), "eight") == ["2 ms", "4 k", "250 ×", "2 ×"]


def test_a_highlight_without_a_measurement_is_an_error(monkeypatch):
    (content,) = table.contents({"datetime": "", "benchmarks": [item("lbs", "bodyreg", 0.004)]})
    monkeypatch.setattr(
        table, "HIGHLIGHTS", [table.Highlight("skinning", "lbs [cpu]", "bodyreg", "peer")]
    )
    with pytest.raises(SystemExit, match="the row 'peer' of 'lbs \\[cpu\\]'"):
        table.highlights(content)


def test_the_readme_has_at_most_eight_rows():
    assert len(table.HIGHLIGHTS) <= 8


def test_a_readme_without_markers_is_an_error(tmp_path):
    (tmp_path / "README.md").write_text("nothing")
    with pytest.raises(SystemExit, match="no lines"):
        table.put_between_markers(tmp_path / "README.md", "tables")
