"""bodyreg evaluate-images: how near painted pictures are to true ones."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from bodyreg.cli.flags import Folder, OptionalFile, OptionalFolder
from bodyreg.cli.tables import overall, write
from bodyreg.errors import UserError
from bodyreg.files import fingerprint, provenance
from bodyreg.pictures import picture_names
from bodyreg.runs.lock import working_in

if TYPE_CHECKING:
    from bodyreg.metrics import Table
    from bodyreg.metrics.protocols import Protocol
    from bodyreg.runs.images import Compared, Pictures

NAMED = 5
"""How many missing pictures are named on the screen; evaluation.json names all."""
MOST_PIXELS = 2**14


@dataclass(frozen=True)
class Options:
    """Options of `bodyreg evaluate-images`.

    Attributes:
        generated: Folder of painted pictures, named as the true ones, or SOURCE_TARGET.
        truth: Folder of true pictures.
        protocol: What is done with pictures before they are compared, as in the papers of this
            name; intrinsic-flow: nothing; patn: the middle 176 columns, padded with white to 256;
            gfla: resized to 176 x 256, bicubic with antialiasing.
        size: With --protocol gfla: another width and height, pixels.
        pairs: File of the pairs that should be there (.json), as DeepFashion's pair_split.json.
        split: Only this split of the file ("test").
        masks: Folder of masks of people in the true pictures, named as these or as the painted
            ones: white (over 127) is the person; or labels of parts, where 0 is the background.
        visibility: Folder of what the sources show of the true pictures: TARGET_SOURCE.corr of
            bodyreg flow, or pictures of 0 (visible), 1 (hidden) and 2 (background).
        lpips: Also measure LPIPS by these two files of weights: torchvision's AlexNet, trained on
            ImageNet, and alex.pth of LPIPS, version 0.1.
        inception: Also measure FID and the inception score by this file of weights:
            pt_inception-2015-12-05-6726825d.pth of pytorch-fid. Needs bodyreg[images].
        real: With --inception: folder of real pictures for FID, which is often that of the training
            pictures. The default are the compared true pictures.
        out: Output folder for evaluation.json (statistics) and evaluation.csv (one row per
            picture).
    """

    generated: Folder
    truth: Folder
    protocol: Literal["intrinsic-flow", "patn", "gfla"]
    size: Annotated[tuple[int, int] | None, tyro.conf.arg(metavar="W H", help_behavior_hint="")] = (
        None
    )
    pairs: OptionalFile = None
    split: Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="")] = None
    masks: OptionalFolder = None
    visibility: OptionalFolder = None
    lpips: Annotated[
        tuple[Path, Path] | None, tyro.conf.arg(metavar="ALEXNET WEIGHTS", help_behavior_hint="")
    ] = None
    inception: OptionalFile = None
    real: OptionalFolder = None
    out: OptionalFolder = None


def run(options: Options, command: str) -> None:
    """Compare, print, and write."""
    protocol = _protocol(options)
    lock = contextlib.nullcontext() if options.out is None else working_in(options.out)
    with lock:
        _evaluate(options, protocol, command)
    if options.out is not None:
        print(f"\nresults: {options.out}")


def _protocol(options: Options) -> Protocol:
    from bodyreg.metrics.protocols import PROTOCOLS

    protocol = PROTOCOLS[options.protocol]
    if options.split is not None and options.pairs is None:
        raise UserError("--split belongs to --pairs")
    if options.real is not None and options.inception is None:
        raise UserError("--real belongs to --inception")
    if options.size is None:
        return protocol
    if protocol.size is None:
        raise UserError("--size belongs to --protocol gfla; the others do not resize")
    if not 0 < min(options.size) <= max(options.size) <= MOST_PIXELS:
        raise UserError(f"--size must be a width and a height from 1 to {MOST_PIXELS:,}")
    return replace(protocol, size=options.size)


def _evaluate(options: Options, protocol: Protocol, command: str) -> None:
    from bodyreg.data.pairs import read_split
    from bodyreg.metrics.inception import Inception, require_torchmetrics
    from bodyreg.metrics.lpips import Lpips
    from bodyreg.metrics.table import finite
    from bodyreg.runs.images import Folders, Pictures, compare_pictures, score_pictures

    lpips = None if options.lpips is None else Lpips.load(*options.lpips)
    if options.inception is not None:
        require_torchmetrics()
        inception = Inception.load(options.inception)
    folders = Folders(options.generated, options.truth, options.masks, options.visibility)
    pairs = None if options.pairs is None else read_split(options.pairs, options.split)
    pictures = Pictures.find(folders, pairs)
    compared = compare_pictures(pictures, protocol, lpips)
    sets: dict[str, Any] = {}
    if options.inception is not None:
        scores, real = score_pictures(pictures, protocol, inception, options.real)
        sets = {**scores._asdict(), "real_pictures": real}
    facts = _facts(options, protocol, pictures, compared)
    lines = [f"{name + ':':<11}{value}" for name, value in facts.items()]
    lines += _missing(pictures)
    table, flat = compared.table, compared.silhouette
    beside = {} if flat is None else {"silhouette": flat}
    print("\n".join([*lines, "", overall(table, "pictures", beside)]))
    if flat is None:
        print(
            "Give --masks or --visibility: without them, the backdrop counts as much as the person."
        )
    else:
        print("silhouette: the true pictures, with one mean colour on all of the person")
    if sets:
        print(
            f"FID {sets['fid']:.3f} against {sets['real_pictures']:,} real pictures of "
            f"{options.real or options.truth}\n"
            f"inception score {sets['inception']:.3f} ± {sets['inception_deviation']:.3f}"
        )
    if options.out is None:
        return
    content = {
        **provenance(command),
        "protocol": facts,
        "inputs": _inputs(options, pictures),
        "sets": {name: finite(value) for name, value in sets.items()},
        "without_truth": pictures.lacking,
        "not_generated": pictures.missing,
    }
    write(options.out, table if flat is None else _joined(table, flat), content)


def _joined(table: Table, flat: Table) -> Table:
    """One table of the errors and of those of the silhouettes, for files."""
    from bodyreg.metrics import Table

    names = {name: f"silhouette_{name}" for name in flat.metrics}
    metrics = {
        names[name]: metric._replace(title=f"silhouette's {metric.title}")
        for name, metric in flat.metrics.items()
    }
    errors = {names[name]: column for name, column in flat.errors.items()}
    return Table(table.people, table.errors | errors, table.metrics | metrics)


def _inputs(options: Options, pictures: Pictures) -> dict[str, str]:
    """Fingerprints of what was compared, of a folder's files together."""
    found = {
        str(getattr(options, name)): fingerprint(*pictures.paths(name)) for name in pictures.files
    }
    if options.real is not None:
        real = [options.real / name for name in picture_names(options.real)]
        found[str(options.real)] = fingerprint(*real)
    files = (options.pairs, options.inception, *(options.lpips or ()))
    found |= {str(path): fingerprint(path) for path in files if path is not None}
    return found


def _facts(
    options: Options, protocol: Protocol, pictures: Pictures, compared: Compared
) -> dict[str, Any]:
    """What numbers depend on and papers dispute, in words."""
    from bodyreg.metrics.images import SSIM

    sizes = {name: _counted(counts) for name, counts in compared.sizes.items()}
    formats = {
        name: _counted(Counter(path.suffix.lower() for path in pictures.paths(name)))
        for name in sizes
    }
    return {
        "protocol": f"{options.protocol}: {protocol.what}",
        "its SSIM": f"{protocol.ssim}, {SSIM[protocol.ssim].what.removeprefix('SSIM: ')}",
        "compared": f"{len(pictures.matches):,} pictures of {options.generated} "
        f"with those of {options.truth}",
        "formats": f"generated {formats['generated']}; true {formats['truth']}",
        "sizes": f"generated {sizes['generated']}; true {sizes['truth']}; "
        f"compared {_counted(compared.prepared)}",
        "filter": protocol.filter,
        "padding": protocol.padding,
        **({"LPIPS": "AlexNet, version 0.1"} if options.lpips else {}),
        **(
            {"FID, IS": "inception-2015-12-05; resized to 299 x 299, bilinear as TensorFlow 1"}
            if options.inception
            else {}
        ),
    }


def _counted(counts: Counter) -> str:
    """What there is, the most frequent first, with numbers if there is more than one kind."""
    names = {
        key: key if isinstance(key, str) else "{} x {}".format(*key)
        for key, _ in counts.most_common()
    }
    if len(names) == 1:
        return next(iter(names.values()))
    shown = [f"{counts[key]:,} of {name}" for key, name in names.items()]
    more = [f"{len(shown) - NAMED:,} more"] * (len(shown) > NAMED)
    return ", ".join([*shown[:NAMED], *more])


def _missing(pictures: Pictures) -> list[str]:
    lines = []
    for what, names in (
        ("generated pictures without a true one", pictures.lacking),
        ("pictures that were not generated", pictures.missing),
    ):
        if names:
            shown = ", ".join(names[:NAMED]) + ", ..." * (len(names) > NAMED)
            lines.append(f"{what}: {len(names):,} ({shown})")
    return lines
