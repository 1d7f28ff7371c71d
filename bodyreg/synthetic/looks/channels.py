"""What a point of a dressed surface is painted by: the rows of a look's table.

Rest place in metres, the rest normal's z, `height` and `arm` as in `Measures`, how far inside of
top, bottom, opening and neckline (see `garment_fields`), hair and cap (see `hair`), and how creased it is.
"""

X, Y, Z, FRONT, HEIGHT, ARM, UPPER, LOWER, OPENING, NECKLINE, HAIR, CAP, CREASED = range(13)
COUNT = 13
