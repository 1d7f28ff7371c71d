"""Rows of a look's table: what is known of each vertex and interpolated for each pixel to paint it.

Rest position in metres; z of the rest normal; `height` and `arm` as in `Measures`; signed distances
inside the top, the bottom, the opening and the neckline (`garment_fields`), the hair and the cap
(`hair`); and how much the cloth creases.
"""

X, Y, Z, FRONT, HEIGHT, ARM, UPPER, LOWER, OPENING, NECKLINE, HAIR, CAP, CREASED = range(13)
COUNT = 13
