"""What a loop keeps, to go on where it was killed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bodyreg.errors import UserError
from bodyreg.files import is_file
from bodyreg.training.checkpoints import load_checkpoint, load_module, save_checkpoint
from bodyreg.training.optimizers import Muon
from bodyreg.training.processes import is_first, together


@dataclass
class Progress:
    """All that changes while a loop runs, and the file that keeps it.

    Attributes:
        path: The file; None keeps nothing.
        made_of: What the loop's result depends on, plain values; another run's file is refused.
        modules, optimizers: By name. Learning rates follow from the step.
        random: The loop's only source of random numbers.
        step: Steps that are done.
    """

    path: Path | None
    made_of: Mapping[str, Any]
    modules: Mapping[str, nn.Module]
    optimizers: Mapping[str, torch.optim.Optimizer]
    random: torch.Generator
    step: int = 0

    FORMAT = "bodyreg-progress-2"

    def save(self) -> None:
        """Keep the state of now. Of several processes, the first one does.

        Raises:
            UserError: in all processes: the file cannot be written, or a number is not finite.
        """
        with together():
            if self.path is not None and is_first():
                self._save(self.path)

    def resume(self) -> None:
        """Go back to the state that the file keeps, if there is one.

        Of several processes none goes on, and writes, before all have read.

        Raises:
            UserError: the file is damaged, or of a run that was made of something else.
        """
        with together():
            if self.path is not None and is_file(self.path):
                self._load(self.path)

    def _save(self, path: Path) -> None:
        tensors = {"random": self.random.get_state()}
        for name, module in self.modules.items():
            tensors |= {f"module.{name}.{key}": t for key, t in module.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            for number, state in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{name}.{number}.{key}": t for key, t in state.items()}
        facts = {"step": self.step, "made_of": dict(self.made_of)}
        save_checkpoint(path, self.FORMAT, tensors, facts)

    def _load(self, path: Path) -> None:
        tensors, facts = load_checkpoint(path, self.FORMAT)
        ours, theirs = json.loads(json.dumps(dict(self.made_of))), facts.get("made_of")
        if theirs != ours:
            theirs = theirs if isinstance(theirs, dict) else {}
            other = [n for n in {**ours, **theirs} if n not in ours or theirs.get(n) != ours[n]]
            raise UserError(
                f"{path}: of a run with other {', '.join(other)}; give the same data and "
                "options, or another folder"
            )
        for name, module in self.modules.items():
            load_module(module, tensors, f"module.{name}.", path)
        try:
            for name, optimizer in self.optimizers.items():
                optimizer.load_state_dict(_state(optimizer, tensors, f"optimizer.{name}."))
            self.random.set_state(tensors["random"])
            self.step = facts["step"]
            if type(self.step) is not int or self.step < 0:
                raise ValueError("step")
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise UserError(f"{path}: damaged; remove it to begin again") from error


def _state(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], prefix: str
) -> dict[str, Any]:
    """What an optimizer can load, of the tensors whose names begin with `prefix`.

    Raises:
        ValueError: they are not those of its weights, which it would notice steps later.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(prefix):
            number, key = name.removeprefix(prefix).split(".")
            state.setdefault(int(number), {})[key] = tensor
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    expected = [_shapes(optimizer, weight) for weight in weights]
    found = [{key: t.shape for key, t in state[number].items()} for number in sorted(state)]
    if found not in ([], expected):
        raise ValueError(f"{prefix} is not the state of this optimizer")
    return {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}


def _shapes(optimizer: torch.optim.Optimizer, weight: Tensor) -> dict[str, Sequence[int]]:
    """Key -> shape of what an optimizer keeps of a weight."""
    if isinstance(optimizer, Muon):
        return {"momentum_buffer": weight.shape}
    return {"step": (), "exp_avg": weight.shape, "exp_avg_sq": weight.shape}
