"""The options that choose a configuration, made into one."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from bodyreg.errors import UserError

if TYPE_CHECKING:
    from bodyreg.registration import RegistrationConfig


def make_config(
    preset: str,
    solver: str,
    starts: int | None,
    iterations: int | None,
    settings: Sequence[str] | None,
    *,
    fit_shape: bool = False,
) -> RegistrationConfig:
    """A preset with some fields changed.

    Args:
        preset: Its name.
        solver: The field `solver`.
        starts: The field `starts`; None keeps the preset's value.
        iterations: The fields `iterations` and `warm_iterations`, or with lm `lm_iterations`; None
            keeps the preset's values.
        settings: Further fields, each as NAME=VALUE; None if the option is not given.
        fit_shape: Whether the field `fit_shape` is set.

    Raises:
        UserError: a field is unknown, or a value does not fit.
    """
    from bodyreg.registration import RegistrationConfig

    config = RegistrationConfig.preset(preset)
    changes: dict[str, Any] = {"solver": solver}
    if fit_shape:
        changes["fit_shape"] = True
    if starts is not None:
        changes["starts"] = starts
    if iterations is not None:
        names = ("lm_iterations",) if solver == "lm" else ("iterations", "warm_iterations")
        changes |= dict.fromkeys(names, iterations)
    if settings is not None and not settings:
        raise UserError("--set: give NAME=VALUE; bodyreg info --preset accurate lists the names")
    known = [field.name for field in fields(config)]
    for setting in settings or ():
        name, equals, text = setting.partition("=")
        name = name.replace("-", "_")
        if not equals or name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = (
                f"; did you mean {near[0]}?"
                if near
                else "; bodyreg info --preset accurate lists them"
            )
            raise UserError(f"--set {setting}: expected NAME=VALUE with a field's name{hint}")
        changes[name] = _parsed(setting, text, getattr(config, name))
    return replace(config, **changes)


def _parsed(setting: str, text: str, example: Any) -> Any:
    if isinstance(example, bool):
        words = {"true": True, "false": False}
        if text.lower() not in words:
            raise UserError(f"--set {setting}: expected true or false")
        return words[text.lower()]
    try:
        return type(example)(text)
    except ValueError:
        kind = "a whole number" if isinstance(example, int) else "a number"
        raise UserError(f"--set {setting}: expected {kind}") from None
