"""What `bodyreg.ops.fit` does, in plain torch, as fast as plain torch goes: the peers of its table.

`fit` here takes what the op takes, ragged points included, and returns what Adam ends with. Two
ways to the gradient:

- "autograd": the objective of `bodyreg.registration`, every term, differentiated by torch;
- "by hand": forces and torques on the joints in place of autograd's graph, for the terms of the
  preset `paper`.

and three to the matched points:

- "points": they are skinned alone, one matrix product per person by a dense (P, 96) matrix;
- "mesh": all vertices are skinned, one matrix product for everybody, and the points are picked;
- "blend": the same with a blended matrix per vertex, as code for SMPL usually does it.

Whatever either can save over the package's reference is saved: the camera is the root of the
kinematic chain, so nothing is projected; a level of joints is one product of 3 x 4 matrices; the
parameters are one tensor. `compiled=True` runs each step through torch.compile.

Shapes: B people (times candidates), J = 24 joints, P points and K keypoints, both padded.
"""

from benchmarks.peers.solver import fit

__all__ = ["fit"]
