"""A catalogue: each person in the same clothes in several views, one person per picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from bodyreg.body import Body
from bodyreg.synthetic.cameras import WeakPerspective, sample_view
from bodyreg.synthetic.figure import Figure, extent, make_figure
from bodyreg.synthetic.motions.performance import MadeMotions, Motions
from bodyreg.synthetic.people import sample_person
from bodyreg.synthetic.scenes.scene import Scene, seeded

# Every fifth person is kept for testing; the first of them is the second person.
TEST_EVERY, FIRST_TEST = 5, 1
# Catalogues show upright people: the first of this many tries with at least this share of the
# height of the same person standing straight.
TRIES, UPRIGHT = 10, 0.85
# Actions of people photographed for their clothes, and of people in the street.
POSING = ("Posing", "Waiting", "Walking", "Greeting", "Directions", "Discussion")
PASSING = ("Walking", "WalkTogether", "WalkDog", "Waiting", "Phoning", "Discussion")


@dataclass(frozen=True)
class View:
    """How a view shows a person; `yaw` and `height` are ranges (lowest, highest).

    Attributes:
        yaw: Degrees; 0 = the person faces the camera.
        height: The person's height over the picture's height.
        top: Free space above the person over the picture's height.
    """

    yaw: tuple[float, float]
    height: tuple[float, float] = (0.88, 0.96)
    top: float = 0.02


# DeepFashion's views: three near ones, which mostly cut off the feet, a full one, and any other.
FASHION_VIEWS = {
    "front": View((-20, 20), (0.95, 1.35), 0.03),
    "side": View((60, 110), (0.95, 1.35), 0.03),
    "back": View((155, 205), (0.95, 1.35), 0.03),
    "full": View((-35, 35)),
    "additional": View((-180, 180)),
}
# Market-1501's pictures are a detector's boxes around whole people.
STREET_VIEWS = {f"c{camera}": View((-180, 180), (0.9, 1.0), 0) for camera in range(1, 7)}


class Catalogue:
    """Pictures in order of people, each person in all views.

    Args:
        name: Name of the data set.
        pictures: Number of pictures.
        seed: Seed of everything random.
        width, height: Size of the pictures, pixels.
        views: Name -> view.
        actions: Names of the people's actions.
        plain: Whether backgrounds are plain backdrops.
        motions: Where the people's motions come from.
    """

    def __init__(
        self,
        name: str,
        pictures: int,
        seed: int,
        width: int,
        height: int,
        views: dict[str, View],
        actions: tuple[str, ...],
        plain: bool,
        motions: Motions | None = None,
    ) -> None:
        self.name, self.seed, self.width, self.height = name, seed, width, height
        self.views, self.actions, self.plain = views, actions, plain
        self.motions, self._pictures = motions or MadeMotions(), pictures

    def __len__(self) -> int:
        return self._pictures

    def place(self, number: int) -> tuple[int, str]:
        """Number of the person and name of the view of a picture."""
        person, view = divmod(number, len(self.views))
        return person, list(self.views)[view]

    def pictures_of(self, person: int) -> range:
        """Numbers of the pictures that show a person."""
        first = person * len(self.views)
        return range(first, min(first + len(self.views), len(self)))

    def scene(self, body: Body, number: int) -> Scene:
        """Picture `number`, with people made from the template `body`."""
        person_number, name = self.place(number)
        random = seeded(self, "pictures", number)
        person = sample_person(body, self.seed, person_number)
        yaw = Rotation.from_euler("y", random.uniform(*self.views[name].yaw), degrees=True)
        view = sample_view(random, widest=0)
        for _ in range(TRIES):
            shown = self.motions.perform(person, self.actions, random, 1)
            rotation = view @ yaw.as_matrix() @ shown.turn[0]
            nowhere = WeakPerspective(1, np.zeros(2))
            figure = make_figure(person, shown.action, shown.pose[0], rotation, view[:, 1], nowhere)
            if _is_upright(figure):
                break
        return Scene(
            number=number,
            width=self.width,
            height=self.height,
            figures=[self._placed(figure, self.views[name], random)],
            seed=[self.seed, number],
            ids=[number],
            subject=str(person_number + 1),
            camera=name,
            plain=self.plain,
        )

    def _placed(self, figure: Figure, view: View, random: np.random.Generator) -> Figure:
        low, high = extent(figure.vertices[:, :2])
        size = random.uniform(*view.height) * self.height / (high - low)[1]
        if view.height[1] <= 1:
            # A whole person must also fit the picture's width.
            size = min(size, 0.96 * self.width / (high - low)[0])
        spare = max(0.0, self.height * (1 - view.top) - size * (high - low)[1])
        top = self.height * view.top + random.uniform(0, spare)
        middle = self.width * (0.5 + random.uniform(-0.03, 0.03))
        pelvis = np.array([middle - size * (low + high)[0] / 2, top + size * high[1]])
        return replace(figure, camera=WeakPerspective(float(size), pelvis))


def _is_upright(figure: Figure) -> bool:
    """Whether a person stands or walks, rather than sits or lies."""
    height = np.ptp(figure.vertices @ figure.up)
    return bool(height > UPRIGHT * np.ptp(figure.person.body.vertices[:, 1]))


def is_test(person: int) -> bool:
    """Whether a person is kept for testing."""
    return person % TEST_EVERY == FIRST_TEST
