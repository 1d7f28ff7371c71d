"""People with known truth, written in the formats of real data sets."""
