"""The body in the package."""

import pytest

from bodyreg.body import Body


@pytest.fixture(scope="session")
def body() -> Body:
    return Body.default()
