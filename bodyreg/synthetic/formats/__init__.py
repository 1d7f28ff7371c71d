"""Writers of made people in the formats of real data sets: one module per format."""

from __future__ import annotations

from bodyreg.synthetic.formats.deepfashion import DeepFashion, Market1501
from bodyreg.synthetic.formats.densepose_coco import DensePoseCoco
from bodyreg.synthetic.formats.densepose_results import DensePoseResults
from bodyreg.synthetic.formats.format import Format, Recipe, Shot
from bodyreg.synthetic.formats.human36m import Human36M
from bodyreg.synthetic.formats.iuv import Iuv
from bodyreg.synthetic.formats.keypoints import Keypoints
from bodyreg.synthetic.formats.mpii import Mpii
from bodyreg.synthetic.formats.point_list import PointList

FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        DensePoseCoco(),
        Mpii(),
        Human36M(),
        DeepFashion(),
        Market1501(),
        Iuv(),
        DensePoseResults(),
        PointList(),
        Keypoints(),
    )
}

__all__ = ["FORMATS", "Format", "Recipe", "Shot"]
