"""A live viewer of fitted bodies in the browser: turn them, see their segments, resize them."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bodyreg.body.joints import mirror_name
from bodyreg.viz.doubt import SURE_COLOUR, UNSURE_COLOUR, doubt_of, uncertain_joints

if TYPE_CHECKING:
    import viser

    from bodyreg.body import Body
    from bodyreg.data import Fits

# Red, green, blue.
PLAIN = (140, 178, 226)
BONE = (40, 48, 62)
# Without perspective a distant camera with a long lens shows a body at its place in the picture.
# The distance, and half the height that is in view, are frame units.
DISTANCE, IN_VIEW = 14.0, 1.33
# The picture is so far behind the body, and as much larger as a camera needs to see it round it.
BACKDROP = -1.2
LOW, HIGH = 0.4, 2.0
CERTAIN = "how certain"
"""The colouring by the deviations of a person's joints."""
SHADES = 12
"""From what is certain to what is in doubt."""


class Shown(NamedTuple):
    """One person's fit, and the person's picture (S, S, 3), red, green, blue."""

    fit: Fits
    picture: np.ndarray


class _Eye(NamedTuple):
    """The camera of a person, frame units: it stands before `x`, `y` at `distance`."""

    x: float
    y: float
    distance: float

    @staticmethod
    def of(fit: Fits) -> _Eye:
        """Where the fit has its camera; in frame units the distance is the focal length."""
        near, x, y = fit.perspective[0].tolist()
        return _Eye(x, y, 1 / near) if near > 0 else _Eye(0.0, 0.0, DISTANCE)

    @property
    def position(self) -> tuple[float, float, float]:
        return self.x, self.y, self.distance

    @property
    def angle(self) -> float:
        """Of the view, upward, radians."""
        return 2 * math.atan(IN_VIEW / math.hypot(*self.position))

    @property
    def picture(self) -> tuple[float, tuple[float, float, float]]:
        """Side and middle of the picture, which this camera sees where the frame is."""
        zoom = (self.distance - BACKDROP) / self.distance
        return 2 * zoom, (self.x * (1 - zoom), self.y * (1 - zoom), BACKDROP)


class _Patch(NamedTuple):
    """A mesh of one colour, of some of the body's faces and their vertices."""

    vertices: np.ndarray
    faces: np.ndarray
    colour: tuple[int, int, int]


class Viewer:
    """The controls in the browser, and the scene that they change.

    Attributes:
        person: The control that chooses the person.
        scales: The sliders of the segments' scales, by joint name.
        mirrored: Whether both sides are resized together.
    """

    def __init__(
        self,
        server: viser.ViserServer,
        body: Body,
        people: Sequence[str],
        load: Callable[[int], Shown],
        first: int = 0,
    ) -> None:
        """Add the controls and show the first person.

        Args:
            server: A server that already serves the page.
            body: The fitted body.
            people: The names of the people. Equal ones are shown as "7", "7 (2)".
            load: Position in `people` -> what to show.
            first: The position of the first person.
        """
        self._server, self._body, self._load = server, body, load
        self._people = {name: place for place, name in enumerate(_distinct(people))}
        self._lock, self._meshes = threading.RLock(), []
        self._quiet, self._eye = False, None
        self._patches = _patches(body) | {CERTAIN: _by_doubt(body, None)}
        server.scene.set_up_direction("+y")
        server.gui.configure_theme(show_logo=False, show_share_button=False)
        self._add_controls(list(self._people)[first])
        self.show()

    @property
    def vertices(self) -> np.ndarray:
        """(V, 3) the vertices that the browser draws, frame units."""
        whole = np.zeros_like(self._body.vertices)
        with self._lock:
            for patch, mesh in zip(self._patches[self.colour.value], self._meshes, strict=True):
                whole[patch.vertices] = mesh.vertices
        return whole

    def show(self) -> None:
        """Show the chosen person's fit."""
        with self._lock:
            self._shown = self._load(self._people[self.person.value])
            fit = self._shown.fit
            self._stand(_Eye.of(fit))
            side, middle = _Eye.of(fit).picture
            self._server.scene.add_image(
                "/picture",
                self._shown.picture,
                side,
                side,
                format="jpeg",
                position=middle,
                wxyz=(0.0, 1.0, 0.0, 0.0),  # images look along their third axis, their second down
                visible=self.picture.value,
            )
            self.about.content = self._about()
            self._patches[CERTAIN] = _by_doubt(self._body, doubt_of(self._body, fit, 0))
            self.reset()
            self._draw()

    def _about(self) -> str:
        fit = self._shown.fit
        lines = ["no loss" if fit.loss is None else f"loss {fit.loss[0]:.4g}"]
        if fit.joint_deviation is not None:
            lines.append(
                f"least certain: {uncertain_joints(self._body, fit.joint_deviation[0])[0]}"
            )
        if reasons := fit.reasons(0):
            lines.append(f"doubtful: {'; '.join(reasons)}")
        return "\n\n".join(lines)

    def _stand(self, eye: _Eye) -> None:
        """Look from a camera, if the last person had another one."""
        if eye == self._eye:
            return
        self._eye = eye
        clients = self._server.get_clients().values()
        for camera in (self._server.initial_camera, *(client.camera for client in clients)):
            camera.position, camera.look_at, camera.fov = eye.position, (0.0, 0.0, 0.0), eye.angle

    def reset(self) -> None:
        """Set the sliders to the fitted scales."""
        self._set(dict(zip(self.scales, self._shown.fit.segment_scale[0].tolist(), strict=True)))

    def _add_controls(self, first: str) -> None:
        gui = self._server.gui
        self.person = gui.add_dropdown("person", list(self._people), initial_value=first)
        steps = gui.add_button_group("", ["previous", "next"])
        self.about = gui.add_markdown("")
        with gui.add_folder("show"):
            self.surface = gui.add_dropdown("surface", ["solid", "wireframe", "glass", "hidden"])
            self.colour = gui.add_dropdown("colour", list(self._patches))
            self.skeleton = gui.add_checkbox("skeleton", False)
            self.picture = gui.add_checkbox("picture", True)
            self.rest = gui.add_checkbox("T-pose", False, hint="Instead of the fitted pose.")
        with gui.add_folder("segment scales"):
            self.mirrored = gui.add_checkbox("both sides together", True)
            reset = gui.add_button("reset")
            self.scales = {
                name: gui.add_slider(name.replace("_", " "), LOW, HIGH, 0.01, 1.0)
                for name in self._body.joint_names
            }
        self.person.on_update(lambda _: self.show())
        steps.on_click(lambda _: self._step(1 if steps.value == "next" else -1))
        for choice in (self.surface, self.colour, self.skeleton):
            choice.on_update(lambda _: self._draw())
        self.rest.on_update(lambda _: self._move())
        self.picture.on_update(lambda _: self._show_picture())
        reset.on_click(lambda _: (self.reset(), self._move()))
        for name, slider in self.scales.items():
            slider.on_update(lambda _, name=name: self._resize(name))

    def _step(self, by: int) -> None:
        names = list(self._people)
        self.person.value = names[(self._people[self.person.value] + by) % len(names)]

    def _show_picture(self) -> None:
        self._server.scene.get_handle_by_name("/picture").visible = self.picture.value

    def _resize(self, name: str) -> None:
        """After a slider has moved: move the slider of the other side, and the body."""
        with self._lock:
            if self._quiet:
                return
            if self.mirrored.value:
                self._set({mirror_name(name): self.scales[name].value})
            self._move()

    def _set(self, scales: dict[str, float]) -> None:
        """Move sliders without moving the body after each of them."""
        self._quiet = True
        try:
            for name, scale in scales.items():
                self.scales[name].value = min(max(scale, LOW), HIGH)
        finally:
            self._quiet = False

    def _posed(self) -> tuple[np.ndarray, np.ndarray]:
        """Vertices (V, 3) and joints (24, 3) as the controls pose the body, frame units."""
        fit = self._shown.fit
        scale = np.array([[slider.value for slider in self.scales.values()]], np.float32)
        # A slider moves in steps, between limits. Where it was not moved, the fitted number counts.
        near = np.abs(scale - fit.segment_scale.clip(LOW, HIGH)) < 0.006
        fit = replace(fit, segment_scale=np.where(near, fit.segment_scale, scale))
        if self.rest.value:
            upright = np.eye(3, dtype=np.float32)[None]
            fit = replace(fit, pose=np.zeros_like(fit.pose), rotation=upright)
        vertices, joints = fit.vertices(self._body)[0], fit.joints(self._body)[0]
        if fit.perspective[0, 0] > 0:  # the camera is at the focal length from the model's origin
            return vertices, joints
        depth = np.float32([0, 0, joints[0, 2]])
        return vertices - depth, joints - depth

    def _move(self) -> None:
        """Move the meshes."""
        with self._lock:
            vertices, joints = self._posed()
            for patch, mesh in zip(self._patches[self.colour.value], self._meshes, strict=True):
                mesh.vertices = vertices[patch.vertices]
            if self.skeleton.value:
                self._draw_skeleton(joints)

    def _draw(self) -> None:
        """Draw all meshes again."""
        with self._lock, self._server.atomic():
            for mesh in self._meshes:
                mesh.remove()
            vertices, joints = self._posed()
            # A mirrored body is inside out; its T-pose need not be.
            side = "double" if self._shown.fit.mirrored[0] else "front"
            # Bones are inside the body.
            glass = self.surface.value == "glass" or self.skeleton.value
            self._meshes = [
                self._server.scene.add_mesh_simple(
                    f"/body/{number}",
                    vertices[patch.vertices],
                    patch.faces,
                    color=patch.colour,
                    wireframe=self.surface.value == "wireframe",
                    opacity=0.5 if glass else None,
                    side=side,
                    visible=self.surface.value != "hidden",
                )
                for number, patch in enumerate(self._patches[self.colour.value])
            ]
            self._draw_skeleton(joints)

    def _draw_skeleton(self, joints: np.ndarray) -> None:
        bones = [[parent, joint] for joint, parent in enumerate(self._body.parents) if parent >= 0]
        more: dict[str, Any] = {"visible": self.skeleton.value}
        scene = self._server.scene
        scene.add_line_segments("/skeleton/bones", joints[bones], BONE, thickness=0.008, **more)
        scene.add_point_cloud(
            "/skeleton/joints", joints, BONE, point_size=0.02, point_shape="circle", **more
        )


def _distinct(names: Sequence[str]) -> Iterator[str]:
    """The names; a number is added to a name that was there before."""
    seen: Counter[str] = Counter()
    for name in names:
        seen[name] += 1
        yield name if seen[name] == 1 else f"{name} ({seen[name]})"


def _patches(body: Body) -> dict[str, list[_Patch]]:
    """Name of a colouring -> the body's surface in patches of one colour."""
    owners = {"plain": np.zeros(len(body.faces), int)}
    owners["segments"] = body.dense_weights[body.faces].sum(1).argmax(1)
    faces = {name: body.faces for name in owners}
    if body.charts is not None:
        owners["charts"], faces["charts"] = body.charts.part, body.charts.vertex[body.charts.faces]
    found = {}
    for name, owner in owners.items():
        pieces = [(number, faces[name][owner == number]) for number in np.unique(owner).tolist()]
        found[name] = [
            _Patch(*_compact(piece), PLAIN if name == "plain" else _colour(number))
            for number, piece in pieces
        ]
    return found


def _by_doubt(body: Body, doubt: np.ndarray | None) -> list[_Patch]:
    """The surface in patches from certain to uncertain; of the first colour if it is not known."""
    doubt = np.zeros(len(body.vertices)) if doubt is None else doubt
    shade = np.rint(doubt[body.faces].mean(1) * (SHADES - 1)).astype(int)
    return [
        _Patch(*_compact(body.faces[shade == number]), _mixed(number / (SHADES - 1)))
        for number in np.unique(shade).tolist()
    ]


def _mixed(share: float) -> tuple[int, int, int]:
    red, green, blue = (
        round(a + share * (b - a)) for a, b in zip(SURE_COLOUR, UNSURE_COLOUR, strict=True)
    )
    return red, green, blue


def _compact(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vertices of these faces, and the faces as indices of these vertices."""
    vertices, renumbered = np.unique(faces, return_inverse=True)
    return vertices, renumbered.reshape(faces.shape).astype(np.uint32)


def _colour(number: int) -> tuple[int, int, int]:
    """A colour; successive numbers get very different hues, at the golden angle."""
    import colorsys

    red, green, blue = colorsys.hls_to_rgb(number * 137.5 % 360 / 360, 0.66, 0.52)
    return round(255 * red), round(255 * green), round(255 * blue)
