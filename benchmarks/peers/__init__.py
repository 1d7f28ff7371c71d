"""The peers of `bodyreg.ops.fit`: the same computation in plain torch, optimised for speed.

`fit` here takes the op's arguments, including ragged points, and returns the result of Adam. There
are two ways to compute the gradient:

- "autograd": the objective of `bodyreg.registration` with all terms, differentiated by torch;
- "by hand": forces and torques on the joints instead of autograd's graph, for the terms of the
  preset `paper`.

There are three ways to compute the matched points:

- "points": only the points are skinned, by one product with a dense (P, 96) matrix per person;
- "mesh": all vertices are skinned, by one matrix product for all people, and points are picked;
- "blend": like "mesh", but with a blended matrix per vertex, as usual in code for SMPL.

Both ways save what they can over the package's reference: the camera is the root of the kinematic
chain, so there is no projection; a level of joints is one product of 3 x 4 matrices; the parameters
are one tensor. `compiled=True` runs each step through torch.compile.

Shapes: B people (times candidates), J = 24 joints, P points and K keypoints, both padded.
"""

from benchmarks.peers.solver import fit

__all__ = ["fit"]
