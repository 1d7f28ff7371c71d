"""Networks that paint a person in another pose, and what they learn from.

`Generator` and `PixelWarper` are the paper's. `Refiner` improves the paintings of
`bodyreg.transfer`. A `Painter` is one of them; `PaintingLessons` are what it learns from, by
`train_painter`.
"""

from bodyreg.painting.discriminator import Discriminator
from bodyreg.painting.generator import Generator, GeneratorConfig, PlainGenerator
from bodyreg.painting.learning import PaintingConfig, train_painter
from bodyreg.painting.lessons import Lesson, PaintingLessons
from bodyreg.painting.losses import (
    PaintingLossConfig,
    discriminator_loss,
    painting_losses,
    realism_loss,
    vgg_for,
)
from bodyreg.painting.painter import Painter, PainterArchitecture
from bodyreg.painting.pixel_warper import PixelWarper
from bodyreg.painting.refiner import Refiner, RefinerConfig
from bodyreg.painting.unet import UnetConfig
from bodyreg.painting.vgg import Vgg19

__all__ = [
    "Discriminator",
    "Generator",
    "GeneratorConfig",
    "Lesson",
    "Painter",
    "PainterArchitecture",
    "PaintingConfig",
    "PaintingLessons",
    "PaintingLossConfig",
    "PixelWarper",
    "PlainGenerator",
    "Refiner",
    "RefinerConfig",
    "UnetConfig",
    "Vgg19",
    "discriminator_loss",
    "painting_losses",
    "realism_loss",
    "train_painter",
    "vgg_for",
]
