"""The errors that a user can do something about."""

import re

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class UserError(ValueError):
    """Something outside the program is wrong: a file, an option, a value.

    The message is one line: what is wrong, where, and what to do about it. Commands print it and
    exit with status 2. A programming mistake is never a `UserError`.
    """

    def __init__(self, message: str) -> None:
        # Untrusted names may hold line breaks, and codes that a terminal obeys.
        super().__init__(CONTROL.sub(lambda found: repr(found[0])[1:-1], message))


class InstallationError(ImportError):
    """This copy of bodyreg is not installed, or its native library is not built for it.

    The message is one line, and commands treat it like a `UserError`.
    """
