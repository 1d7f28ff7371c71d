"""What becomes of people with gross errors of detectors: errors of their fits, and what is flagged.

    python -m benchmarks.hard --people 400

The script makes people of a held-out seed, with the usual errors of a detector and near cameras. It
plants gross errors, registers everybody, and writes docs/doubts.md. It takes a minute on two cores.
"""

from __future__ import annotations

import argparse
import math
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.hard import fading
from benchmarks.hard.planting import ERRORS, WITHOUT
from benchmarks.hard.study import DISTANCE, Study
from bodyreg import RegistrationConfig, register
from bodyreg.data import Fits
from bodyreg.data.fits import REASONS
from bodyreg.files import atomic_path
from bodyreg.registration import doubts, hypotheses, rejection

BEFORE = RegistrationConfig.preset("accurate", suspect_error=math.inf, outside_share=1.0)
"""Without exchanged sides and rejected evidence, and with full weights outside of the picture."""


def planted(study: Study, seed: int) -> str:
    """The table of planted errors."""
    flat, rows = study.people.with_depths(None), []
    for name, error in ERRORS.items():
        spoilt = error(flat, np.random.default_rng(seed))
        good = WITHOUT[name](flat, np.random.default_rng(seed)) if name in WITHOUT else flat
        both = np.intersect1d(spoilt.id, good.id)
        spoilt, good = (some.select(np.isin(some.id, both)) for some in (spoilt, good))
        clean = study.errors(register(study.body, good))
        before = study.errors(register(study.body, spoilt, BEFORE))
        fits = register(study.body, spoilt)
        now, flagged = study.errors(fits), fits.doubtful
        ratio = "–"
        if not flagged.all():
            ratio = f"{now[~flagged].mean() / clean[~flagged].mean():.2f}"
        errors = (f"{e.mean():.0f}" for e in (clean, before, now))
        shares = _share(fits.exchanged > 0), _share(fits.rejected > 0), _share(flagged)
        rows.append(_row(name, len(fits), *errors, *shares, ratio, _why(fits)))
    head = (
        "| planted | people | clean, mm | before, mm | now, mm | exchanged | rejected | flagged "
        "| not flagged, over clean | most frequent reasons |"
    )
    return "\n".join([head, "|---" * 10 + "|", *rows])


def plausible(study: Study, seed: int) -> str:
    """Why some merged people are not flagged: how near the fits are to their keypoints."""
    name = "two people merged, keypoints alone"
    flat = study.people.with_depths(None)
    spoilt, good = (
        register(study.body, make(flat, np.random.default_rng(seed)))
        for make in (ERRORS[name], WITHOUT[name])
    )
    sure = spoilt.id[~spoilt.doubtful]
    near = [
        np.median(fits.doubts["keypoints"][np.isin(fits.id, sure)]) * doubts.FARTHEST * 128
        for fits in (spoilt, good)
    ]
    told = f"""Of people merged by keypoints alone, {len(sure)} are not flagged. The fits lie
    {near[0]:.1f} px from their keypoints (median), as those of the same people without the error
    do, {near[1]:.1f} px: the other person's limb is where one of their own could be, so distances
    do not tell."""
    return textwrap.fill(" ".join(told.split()), 100)


def false_alarms(study: Study) -> str:
    """The table of people without planted errors."""
    people, rows = study.people, []
    flat = people.with_depths(None)
    nothing = np.zeros_like(people.keypoint_weight)
    kinds = {
        "points, keypoints, depths": people,
        "points and keypoints": flat,
        "points alone": replace(flat, keypoint_weight=nothing),
        "keypoints alone": flat.keypoints_alone(),
    }
    for name, some in kinds.items():
        fits = register(study.body, some)
        errors, flagged = study.errors(fits), fits.doubtful
        same = np.mean(errors == study.errors(register(study.body, some, BEFORE)))
        sure = f"{errors[~flagged].mean():.0f}"
        unsure = f"{errors[flagged].mean():.0f}" if flagged.any() else "–"
        changed = _share(fits.exchanged > 0), _share(fits.rejected > 0)
        alarms = _share(flagged), sure, unsure, _why(fits)
        rows.append(_row(name, len(fits), *changed, f"{100 * same:.1f} %", *alarms))
    head = (
        "| evidence | people | exchanged | rejected | same fit | false alarms | not flagged, mm "
        "| flagged, mm | reasons |"
    )
    return "\n".join([head, "|---" * 9 + "|", *rows])


def _row(*cells: object) -> str:
    line = "| " + " | ".join(map(str, cells)) + " |"
    print(line, flush=True)
    return line


def _share(people: np.ndarray) -> str:
    return f"{100 * people.mean():.1f} %"


def _why(fits: Fits) -> str:
    """The reasons of flagged fits, as shares of all fits; the three most frequent."""
    share = {name: 100 * float(np.mean(value > 1)) for name, value in fits.doubts.items()}
    names = sorted((name for name in share if share[name] > 0), key=lambda name: -share[name])[:3]
    return ", ".join(f"{REASONS[name]} {share[name]:.0f} %" for name in names) or "–"


def limits() -> str:
    """The limits, as the code has them."""
    rows = {
        "evidence": f"fewer than {doubts.FEWEST} points and keypoints",
        "parts": f"fewer than {math.ceil(doubts.FEWEST_SEGMENTS)} of 24 segments have any",
        "limbs": "no point or keypoint of a leg below the hip, or of both arms below the "
        f"shoulders; or at least {doubts.MANY} dense points, but none on the legs",
        "strip": f"the evidence is less than {doubts.NARROWEST} as wide as long",
        "small": f"the frame has fewer than {doubts.SMALLEST} pixels a side",
        "points": f"{doubts.FARTHEST * 128:.0f} px of a 256-pixel frame, robust root mean square",
        "keypoints": f"{doubts.FARTHEST * 128:.0f} px, root mean square",
        "pose": f"{doubts.LEAST_LIKELY} squared standard deviations of the prior",
        "shape": f"segment scales spread by {doubts.LEAST_PROPORTIONED} (logarithms)",
        "deviation": f"joints' deviations of {doubts.LEAST_CERTAIN} mm",
        "sides": f"exchanged sides leave {hypotheses.ACCEPTED} to 1 of the loss",
        "foreign": f"without them, less than {hypotheses.ACCEPTED} of the loss is left",
        "mirrored": "the rotation is a reflection, or the scale is negative",
    }
    lines = [f"| `{name}` | {REASONS[name]} | {limit} |" for name, limit in rows.items()]
    return "\n".join(["| name | reason | limit |", "|---|---|---|", *lines])


def page(study: Study, command: str, seed: int) -> str:
    """The whole page in Markdown."""
    made = f"""on {len(study.people):,} people of a held-out seed in pictures of 256 x 256 pixels,
    {DISTANCE[0]:g} to {DISTANCE[1]:g} m from the camera, with the usual errors of a detector, which
    whole segments share. Errors are mean distances of 24 joints from the pelvis, true scale. No
    depths, except where a row says so. In float32, on a CPU."""
    flat = study.people.with_depths(None)
    return f"""# Doubts

A registration returns a body for any evidence, also for a strip of a person or for two people taken
for one. So every fit says how doubtful it is, and why. `Fits.doubts` is a dictionary: for each
reason, an array with a number for each fit, which is a measure divided by its limit. A fit is
doubtful if one of its numbers is above 1. `bodyreg register` counts doubtful fits; overlays and the
report show them first.

{limits()}

The limits are constants in `bodyreg/registration/doubts.py`. They were chosen on people of another
seed, and hold for the preset `accurate`.

A fit is suspect if it is farther from its points or keypoints than `suspect_error` (6 px of a
256-pixel frame). Such a person is fitted again under hypotheses about the evidence, and one that
leaves much less of the loss stays: less than {hypotheses.ACCEPTED} if sides are exchanged, less
than {hypotheses.ACCEPTED_REJECTION} if evidence is left out. Other people keep their
fits bit for bit.

**Sides.** A detector took left for right. In {len(hypotheses.EXCHANGES)} fits left and right are
exchanged: of everything, of points or keypoints alone, of hands, feet, arms, legs.
`Fits.exchanged` says what was exchanged.

**Other people.** A detector merged people. The keypoints alone are fitted without each arm and each
leg. The best of these fits tells which dense points lie far from the person, and the person is
fitted without them. What is left out costs as much as if it were
{rejection.CHARGED * 128:.0f} px away. But a limb costs nothing if a bone is at least
{rejection.IMPOSSIBLE * 128:.0f} px longer on the picture than in the body of the other keypoints. A
person without dense points is suspect from {rejection.SUSPECT_LIMB:g} `suspect_error` on, for the
keypoints of one limb. `Fits.rejected` says what was left out. Such a fit is doubtful, and so
is one of which less than {hypotheses.ACCEPTED} of the loss would be left.

**Outside.** A keypoint outside of a picture of known size was guessed by the detector: it has
`outside_share` of its weight, and does not count as seen.

Every number below was measured by one run of

    {command}

{textwrap.fill(" ".join(made.split()), 100)}

## Planted errors

*Clean*: the same people without the error. *Before*: without exchanged sides and rejected evidence,
and with full weights outside. *Not flagged, over clean*: errors of the fits that are not flagged,
over the clean errors of the same people.

{planted(study, seed)}

{plausible(study, seed)}

## False alarms

The same people without planted errors. *Same fit*: the same errors as without hypotheses.

{false_alarms(study)}

## Evidence that fades

What is not seen is left to the priors: its joints come nearer to everyday places, and their
deviations grow. Points and keypoints were removed in steps. *Unseen* are the joints that the
evidence does not show; *within* is the share of them that lie within one deviation of the truth,
across / along the view (68 % is right). *Farthest*: of a joint from the pelvis, over the true one;
99 of 100 people have less. *Size*: of the fit, over that with all evidence, from the 1st to the
99th percentile of people. *Moved*: how far joints that are still seen move from one step to the
next.

{fading.table(study, fading.by_limb(flat))}

{fading.table(study, fading.by_row(study, flat))}

Children, and other people who differ from the template: [other bodies](bodies.md).
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=400)
    parser.add_argument("--seed", type=int, default=9202, help="of the people; held out")
    parser.add_argument("--out", type=Path, default=Path("docs/doubts.md"))
    options = parser.parse_args()
    study = Study.make(options.people, options.seed)
    command = f"python -m benchmarks.hard --people {options.people} --seed {options.seed}"
    text = page(study, command, options.seed)
    with atomic_path(options.out) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
