"""A person painted in another pose, from pictures, without training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import cv2
import numpy as np
import torch
from torch import Tensor

from bodyreg import ops
from bodyreg.body import Body
from bodyreg.data.bodies import zoomed
from bodyreg.data.fits import Fits
from bodyreg.reference.flow import HIDDEN, VISIBLE
from bodyreg.transfer.surface import GROUPS, HEAD, Surface, surface_of
from bodyreg.transfer.volume import FARTHEST, Posed, outline_volume

# A source's share in a colour grows with this power of the pixels that it spends on the place.
SHARPNESS = 4
# Pixels at the edge of a foreground show some of the background: they count this much beside inner
# ones.
EDGE = 0.02
# A source that sees a place more obliquely than the target does, by this factor, shows a streak and
# what is beside the person, not the place. Squareness is the cosine between normal and view.
STRETCH = 0.25
# A pixel so close to a part that is so much nearer may show that part: fits are not exact. Metres.
BESIDE, STEP = 0.02, 0.08
NEUTRAL = 128


class Provenance(IntEnum):
    """Where the colour of a pixel is from; the first that there is.

    Attributes:
        VISIBLE: A source shows this place.
        MIRRORED: A source shows the same place on the body's other side.
        THROUGH: A source shows the same part of the body in front of or behind this place.
        DIFFUSED: Places nearby on the surface.
        UNSEEN: No source shows anything nearby: a neutral colour.
        BACKGROUND: There is no person.
    """

    VISIBLE = 0
    MIRRORED = 1
    THROUGH = 2
    DIFFUSED = 3
    UNSEEN = 4
    BACKGROUND = 5


@dataclass(frozen=True, eq=False)
class Source:
    """A picture of a person.

    Attributes:
        picture: (H, W, 3) uint8.
        foreground: (H, W) bool, pixels that show the person; others are never read.
        fit: One fit, the person's body in this picture.
    """

    picture: np.ndarray
    foreground: np.ndarray
    fit: Fits

    def zoomed(self, zoom: float) -> Source:
        """The same source in a smaller picture."""
        height, width = (max(1, round(zoom * side)) for side in self.foreground.shape)
        x, y = width / self.foreground.shape[1], height / self.foreground.shape[0]
        share = self.foreground.astype(np.float32)
        small = cv2.resize(share, (width, height), interpolation=cv2.INTER_AREA)
        alone = self.picture * share[..., None]  # the background is not mixed in
        colours = cv2.resize(alone, (width, height), interpolation=cv2.INTER_AREA)
        return Source(
            np.rint(colours / np.maximum(small, 1e-6)[..., None]).astype(np.uint8),
            small > 0.5,
            zoomed(self.fit, np.array([x, y, zoom])),
        )


@dataclass(frozen=True, eq=False)
class Painting:
    """A painted person.

    Attributes:
        picture: (H, W, 3) uint8; 0 where there is no person.
        provenance: (H, W) uint8, `Provenance`.
    """

    picture: np.ndarray
    provenance: np.ndarray

    @property
    def silhouette(self) -> np.ndarray:
        """(H, W) bool: pixels that show the person."""
        return self.provenance != Provenance.BACKGROUND


class Appearance:
    """How a person looks, by one picture or several.

    Pixels of a target are read from the pictures themselves, not from a texture in between: what is
    visible stays as sharp as it is. Where several pictures show a place they are mixed, and those
    that spend more pixels on it, because they are finer or see it more squarely, weigh more.

    Args:
        body: The fitted body.
        sources: One or more pictures of the person.
    """

    def __init__(self, body: Body, sources: Sequence[Source]) -> None:
        if not sources:
            raise ValueError("sources: expected one or more, got none")
        self.body, self.surface = body, surface_of(body)
        self.volume = _volume(self.surface, sources)
        self._seen = [_Seen(self.surface, source, self.volume) for source in sources]
        face, share = self.surface.vertex_face, self.surface.vertex_share
        colours, provenance = self._read(face, share, np.ones(len(face), np.float32))
        self._colours, self._near = self.surface.diffused(
            colours, provenance <= Provenance.THROUGH, NEUTRAL
        )

    def paint(self, target: Fits, height: int, width: int) -> Painting:
        """Paint the person in the pose of a fit.

        Args:
            target: One fit, in the picture that is made.
            height, width: Of the picture.
        """
        posed = Posed.of(self.surface, target, self.volume)
        shown = posed.drawn(self.surface, height, width)
        face = shown.face[0].numpy().reshape(-1)
        pixels = np.flatnonzero(face >= 0)
        picture = np.zeros((height * width, 3), np.uint8)
        provenance = np.full(height * width, Provenance.BACKGROUND, np.uint8)
        share = shown.barycentric[0].view(-1, 3).numpy()[pixels]
        square = (share * posed.squareness[self.body.faces[face[pixels]]]).sum(1)
        colours, provenance[pixels] = self.at(face[pixels], share, square)
        picture[pixels] = np.rint(colours).clip(0, 255)
        return Painting(picture.reshape(height, width, 3), provenance.reshape(height, width))

    def at(
        self, face: np.ndarray, share: np.ndarray, square: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Colours of places on the surface.

        Args:
            face: (P,) faces of the body.
            share: (P, 3) float32 barycentrics.
            square: (P,) how squarely they are to be shown, 0 to 1.

        Returns:
            (P, 3) float32 in [0, 255], and (P,) uint8 `Provenance`.
        """
        colours, provenance = self._read(face, share, square)
        missing = np.flatnonzero(provenance == Provenance.DIFFUSED)
        corners = self.body.faces[face[missing]]
        colours[missing] = np.einsum("pk,pkc->pc", share[missing], self._colours[corners])
        near = self._near[corners].any(1)
        provenance[missing] = np.where(near, Provenance.DIFFUSED, Provenance.UNSEEN)
        return colours, provenance

    def _read(
        self, face: np.ndarray, share: np.ndarray, square: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """`at`, but DIFFUSED and 0 wherever pictures show no colour."""
        points = _Points.of(face, share, square)
        count = len(face)
        mixes = {kind: np.zeros((count, 4), np.float32) for kind in list(Provenance)[:3]}
        corners, mirrored, group = self.surface.corners, self.surface.mirrored, self.surface.group
        for seen in self._seen:
            own = seen.read(points, corners, group)
            mixes[Provenance.VISIBLE] += own.visible
            mixes[Provenance.THROUGH] += own.through
            if mirrored is not None:
                other = seen.read(points, mirrored, group, other_side=True)
                mixes[Provenance.MIRRORED] += other.visible
        colours = np.zeros((count, 3), np.float32)
        provenance = np.full(count, Provenance.DIFFUSED, np.uint8)
        for kind, mix in reversed(mixes.items()):
            there = np.flatnonzero(mix[:, 3] > 0)
            colours[there] = mix[there, :3] / mix[there, 3:]
            provenance[there] = kind
        return colours, provenance


@dataclass(frozen=True, eq=False)
class _Points:
    """Places on the surface in a grid that is nearly square, as ops take them.

    Attributes:
        face: (1, h, w) int32; -1 behind the last point.
        share: (1, h, w, 3) float32.
        square: (P,) how squarely they are to be shown.
        count: P.
    """

    face: Tensor
    share: Tensor
    square: np.ndarray
    count: int

    @classmethod
    def of(cls, face: np.ndarray, share: np.ndarray, square: np.ndarray) -> _Points:
        count = len(face)
        wide = max(1, int(np.ceil(np.sqrt(count))))
        high = max(1, -(-count // wide))
        faces = np.full(high * wide, -1, np.int32)
        shares = np.zeros((high * wide, 3), np.float32)
        faces[:count], shares[:count] = face, share
        return cls(
            torch.from_numpy(faces).view(1, high, wide),
            torch.from_numpy(shares).view(1, high, wide, 3),
            square,
            count,
        )


@dataclass(frozen=True, eq=False)
class _Read:
    """What a source shows of P places: sums (P, 4) of weighted colours, and of weights."""

    visible: np.ndarray
    through: np.ndarray


class _Seen:
    """A source with its body drawn."""

    def __init__(self, surface: Surface, source: Source, volume: np.ndarray) -> None:
        height, width = source.foreground.shape
        self._posed = Posed.of(surface, source.fit, volume)
        raster = self._posed.drawn(surface, height, width)
        self._face, self._depth = raster.face[0].numpy(), raster.depth
        inner = cv2.erode(
            source.foreground.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1
        )
        trust = np.where(inner > 0, 1, source.foreground * EDGE).astype(np.float32)
        features = np.empty((height, width, 5), np.float32)
        features[..., :3] = source.picture * trust[..., None]
        features[..., 3], features[..., 4] = trust, source.foreground
        features[self._behind(), 4] = 0
        self._features = torch.from_numpy(features)[None].permute(0, 3, 1, 2)

    def _behind(self) -> np.ndarray:
        """(H, W) bool: pixels of the body beside a part of it that is nearer to the viewer."""
        side = 2 * max(1, round(BESIDE * self._posed.fineness)) + 1
        depth = np.where(self._face >= 0, self._depth[0].numpy(), -np.inf)
        nearest = cv2.dilate(depth, np.ones((side, side), np.uint8))
        step = np.float32(STEP * self._posed.fineness)
        return (self._face >= 0) & (nearest > depth + step)

    def read(
        self, points: _Points, corners: Tensor, group: np.ndarray, *, other_side: bool = False
    ) -> _Read:
        """What the source shows of points.

        Args:
            points: P places.
            corners: (F, 3), the vertices between which they lie.
            group: (F,) of the faces that the points are on.
            other_side: Whether the corners are on the other side of the body, and so inside out.
        """
        order = [0, 2, 1] if self._posed.inside_out != other_side else [0, 1, 2]
        share = points.share[..., order].contiguous()
        corners = corners[:, order].contiguous()
        flow, kind = ops.flow(
            points.face,
            share,
            self._posed.places,
            corners,
            self._depth,
            perspective=self._posed.near,
        )
        read = ops.warp(self._features, flow.permute(0, 3, 1, 2))
        values = read.permute(0, 2, 3, 1).reshape(-1, 5)[: points.count].numpy()
        face = points.face.view(-1)[: points.count].numpy()
        seen = kind.view(-1)[: points.count].numpy()
        vertices = corners.numpy()[face]
        mix_of = share.view(-1, 3)[: points.count].numpy()
        square = (mix_of * self._posed.squareness[vertices]).sum(1)
        inside = (values[:, 4] > 0.5) & (square >= STRETCH * points.square)
        # Pixels along a metre of surface in the direction in which it is squeezed.
        density = np.maximum(square, 1e-3) * np.float32(self._posed.fineness)
        weight = density**SHARPNESS / np.maximum(values[:, 3], 1e-6)
        mix = values[:, :4] * weight[:, None]
        visible = mix * ((seen == VISIBLE) & inside)[:, None]
        through = np.zeros_like(mix)
        hidden = np.flatnonzero((seen == HIDDEN) & inside & (group[face] != HEAD))
        if not other_side and len(hidden):
            rows, columns = np.indices(points.face.shape[1:]).reshape(2, -1)[:, hidden]
            step = flow.view(-1, 2)[hidden].numpy()
            high, wide = self._face.shape
            column = np.floor(columns + 0.5 + step[:, 0]).clip(0, wide - 1).astype(int)
            row = np.floor(rows + 0.5 + step[:, 1]).clip(0, high - 1).astype(int)
            front = self._face[row, column]
            same = hidden[(front >= 0) & (group[front] == group[face[hidden]])]
            through[same] = mix[same]
        return _Read(visible, through)


def _volume(surface: Surface, sources: Sequence[Source]) -> np.ndarray:
    """(V,) float32: metres by which clothes and hair lie outside of the body."""
    total, count = np.zeros((2, len(surface.body.vertices)))
    sides = [name.removeprefix("left_").removeprefix("right_") for name in GROUPS]
    farthest = np.array([FARTHEST[name] for name in sides])[surface.vertex_group]
    for source in sources:
        posed = Posed.of(surface, source.fit)
        face = posed.drawn(surface, *source.foreground.shape).face[0].numpy()
        vertices, distances = outline_volume(posed, face, source.foreground, farthest)
        total[vertices] += distances  # a vertex is on an outline once
        count[vertices] += 1
    bare = farthest == 0
    total[bare], count[bare] = 0, 1
    return surface.smoothed(total / np.maximum(count, 1), count > 0)
