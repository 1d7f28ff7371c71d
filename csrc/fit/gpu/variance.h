// The places of one person's joints and how well a fit determines them, by a warp (cpu/variance.h).
// For .cu files.
#pragma once

#include "lm_solve.h"

namespace bodyreg {

// The slope of one axis of the place of joint j ≥ 1 less the pelvis, by all unknowns; by one lane.
template <typename T>
__device__ __forceinline__ void joint_slope(const Normal<T>& normal, int j, int axis, T* slope) {
  const StepMemory<T>& at = *normal.memory;
  const Tree& tree = normal.tree();
#pragma unroll 1
  for (int u = kJointUnknowns; u < kUnknowns; ++u) slope[u] = T(0);
#pragma unroll 1
  for (int i = 1; i <= tree.depth[j]; ++i) {
    const int a = tree.above[j][i], below = tree.above[j][i - 1];
    const Vec3<T> arm = load_vec3(at.position[j]) - load_vec3(at.position[a]);
    T by_turn[3][3];
    turn_slopes(arm, by_turn);
    Vec3<T> turn = {};
    for (int row = 0; row < 3; ++row) {
      if (row == axis) turn = {by_turn[row][0], by_turn[row][1], by_turn[row][2]};
    }
    if (a > 0) turn = load_mat3(at.to_angles[a]) * turn;
    T* const out = slope + unknowns_of(normal, j, i);
    store(out, turn);
    out[3] = at.bone[below][axis];
    if (a == 0) out[6] = axis == 0 ? arm.x : axis == 1 ? arm.y : arm.z;
  }
}

// The variances of all joints' places to out (24, 3), after `assemble`; overwrites the matrix. By a
// whole warp. Not inlined, to save registers: all its data is in memory.
template <typename T>
__device__ __noinline__ void find_variances(Normal<T> normal, T symmetry, T* out) {
  StepMemory<T>& at = *normal.memory;
  const Tree& tree = at.tree;
  const int lane = threadIdx.x % 32;
  for (int u = lane; u < kUnknowns; u += 32) at.vector[u] = T(0);
  __syncwarp();
  factor(normal, T(kVarianceDamping));
  if (symmetry != T(0)) find_columns(normal, symmetry);
#pragma unroll 1
  for (int n = lane; n < 3 * kFitJoints; n += 32) {
    const int j = n / 3;
    if (j == 0) {
      out[n] = T(0);
      continue;
    }
    T slope[kUnknowns];
    joint_slope(normal, j, n % 3, slope);
    lower_alone(normal, tree.way_up[tree.above[j][1]], slope);
    T sum = inner(slope, slope);
    if (symmetry != T(0)) {
      T share[kMostSides];
#pragma unroll 1
      for (int c = 0; c < tree.sides; ++c) share[c] = inner(slope, at.sides[c]);
      lower_dense(tree.sides, at.coupling, share);
#pragma unroll 1
      for (int c = 0; c < tree.sides; ++c) sum -= share[c] * share[c];
    }
    out[n] = sum;
  }
}

}  // namespace bodyreg
