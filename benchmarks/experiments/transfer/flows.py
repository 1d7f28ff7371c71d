"""Flow: ways that need no network, and networks that are trained for it."""

from __future__ import annotations

from pathlib import Path

from benchmarks import flow
from benchmarks.experiments.clock import Clock, Tell
from benchmarks.experiments.transfer import people
from benchmarks.experiments.transfer.results import EVERY, SECONDS, STATE, Result, keep
from benchmarks.experiments.transfer.rows import FLOW_ROWS, FlowRow, Size
from bodyreg import Body, Fits
from bodyreg.flow import FlowRegressor, Lessons, between, extended, train_flow
from train.flow import PRESETS, Recipe
from train.options import changed

NETWORK = "flow.safetensors"


def recipe(row: FlowRow, size: Size) -> Recipe:
    """The options of a row as `train.flow` reads them."""
    return changed(PRESETS[row.preset], ("held_out=0", *size.flow_set, *row.set))


def run(name: str, size: Size, folder: Path, tell: Tell) -> None:
    """Train a row and measure it."""
    row, own, body = FLOW_ROWS[name], folder / name, Body.default()
    own.mkdir(parents=True, exist_ok=True)
    clock, config = Clock(own / SECONDS), recipe(row, size)
    made = people.load(size.learn, folder)
    start = FlowRegressor.new(config.architecture, row.seed)
    lessons = Lessons.of(
        body,
        made.truth,
        made.noisy,
        size.learn.pairs(size.flow_pairs),
        (flow.SIDE, flow.SIDE),
        config.architecture.size,
        fitted=people.fits(size.learn, folder) if config.architecture.corrects else None,
    )

    def told(step: int, numbers: dict[str, float]) -> None:
        text = ", ".join(f"{what} {number:.4f}" for what, number in numbers.items())
        tell(f"{name}: step {step}: {text}; {clock():.0f} CPU-seconds")

    regressor = train_flow(
        start, lessons, config, seed=row.seed, state=own / STATE, every=EVERY, report=told
    )
    regressor.save(own / NETWORK)
    held, fits = people.load(size.held_out, folder), people.fits(size.held_out, folder)
    errors = flow.measured(held, {name: way(regressor, held, fits)})[name]
    keep(own, Result(clock(), config.epochs * max(1, len(lessons) // config.batch), errors))
    tell(f"{name}: " + ", ".join(f"{what} {error:.2f}" for what, error in errors.items()))


def way(regressor: FlowRegressor, some: flow.People, fits: Fits) -> flow.Way:
    """How a network tells the flow of people; one that corrects starts from their fits."""

    def found(source: int, target: int) -> flow.Flow:
        fitted = None
        if regressor.architecture.corrects:
            pair = fits.select([source]), fits.select([target])
            fitted = between(Body.default(), *pair, (flow.SIDE, flow.SIDE))
        joints = some.noisy[[source]], some.noisy[[target]]
        guess = extended(regressor.between(*joints, (flow.SIDE, flow.SIDE), fitted))
        return guess.flow[0].numpy(), guess.visibility[0].numpy()

    return found


def untrained(size: Size, folder: Path) -> dict[str, dict[str, float]]:
    """Name of a way that needs no network -> its mean errors."""
    held = people.load(size.held_out, folder)
    few = range(min(len(size.learn.scenes), len(size.held_out.scenes)))
    others = flow.make(size.learn.scenes, few)
    return flow.measured(held, flow.ways(held, others))
