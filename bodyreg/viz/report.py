"""A report as one HTML file that needs nothing else: data in, page out.

The page is report.html with report.css, plotly.js and the scripts below inside. Names of people,
files and options reach the page only as JSON, and it shows them as text, never as markup.
"""

from __future__ import annotations

import base64
import html
import json
import math
import re
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from bodyreg.metrics.reprojection import placed_segments
from bodyreg.pictures import encode_picture
from bodyreg.viz.grounds import plain_ground
from bodyreg.viz.overlay import draw_evidence, overlay, side_view

if TYPE_CHECKING:
    from bodyreg.body import Body
    from bodyreg.data import Fits, Truth

SCRIPTS = ("scene.js", "page.js", "charts.js", "people.js", "report.js")
TILE = 256
"""Pixels of a picture's side."""
QUALITY = 84
BINS = 36
STEPS = 32767
"""Vertices are whole numbers of this many steps on either side: a millimetre has hundreds."""


def page(title: str, data: dict[str, Any]) -> str:
    """The HTML file.

    Args:
        title: Of the window.
        data: What the scripts read, as plain values; NaN becomes null.
    """
    from plotly.offline import get_plotlyjs

    folder = resources.files("bodyreg.viz")
    parts = {
        "title": html.escape(title),
        "style": folder.joinpath("report.css").read_text("utf-8"),
        "plotly": get_plotlyjs(),
        "scripts": "\n".join(folder.joinpath(name).read_text("utf-8") for name in SCRIPTS),
        "data": plain_json(data),
    }
    template = folder.joinpath("report.html").read_text("utf-8")
    # In one pass, because the text for one placeholder may contain the name of another one.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def plain_json(data: Any) -> str:
    """JSON that is safe in a script element, whatever its strings are."""
    text = json.dumps(_finite(data), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def packed(array: np.ndarray, dtype: str) -> str:
    """An array's bytes, little-endian, as base64."""
    return base64.b64encode(np.ascontiguousarray(array, np.dtype(dtype)).tobytes()).decode("ascii")


def jpeg(picture: np.ndarray) -> str:
    """A picture (H, W, 3) as a data URI."""
    data = encode_picture(picture, ".jpg", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")


def histogram(values: np.ndarray, logarithmic: bool) -> dict[str, Any]:
    """Count numbers in bins of equal width, or of equal ratio.

    Args:
        values: The numbers; those that are not finite do not count.
        logarithmic: Bins of equal ratio, if all numbers are above 0.

    Returns:
        `edges` (bins + 1), `counts`, `mean`, `median`, and the flag.
    """
    values = values[np.isfinite(values)]
    low, high = values.min(), values.max()
    logarithmic = bool(logarithmic and low > 0 and high > low)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    bins = max(5, min(BINS, round(2 * math.sqrt(len(values)))))
    edges = (np.geomspace if logarithmic else np.linspace)(low, high, bins + 1)
    edges[0], edges[-1] = low, high
    return {
        "edges": edges.tolist(),
        "counts": np.histogram(values, edges)[0].tolist(),
        "mean": float(values.mean()),
        "median": float(np.median(values)),
        "logarithmic": logarithmic,
    }


def shape_words(body: Body, shape: np.ndarray) -> str:
    """The three largest coefficients of a shape (S,): "sex -0.52, child +0.31"."""
    order = np.argsort(-np.abs(shape), kind="stable")[:3].tolist()
    return ", ".join(f"{body.shape_names[i]} {shape[i]:+.2f}" for i in order if shape[i])


def shape_data(body: Body, keypoint_names: tuple[str, ...]) -> dict[str, str]:
    """What the page needs of the shape of a body, which a person may have of their own."""
    keypoints = body.keypoints(keypoint_names)
    return {
        "vertices": packed(body.vertices, "<f4"),
        "joints": packed(body.joints, "<f4"),
        "keypointJoints": packed(keypoints.joint_ids.numpy(), "<u1"),
        "keypointAnchors": packed(keypoints.anchors.numpy(), "<f4"),
    }


def body_data(body: Body, keypoint_names: tuple[str, ...]) -> dict[str, Any]:
    """What the page needs to pose a body; it moves rig points as `ops.lbs` does."""
    return {
        **shape_data(body, keypoint_names),
        "faces": packed(body.faces, "<u4"),
        "weightJoints": packed(body.weight_joint_ids, "<u1"),
        "weights": packed(body.weights, "<f4"),
        "segment": packed(body.segment, "<u1"),
        "parents": list(body.parents),
        "jointNames": list(body.joint_names),
    }


def poses_data(stops: list[Fits], body: Body) -> list[dict[str, Any]]:
    """The segments' transforms of each person at every stop, with the pelvis at depth 0.

    Args:
        stops: The fits of N people at M stops.
        body: The fitted body.

    Returns:
        Of N people: `poses`, packed (M, 24, 3, 4) float32, from metres in the rest pose to frame
        units; and `pelvis`, at each stop the pelvis's depth, which near cameras count from.
    """
    transforms, pelvis = [], []
    for fits in stops:
        groups = [_transforms(some, own) for some, own in fits.by_body(body)]
        transforms.append(np.concatenate([group for group, _ in groups]))
        pelvis.append(np.concatenate([depths for _, depths in groups]))
    return [
        {"poses": packed(person, "<f4"), "pelvis": depths.tolist()}
        for person, depths in zip(np.stack(transforms, 1), np.stack(pelvis, 1), strict=True)
    ]


def _transforms(fits: Fits, body: Body) -> tuple[np.ndarray, np.ndarray]:
    """(N, 24, 3, 4) of people with the shape of the body, and (N,) by how much they are moved."""
    transforms = placed_segments(fits, body).numpy()
    pelvis = transforms[:, 0, 2, :3] @ body.joints[0] + transforms[:, 0, 2, 3]
    transforms[:, :, 2, 3] -= pelvis[:, None]
    return transforms, pelvis


def truth_data(truth: Truth, frames: np.ndarray) -> list[dict[str, Any]]:
    """The true surface of people in frame units with the pelvis at depth 0, and units per metre.

    Args:
        truth: N people.
        frames: (N, 3) the crops in which they are shown.
    """
    truth = truth.in_frames(frames)
    scale, places = truth.scale, truth.placed(truth.vertices)
    places[..., 2] -= truth.joints[:, :1, 2] * scale[:, None]
    step = np.abs(places).max(axis=(1, 2)) / STEPS
    return [
        {"vertices": packed(np.rint(place / s), "<i2"), "step": float(s), "metre": float(metre)}
        for place, s, metre in zip(places, step, scale, strict=True)
    ]


def tiles(
    vertices: np.ndarray,
    seen: np.ndarray,
    before: tuple[np.ndarray, np.ndarray] | None,
    faces: np.ndarray,
    ground: np.ndarray,
    pictured: bool,
    points: np.ndarray,
    keypoints: np.ndarray,
    doubt: np.ndarray | None,
    painting: np.ndarray | None,
) -> dict[str, str]:
    """The pictures of one person, as data URIs by name.

    Args:
        vertices: (V, 3) the fit, frame units.
        seen: (V, 3) where the picture shows them, as `Fits.seen` gives them.
        before: (V, 3) likewise and (F, 3), of the start of the fit, or None.
        faces: (F, 3), counter-clockwise seen from outside.
        ground: (S, S, 3) the ground behind the body.
        pictured: Whether the ground is the person's picture.
        points, keypoints: (P, 2) and (K, 2) the evidence, frame units.
        doubt: (V,) from 0 to 1: the colour of the body from the side; None if it is not known.
        painting: (S, S, 3) the person painted in another pose, or None.
    """
    found = {"picture": ground} if pictured else {}
    found["evidence"] = draw_evidence(ground, points, keypoints)
    if before is not None:
        found["before"] = overlay(ground, *before)
    found["fit"] = overlay(ground, seen, faces)
    found["side"] = overlay(plain_ground(len(ground)), side_view(vertices), faces, 1.0, doubt)
    if painting is not None:
        found["painted"] = painting
    return {name: jpeg(picture) for name, picture in found.items()}


def _finite(data: Any) -> Any:
    """The same data with None for numbers that JSON lacks."""
    if isinstance(data, dict):
        return {str(key): _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    if isinstance(data, np.generic):
        data = data.item()
    return None if isinstance(data, float) and not math.isfinite(data) else data
