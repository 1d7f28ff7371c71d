// The places of one person's joints and how well a fit determines them, by a warp (cpu/variance.h).
// For .cu files.
#pragma once

#include "lm_solve.h"

namespace bodyreg {

// vector ← the slope of one axis of the place of joint j ≥ 1 less the pelvis, by all unknowns; by a
// whole warp, a lane per joint above j.
template <typename T>
__device__ __forceinline__ void joint_slope(const Normal<T>& normal, int j, int axis) {
  StepMemory<T>& at = *normal.memory;
  const Tree& tree = normal.tree();
  const int lane = threadIdx.x % 32;
  for (int u = lane; u < kUnknowns; u += 32) at.vector[u] = T(0);
  __syncwarp();
  if (lane >= 1 && lane <= tree.depth[j]) {
    const int a = tree.above[j][lane], below = tree.above[j][lane - 1];
    const Vec3<T> arm = load_vec3(at.position[j]) - load_vec3(at.position[a]);
    Vec3<T> turn = turn_row(arm, axis);
    if (a > 0) turn = load_mat3(at.to_angles[a]) * turn;
    T* const out = at.vector + unknowns_of(normal, j, lane);
    store(out, turn);
    out[3] = at.bone[below][axis];
    if (a == 0) out[6] = axis == 0 ? arm.x : axis == 1 ? arm.y : arm.z;
  }
  __syncwarp();
}

// vector ← L⁻¹ vector, which is zero except at the joints `some` and at those above; by a whole
// warp.
template <typename T>
__device__ __forceinline__ void lower_vector(const Normal<T>& normal, unsigned some) {
  StepMemory<T>& at = *normal.memory;
  const int lane = threadIdx.x % 32;
#pragma unroll 1
  for (int a = kFitJoints - 1; a > 0; --a) {
    if ((some >> a & 1) == 0) continue;
    T y[4];  // the same in every lane
    for (int i = 0; i < 4; ++i) y[i] = at.vector[4 * a + i];
    solve_lower<4>(normal.block(a, 0), at.inverse + 4 * a, y);
    __syncwarp();
    if (lane < 4)
      at.vector[4 * a + lane] = lane == 0 ? y[0] : lane == 1 ? y[1] : lane == 2 ? y[2] : y[3];
    const int depth = normal.tree().depth[a];
#pragma unroll 1
    for (int n = lane; n < 4 * (depth - 1) + kRootUnknowns; n += 32) {
      const int i = min(n / 4 + 1, depth), c = n - 4 * (i - 1);
      const T* const w = normal.block(a, i) + c;
      T& above = at.vector[unknowns_of(normal, a, i) + c];
      T sum = above;
      for (int k = 0; k < 4; ++k) sum -= w[k * columns_of(normal, a, i)] * y[k];
      above = sum;
    }
    __syncwarp();
  }
  if (lane == 0) lower_top(at, at.vector + kRootAt);
  __syncwarp();
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
  if (lane < 3) out[lane] = T(0);
#pragma unroll 1
  for (int n = 3; n < 3 * kFitJoints; ++n) {
    const int j = n / 3;
    joint_slope(normal, j, n % 3);
    lower_vector(normal, tree.way_up[tree.above[j][1]]);
    T own = T(0);
    for (int u = kJointUnknowns + lane; u < kUnknowns; u += 32) own += at.vector[u] * at.vector[u];
    T sum = lane_sum(own);
    if (symmetry != T(0)) {
      if (lane < tree.sides) at.share[lane] = inner(at.vector, at.sides[lane]);
      __syncwarp();
      if (lane == 0) {
        lower_dense(tree.sides, at.coupling, at.share);
        for (int c = 0; c < tree.sides; ++c) sum -= at.share[c] * at.share[c];
      }
    }
    if (lane == 0) out[n] = sum;
    __syncwarp();
  }
}

}  // namespace bodyreg
