"""The one error a user can cause."""


class UserError(ValueError):
    """Something outside the program is wrong: a file, an option, a value.

    The message is one line that says what is wrong, where, and what to do about it. Commands print
    it and exit with status 2; it is never used for a programming mistake.
    """
