"""Tables from a run: rows, ratios, order, and the place in the README."""

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


def test_the_readme_gets_this_run_and_the_gpus_but_no_other_processor(tmp_path, monkeypatch):
    run = {"datetime": "2026-01-02", "benchmarks": [item("lbs", "bodyreg", 0.004)]}
    (tmp_path / "run.json").write_text(json.dumps(run))
    results = tmp_path / "results"
    results.mkdir()
    for machine, device in (("gpu", "cuda"), ("cpu", "cpu")):
        (content,) = table.contents(run | {"benchmarks": [item("lbs", "bodyreg", 1, machine)]})
        content["rows"][0]["group"] = f"lbs [{device}]"
        (results / f"{machine}.json").write_text(json.dumps(content))
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    flags = ["--results", str(results), "--readme", str(readme)]
    monkeypatch.setattr("sys.argv", ["table", str(tmp_path / "run.json"), *flags])
    table.main()
    text = readme.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert "Measured on box" in text and "Measured on gpu" in text and "Measured on cpu" not in text
    assert json.loads((results / "box.json").read_text())["rows"][0]["row"] == "bodyreg"


def test_a_readme_without_markers_is_an_error(tmp_path):
    (tmp_path / "README.md").write_text("nothing")
    with pytest.raises(SystemExit, match="no lines"):
        table.put_between_markers(tmp_path / "README.md", "tables")
