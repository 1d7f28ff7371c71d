"""Write the table of docs/formats.md from the registry of readers, bodyreg/data/formats.py.

python tools/formats_table.py
"""

from __future__ import annotations

from pathlib import Path

from bodyreg.data.formats import FORMATS

PAGE = Path(__file__).parents[1] / "docs" / "formats.md"
HEAD = "| `bodyreg register` | `bodyreg.data` | files | gives |\n|---|---|---|---|\n"


def with_table(page: str) -> str:
    """The page with the rows of today's formats."""
    before, _, after = page.partition(HEAD)
    rows = ""
    for form in FORMATS.values():
        if not form.evidence:  # nothing to register
            continue
        functions = ", ".join(f"`{name}`" for name in form.functions)
        path = form.reads.replace("FILE|FOLDER", "PATH")  # a bar would end the cell
        rows += f"| `{form.option} {path}` | {functions} | {form.holds} | {form.gives} |\n"
    return before + HEAD + rows + after[after.index("\n\n") + 1 :]


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
