"""Why tests are skipped, and which may be where everything that can be installed is installed.

A run ends with a line for each reason: how many tests were skipped for it. With `--forbid-skips`,
pytest fails if a test was skipped for a reason that is not here. `.ci/run` uses this, so that a
missing browser or library cannot leave tests out in silence.
"""

from __future__ import annotations

import re
from collections import Counter

import pytest

ALLOWED = (
    # The machine.
    "no CUDA device",
    "there is a CUDA device",
    "only one CUDA device",
    r"less than \d+ GiB of free memory on the device",
    "no (avx2|avx512) on this machine",
    # MediaPipe and Gradio want other versions of libraries than the tests do.
    r"MediaPipe \(the extra 'detect'\) is not installed",
    r"Gradio \(the extra 'app'\) is not installed",
    # The other kind of build.
    "built with CUDA",
    "bodyreg was built without CUDA",
)
"""Reasons, as regular expressions."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--forbid-skips",
        action="store_true",
        help="fail if a test is skipped for another reason than the machine's devices or the kind "
        "of build (tests/skips.py)",
    )


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not session.config.getoption("--forbid-skips"):
        return
    forbidden = [report for report in skips(reporter) if not is_allowed(reason_of(report))]
    for report in forbidden:
        reporter.write_line("")
        reporter.write(f"FORBIDDEN SKIP {report.nodeid}: {reason_of(report)}", red=True)
    if forbidden:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for reason, count in Counter(map(reason_of, skips(terminalreporter))).most_common():
        terminalreporter.write_line(f"skipped {count}: {reason}")


def skips(
    reporter: pytest.TerminalReporter,
) -> list[pytest.TestReport | pytest.CollectReport]:
    """The reports of skipped tests; a test that is expected to fail is none."""
    return [r for r in reporter.stats.get("skipped", []) if not hasattr(r, "wasxfail")]


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why it was skipped, as the test says it."""
    return report.longrepr[2].removeprefix("Skipped: ")


def is_allowed(reason: str) -> bool:
    return any(re.fullmatch(allowed, reason) for allowed in ALLOWED)
