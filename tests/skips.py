"""Which tests may be skipped where everything that can be installed is installed.

`pytest --forbid-skips` fails if a test was skipped for a reason that is not here. `.ci/run` uses
it, so that a missing browser or library cannot leave tests out in silence.
"""

from __future__ import annotations

import re

import pytest

ALLOWED = (
    # The machine.
    "no CUDA device",
    "there is a CUDA device",
    "only one CUDA device",
    r"less than \d+ GiB of free memory on the device",
    "no (avx2|avx512) on this machine",
    # The other kind of build.
    "nvcc is not on PATH: kernels cannot be compiled here",
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
    reports = [r for r in reporter.stats.get("skipped", []) if not hasattr(r, "wasxfail")]
    forbidden = [report for report in reports if not is_allowed(reason_of(report))]
    for report in forbidden:
        reporter.write_line("")
        reporter.write(f"FORBIDDEN SKIP {report.nodeid}: {reason_of(report)}", red=True)
    if forbidden:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why it was skipped, as the test says it."""
    return report.longrepr[2].removeprefix("Skipped: ")


def is_allowed(reason: str) -> bool:
    return any(re.fullmatch(allowed, reason) for allowed in ALLOWED)
