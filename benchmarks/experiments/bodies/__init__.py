"""The experiments of "Learning Body Shape and Pose from Dense Correspondences" on made people."""
