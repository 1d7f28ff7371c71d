"""The experiments of "Dense Intrinsic Appearance Flow for Human Pose Transfer" on made people."""
