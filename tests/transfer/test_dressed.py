"""Dressed people of the renderer, painted in their other views.

Reference: the renderer's pictures of the same clothes in the target's pose, in the same light.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bodyreg import Body
from bodyreg.synthetic.render import render_alone
from bodyreg.synthetic.scenes.catalogue import FASHION_VIEWS, POSING, Catalogue
from bodyreg.transfer import Appearance, Provenance, Source
from tests.flow.made import fits_of

PEOPLE, SIDE = 3, 192
PAIRS = [(0, 3), (3, 1), (1, 2)]


@pytest.fixture(scope="module")
def dressed():
    """PEOPLE people in views: before white, alone."""
    people = []
    for person in range(PEOPLE):
        views = len(FASHION_VIEWS)
        catalogue = Catalogue(
            "dressed", views * (person + 1), 60, SIDE, SIDE, FASHION_VIEWS, POSING, True
        )
        shown = []
        for number in list(catalogue.pictures_of(person))[:4]:
            scene = replace(catalogue.scene(Body.default(), number), seed=[60, person])
            white, share = render_alone(scene)
            fits = fits_of(scene.figures[0], number)
            shown.append((scene.figures[0], white, share > 0.9, fits))
        people.append(shown)
    return people


def test_clothes_in_other_poses(dressed):
    errors = []
    for views in dressed:
        for source, target in PAIRS:
            figure, picture, mask, fits = views[source]
            _, truth, person, pose = views[target]
            appearance = Appearance(figure.person.body, [Source(picture, mask, fits)])
            painting = appearance.paint(pose, SIDE, SIDE)
            visible = person & (painting.provenance == Provenance.VISIBLE)
            flat = np.abs(truth - truth[person].mean(0))[visible].mean()
            own = np.abs(painting.picture.astype(float) - truth)[visible].mean()
            overlap = (painting.silhouette & person).sum() / (painting.silhouette | person).sum()
            errors.append((own, flat, overlap))
            assert visible.sum() > 100 and overlap > 0.8
    own, flat, overlap = np.mean(errors, 0)
    # Values of 255. A flat silhouette of the true mean colour is the least that a painting must be
    assert own < 16 and own < 0.65 * flat
    assert overlap > 0.9
