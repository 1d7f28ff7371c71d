"""People of pictures, painted in other poses: what is read, painted and written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bodyreg.errors import UserError
from bodyreg.files import atomic_path, identities, is_folder, is_there, require_other
from bodyreg.pictures import SUFFIXES
from bodyreg.runs.finished import FinishedRun
from bodyreg.runs.fitted_pictures import FittedPictures
from bodyreg.runs.poses import Target, targets_of
from bodyreg.runs.progress import Clock, progress_bar

if TYPE_CHECKING:
    import numpy as np

    from bodyreg.body import Body
    from bodyreg.data import Fits
    from bodyreg.data.source import Source as People
    from bodyreg.runs.record import BodyFiles
    from bodyreg.transfer import Appearance, Painting, Source

KEEP = "keep"
COLOURS = {"white": (255, 255, 255), "grey": (128, 128, 128), "black": (0, 0, 0)}
STRIP, STRIP_FRAMES, STRIP_HEIGHT = "strip.png", 8, 256
# A source that is finer than the finest target by more than this is reduced: single pixels of it
# would flicker.
FINER = 1.5


@dataclass(frozen=True)
class TransferRequest:
    """A person to be painted.

    Attributes:
        sources: Pictures of the person. Pictures are named by their paths; those of a run also by
            their names in its folder of pictures.
        poses: Pictures, files of joints (.json), of fits (.npz), clips (.bvh).
        out: A picture for one pose, a folder for several.
        people: Evidence of the people in the pictures; None if there is a run.
        run: The folder of a finished run with these pictures.
        images: The folder that names of pictures are relative to.
        body: The files of the body, without a run.
        masks: Of each source, a picture that is bright where the person is; none = found.
        background: `KEEP`, a colour (`COLOURS`, #rrggbb), or a picture.
        size: Width and height where a pose is no picture; None = the first source's.
        frames: Of a clip or a file of fits, so many evenly chosen; None = all.
        details: Whether to write flow, visibility, provenance and foregrounds, too.
        mesh: The GLB file to write, with the body in the first pose.
    """

    sources: Sequence[Path]
    poses: Sequence[Path]
    out: Path
    people: People | None
    run: Path | None
    images: Path | None
    body: BodyFiles
    masks: Sequence[Path] = ()
    background: str = KEEP
    size: tuple[int, int] | None = None
    frames: int | None = None
    details: bool = False
    mesh: Path | None = None


@dataclass(frozen=True)
class Transferred:
    """What was painted.

    Attributes:
        pictures: The number of paintings.
        seconds: Stage -> seconds.
        shares: Provenance -> its share of the people's pixels.
        written: The files, apart from the details.
        not_found: The sources in which the person was not told from the background.
    """

    pictures: int
    seconds: dict[str, float]
    shares: dict[str, float]
    written: list[Path] = field(default_factory=list)
    not_found: list[Path] = field(default_factory=list)


def transfer(request: TransferRequest, *, quiet: bool = False) -> Transferred:
    """Paint a person in other poses, and write the pictures.

    Raises:
        UserError: something is missing, damaged or not known, or cannot be written. Nothing is
            left half-written.
    """
    import numpy as np

    from bodyreg.pictures import read_picture, write_picture
    from bodyreg.transfer import Appearance, Provenance
    from bodyreg.transfer.compositing import before, without_person
    from bodyreg.transfer.filling import covering
    from bodyreg.transfer.foreground import is_found
    from bodyreg.transfer.textured import charts_of

    clock = Clock()
    fitted = _fitted(request)
    clock.lap("bodies")
    paths = [fitted.file(path) for path in request.sources]
    pictures = [read_picture(path) for path in paths]
    masks = [_mask(path, picture) for path, picture in zip(request.masks, pictures, strict=False)]
    backdrop = _backdrop(request.background)
    clock.lap("reading")
    if request.mesh is not None:
        charts_of(fitted.body)  # before anything is written
    sizes = [picture.shape[1::-1] for picture in pictures]
    fits = [fitted.fit(path, size) for path, size in zip(paths, sizes, strict=True)]
    size = request.size or sizes[0]
    targets = targets_of(request.poses, fitted, fits[0], size, request.frames)
    names = _names(request, targets)
    _require_others(request, names, [*paths, *map(fitted.file, request.poses)])
    clock.lap("bodies")
    silhouettes = [
        _silhouette(fitted.body, fit, picture) for fit, picture in zip(fits, pictures, strict=True)
    ]
    sources = _sources(pictures, fits, masks, silhouettes)
    not_found = [
        path
        for path, source, silhouette in zip(paths, sources, silhouettes, strict=True)
        if not masks and not is_found(source.foreground, silhouette)
    ]
    clock.lap("foreground")
    zoomed = _not_finer(sources, targets)
    appearance = Appearance(fitted.body, zoomed)
    clock.lap("surface")
    if backdrop is None:
        backdrop = without_person(pictures[0], sources[0].foreground | silhouettes[0])
    counts = np.zeros(len(Provenance), np.int64)
    strip, shown = [], set(_strip_frames(len(targets)))
    clock.lap("background")
    seconds: Counter[str] = Counter()
    with progress_bar(len(targets), quiet, unit="pictures") as bar:
        for number, (target, path) in enumerate(zip(targets, names, strict=True)):
            own = Clock()
            painting = appearance.paint(target.fit, target.height, target.width)
            own.lap("painting")
            counts += np.bincount(painting.provenance.reshape(-1), minlength=len(counts))
            picture = before(covering(backdrop, target.height, target.width), painting)
            own.lap("background")
            write_picture(path, picture)
            if request.details:
                _write_details(path, zoomed, appearance, target, painting)
            if number in shown and len(targets) > 1:
                strip.append(_of_height(picture, STRIP_HEIGHT))
            own.lap("writing")
            seconds.update(own.laps)
            bar.update()
    clock.lap("")
    written = [request.out]
    if strip:
        write_picture(request.out / STRIP, np.concatenate(strip, axis=1))
    if request.mesh is not None:
        _write_mesh(request.mesh, appearance, targets[0])
        written.append(request.mesh)
        clock.lap("mesh")
    seconds.update({stage: time for stage, time in clock.laps.items() if stage})
    people = counts[:-1]
    shares = people / max(1, int(people.sum()))
    named = {kind.name.lower(): float(shares[kind]) for kind in list(Provenance)[:-1]}
    return Transferred(len(targets), dict(seconds), named, written, not_found)


def _fitted(request: TransferRequest) -> FittedPictures:
    if request.run is not None:
        return FittedPictures.of_run(FinishedRun.open(request.run, request.images))
    return FittedPictures.to_register(request.people, request.body)


def _names(request: TransferRequest, targets: Sequence[Target]) -> list[Path]:
    """The file of each painting.

    Raises:
        UserError: --out is a folder for one pose, a file for several, or two have one name.
    """
    out, is_picture = request.out, request.out.suffix.lower() in SUFFIXES
    if len(targets) == 1:
        if not is_picture:
            raise UserError(f"{out}: one pose makes one picture; name it, such as {out}.png")
        return [out]
    if is_picture or (is_there(out) and not is_folder(out)):
        raise UserError(f"{out}: {len(targets):,} poses make as many pictures; name a folder")
    names = [out / f"{target.name}.png" for target in targets]
    name, count = Counter(names).most_common(1)[0]
    if out / STRIP in names:
        raise UserError(f"{out / STRIP}: is the strip of all paintings; rename the pose's file")
    if count > 1:
        raise UserError(f"{name}: would be written for {count} poses; rename their files")
    return names


def _require_others(
    request: TransferRequest, names: Sequence[Path], pictures: Sequence[Path]
) -> None:
    """Refuse to write over what is read: these pictures, masks and a background.

    Args:
        request: What is painted.
        names: The files of the paintings.
        pictures: The sources and the poses.
    """
    read = identities([*pictures, *request.masks, request.background])
    written = list(names)
    if len(names) > 1:
        written.append(request.out / STRIP)
    if request.details:
        written += [file for path in names for file in _details(path, len(request.sources))]
    file, count = Counter(written).most_common(1)[0]
    if count > 1:
        raise UserError(f"{file}: would be written {count} times, as --details; rename the poses")
    for path in written:
        require_other(path, read)


def _mask(path: Path, picture: np.ndarray) -> np.ndarray:
    from bodyreg.pictures import read_picture

    mask = read_picture(path, kind="mask")
    if mask.shape[:2] != picture.shape[:2]:
        sides = " x ".join(map(str, mask.shape[1::-1]))
        wanted = " x ".join(map(str, picture.shape[1::-1]))
        raise UserError(f"{path}: is {sides} pixels; its picture is {wanted}")
    return mask.mean(2) >= 128


def _backdrop(background: str) -> np.ndarray | None:
    """The picture behind people, of any size; None for what is behind the source's person."""
    import numpy as np

    from bodyreg.pictures import read_picture

    if background == KEEP:
        return None
    if background in COLOURS:
        return np.full((1, 1, 3), COLOURS[background], np.uint8)
    if background.startswith("#"):
        digits = background[1:]
        if len(digits) != 6 or not set(digits.lower()) <= set("0123456789abcdef"):
            raise UserError(f"--background {background}: a colour is # and six digits, #rrggbb")
        return np.array([[[int(digits[i : i + 2], 16) for i in (4, 2, 0)]]], np.uint8)
    return read_picture(background, kind="background")


def _silhouette(body: Body, fit: Fits, picture: np.ndarray) -> np.ndarray:
    """(H, W) bool: the body in its picture."""
    from bodyreg.transfer.surface import surface_of
    from bodyreg.transfer.volume import Posed

    surface = surface_of(body)
    drawn = Posed.of(surface, fit).drawn(surface, *picture.shape[:2])
    return drawn.face[0].numpy() >= 0


def _sources(
    pictures: Sequence[np.ndarray],
    fits: Sequence[Fits],
    masks: Sequence[np.ndarray],
    silhouettes: Sequence[np.ndarray],
) -> list[Source]:
    from bodyreg.data.bodies import pixels_per_metre
    from bodyreg.transfer import Source
    from bodyreg.transfer.foreground import foreground_of

    found = masks or [
        foreground_of(picture, silhouette, pixels_per_metre(fit)[0])
        for picture, silhouette, fit in zip(pictures, silhouettes, fits, strict=True)
    ]
    return [Source(*parts) for parts in zip(pictures, found, fits, strict=True)]


def _not_finer(sources: Sequence[Source], targets: Sequence[Target]) -> list[Source]:
    """The sources, reduced where they are much finer than every target."""
    from bodyreg.data.bodies import pixels_per_metre

    finest = max(pixels_per_metre(target.fit)[0] for target in targets)
    zooms = [finest / pixels_per_metre(source.fit)[0] for source in sources]
    return [
        source.zoomed(zoom) if zoom < 1 / FINER else source
        for source, zoom in zip(sources, zooms, strict=True)
    ]


def _strip_frames(count: int) -> list[int]:
    from bodyreg.runs.job import evenly

    return evenly(count, STRIP_FRAMES).tolist()


def _of_height(picture: np.ndarray, height: int) -> np.ndarray:
    import cv2

    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    way = cv2.INTER_AREA if height < picture.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(picture, (width, height), interpolation=way)


def _details(path: Path, sources: int) -> list[Path]:
    """The files of what a painting was made of: provenance, and three for each source."""
    ends = [f"-{number}" for number in range(1, sources + 1)] if sources > 1 else [""]
    kinds = [f"{kind}{end}" for end in ends for kind in ("flow", "visibility", "foreground")]
    return [path.with_name(f"{path.stem}-{kind}.png") for kind in ("provenance", *kinds)]


def _write_details(
    path: Path,
    sources: Sequence[Source],
    appearance: Appearance,
    target: Target,
    painting: Painting,
) -> None:
    """Write what a painting was made of."""
    import numpy as np

    from bodyreg.flow import between
    from bodyreg.pictures import write_picture
    from bodyreg.viz.flow import flow_picture, visibility_picture
    from bodyreg.viz.provenance import provenance_picture

    files = iter(_details(path, len(sources)))
    write_picture(next(files), provenance_picture(painting.provenance))
    for source in sources:
        size = target.height, target.width
        found = between(appearance.body, source.fit, target.fit, size, source.foreground.shape)
        flow, kind = found.flow[0].numpy(), found.visibility[0].numpy()
        write_picture(next(files), flow_picture(flow, kind))
        write_picture(next(files), visibility_picture(kind))
        write_picture(next(files), np.where(source.foreground, 255, 0).astype(np.uint8))


def _write_mesh(path: Path, appearance: Appearance, target: Target) -> None:
    from bodyreg.transfer.textured import textured, to_glb

    data = to_glb(textured(appearance, target.fit))
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
