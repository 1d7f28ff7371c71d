"""Doubt in words and colours. Reference: deviations chosen by hand."""

from __future__ import annotations

import numpy as np

from bodyreg.body import JOINT_NAMES, Body
from bodyreg.viz.doubt import SURE, UNSURE, segment_doubt, uncertain_joints, vertex_doubt
from bodyreg.viz.shading import render_body

BODY = Body.default()


def test_a_limb_in_doubt_is_named_and_coloured():
    deviation = np.full((24, 2), 10.0)
    wrist, hand, elbow = (JOINT_NAMES.index(f"left_{n}") for n in ("wrist", "hand", "elbow"))
    deviation[wrist] = 30, 2 * UNSURE
    deviation[hand] = 20, 2 * UNSURE
    words = uncertain_joints(BODY, deviation)[0]
    assert words == "left wrist, ± 30 mm across the view, ± 400 mm along it"
    doubt = segment_doubt(BODY, deviation)
    assert doubt[wrist] == doubt[hand] == doubt[elbow] == 1  # an elbow's segment ends at the wrist
    assert set(np.flatnonzero(doubt)) == {wrist, hand, elbow}
    assert (segment_doubt(BODY, np.full((24, 2), SURE / 2)) == 0).all()

    shares = vertex_doubt(BODY, deviation)
    own = BODY.dense_weights[:, [wrist, hand]].sum(1) > 0.999
    assert own.any() and np.allclose(shares[own], 1, atol=1e-3)
    assert (shares[BODY.vertices[:, 1] < 0] == 0).all()


def test_doubt_changes_colours_alone():
    vertices = BODY.vertices / 1.2
    plain, coverage = render_body(vertices, BODY.faces, 64)
    none, _ = render_body(vertices, BODY.faces, 64, np.zeros(len(vertices), np.float32))
    full, same = render_body(vertices, BODY.faces, 64, np.ones(len(vertices), np.float32))
    np.testing.assert_array_equal(none, plain)
    np.testing.assert_array_equal(same, coverage)
    blue, _, red = full[coverage[..., 0] == 1].mean(0)
    assert red > 1.5 * blue
