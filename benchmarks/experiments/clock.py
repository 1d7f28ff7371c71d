"""CPU-seconds of a task, over all of its processes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from bodyreg.files import atomic_path

Tell = Callable[[str], None]
"""Is told of progress."""


class Clock:
    """CPU-seconds of this process and of those before it that were killed.

    Args:
        path: Where they are kept.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before = json.loads(path.read_text()) if path.exists() else 0.0

    def __call__(self) -> float:
        """Read the clock, and keep what it says."""
        now = self._before + time.process_time()
        with atomic_path(self._path) as temporary:
            temporary.write_text(json.dumps(round(now, 1)))
        return now
