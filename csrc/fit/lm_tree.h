// The blocks of the normal matrix: each joint with itself and with every joint above it. And the
// pairs of a left and a right joint.
#pragma once

#include "../common/simt.h"
#include "fit.h"

namespace bodyreg {

constexpr int kMostSides = kFitJoints / 2;
constexpr int kMostBlocks = kFitJoints * (kFitJoints + 1) / 2;

// Made once, by the host; sent to a kernel by value.
struct Tree {
  Tree(const int8_t (&parent)[kFitJoints], const int8_t (&mirror)[kFitJoints]) {
    for (int a = 0; a < kFitJoints; ++a) {
      children[a] = 0;
      if (a > 0) children[parent[a]] |= 1u << a;
      depth[a] = 0;
      way_up[a] = 0;
      first[a] = static_cast<int16_t>(blocks);
      for (int b = a; b >= 0; b = parent[b]) {
        above[a][depth[a]++] = static_cast<int8_t>(b);
        way_up[a] |= 1u << b;
        joint[blocks++] = static_cast<int8_t>(a);
      }
      if (--depth[a] > deepest) deepest = depth[a];
      if (a >= mirror[a]) continue;
      left[sides] = static_cast<int8_t>(a);
      right[sides++] = mirror[a];
    }
  }

  int deepest = 0;
  int blocks = 0;
  int sides = 0;
  int8_t depth[kFitJoints];              // steps from a up to the root
  int8_t above[kFitJoints][kFitJoints];  // the joint i steps above a; a itself at i = 0
  uint32_t way_up[kFitJoints];           // the same joints as bits
  uint32_t children[kFitJoints];         // as bits
  int16_t first[kFitJoints];             // a's blocks are first[a] … first[a] + depth[a]
  int8_t joint[kMostBlocks];             // the joint that has this block
  int8_t left[kMostSides], right[kMostSides];
};

// Steps from a up to the first joint that is above l too, or l itself.
BODYREG_HD int steps_to_meet(const Tree& tree, int a, int l) {
  int i = 0;
  while (!(tree.way_up[l] >> tree.above[a][i] & 1)) ++i;
  return i;
}

// The child of c on the way down to l.
BODYREG_HD int branch(const Tree& tree, int c, int l) {
  return tree.above[l][tree.depth[l] - tree.depth[c] - 1];
}

}  // namespace bodyreg
