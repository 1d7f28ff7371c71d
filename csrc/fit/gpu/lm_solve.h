// The damped normal equations of one person, solved by a warp in place, from the leaves to the root
// (cpu/lm_solve.h has the algebra). For .cu files.
#pragma once

#include "lm_normal.h"

namespace bodyreg {

template <typename T>
__device__ __forceinline__ int columns_of(const Normal<T>& normal, int a, int i) {
  return i < normal.tree().depth[a] ? kJointUnknowns : kRootUnknowns;
}

// Where the unknowns of the joint i steps above a begin.
template <typename T>
__device__ __forceinline__ int unknowns_of(const Normal<T>& normal, int a, int i) {
  return i < normal.tree().depth[a] ? kJointUnknowns * normal.tree().above[a][i] : kRootAt;
}

template <typename T>
__device__ __forceinline__ void damp(const Normal<T>& normal, T damping) {
  StepMemory<T>& at = *normal.memory;
  for (int u = kJointUnknowns + threadIdx.x % 32; u < kUnknowns; u += 32) {
    T& diagonal =
        u < kRootAt ? normal.block(u / 4, 0)[5 * (u % 4)] : at.top[u - kRootAt][u - kRootAt];
    at.floor[u] = damp(damping, diagonal);
  }
  __syncwarp();
}

// The root's seven: L Lᵀ in place, by a whole warp. The loops are not unrolled: that would take too
// many registers.
template <typename T>
__device__ __forceinline__ void factor_top(StepMemory<T>& at) {
  const int i = threadIdx.x % 32;
  const bool row = i < kRootUnknowns;
#pragma unroll 1
  for (int j = 0; j < kRootUnknowns; ++j) {
    T sum = row ? at.top[i][j] : T(0);
#pragma unroll 1
    for (int k = 0; k < j && row; ++k) sum -= at.top[i][k] * at.top[j][k];
    const T pivot = __shfl_sync(kFullWarp, sum, j);
    const T inverse = T(1) / sqrt(maximum(pivot, at.floor[kRootAt + j]));
    if (i == j) at.inverse[kRootAt + j] = inverse;
    if (row && i > j) at.top[i][j] = sum * inverse;
    __syncwarp();
  }
}

// x ← L⁻¹ x of the root's seven; by one lane.
template <typename T>
__device__ __forceinline__ void lower_top(const StepMemory<T>& at, T* x) {
#pragma unroll 1
  for (int i = 0; i < kRootUnknowns; ++i) {
    T sum = x[i];
#pragma unroll 1
    for (int k = 0; k < i; ++k) sum -= at.top[i][k] * x[k];
    x[i] = sum * at.inverse[kRootAt + i];
  }
}

// x ← L⁻ᵀ x of the root's seven; by one lane.
template <typename T>
__device__ __forceinline__ void upper_top(const StepMemory<T>& at, T* x) {
#pragma unroll 1
  for (int i = kRootUnknowns - 1; i >= 0; --i) {
    T sum = x[i];
#pragma unroll 1
    for (int k = i + 1; k < kRootUnknowns; ++k) sum -= at.top[k][i] * x[k];
    x[i] = sum * at.inverse[kRootAt + i];
  }
}

// Eliminates joint a: L_aa and W_ab = L_aa⁻¹ H_ab in place, H_bc −= W_abᵀ W_ac above, and the same
// of the vector. By a whole warp.
template <typename T>
__device__ __forceinline__ void eliminate(const Normal<T>& normal, int a) {
  StepMemory<T>& at = *normal.memory;
  const int lane = threadIdx.x % 32;
  const int depth = normal.tree().depth[a];
  T l[16], floor[4], inverse[4], y[4];  // the same in every lane
  for (int i = 0; i < 16; ++i) l[i] = normal.block(a, 0)[i];
  for (int i = 0; i < 4; ++i) floor[i] = at.floor[4 * a + i], y[i] = at.vector[4 * a + i];
  cholesky<4>(l, floor, inverse);
  solve_lower<4>(l, inverse, y);
  __syncwarp();
  if (lane == 0) {
    for (int i = 0; i < 16; ++i) normal.block(a, 0)[i] = l[i];
    for (int i = 0; i < 4; ++i) at.inverse[4 * a + i] = inverse[i], at.vector[4 * a + i] = y[i];
  }
#pragma unroll 1
  for (int n = lane; n < 4 * (depth - 1) + kRootUnknowns; n += 32) {
    const int i = min(n / 4 + 1, depth), c = n - 4 * (i - 1);
    const int stride = columns_of(normal, a, i);
    T* const w = normal.block(a, i) + c;
    T column[4];
    for (int k = 0; k < 4; ++k) column[k] = w[k * stride];
    solve_lower<4>(l, inverse, column);
    T sum = at.vector[unknowns_of(normal, a, i) + c];
    for (int k = 0; k < 4; ++k) {
      w[k * stride] = column[k];
      sum -= column[k] * y[k];
    }
    at.vector[unknowns_of(normal, a, i) + c] = sum;
  }
  __syncwarp();
#pragma unroll 1
  for (int i = 1; i <= depth; ++i) {  // rows of the joint b, i steps above a
    const int rows = columns_of(normal, a, i), blocks = depth - i + 1;
    const T* const left = normal.block(a, i);
#pragma unroll 1
    for (int n = lane; n < rows * blocks; n += 32) {
      const int r = n / blocks, j = i + n % blocks;
      const int columns = columns_of(normal, a, j);
      const T* const right = normal.block(a, j);
      T* const out =
          (i < depth ? normal.block(normal.tree().above[a][i], j - i) : at.top[0]) + r * columns;
#pragma unroll 1
      for (int c = 0; c < columns; ++c) {
        T sum = out[c];
        for (int k = 0; k < 4; ++k) sum -= left[k * rows + r] * right[k * columns + c];
        out[c] = sum;
      }
    }
  }
  __syncwarp();
}

// x ← L⁻¹ x for an x that is zero except at the joints `some` and at those above; by one lane.
template <typename T>
__device__ __forceinline__ void lower_alone(const Normal<T>& normal, unsigned some, T* x) {
  const StepMemory<T>& at = *normal.memory;
#pragma unroll 1
  for (int a = kFitJoints - 1; a > 0; --a) {
    if ((some >> a & 1) == 0) continue;
    T* const y = x + 4 * a;
    solve_lower<4>(normal.block(a, 0), at.inverse + 4 * a, y);
#pragma unroll 1
    for (int i = 1; i <= normal.tree().depth[a]; ++i) {
      const int columns = columns_of(normal, a, i);
      const T* const w = normal.block(a, i);
      T* const above = x + unknowns_of(normal, a, i);
#pragma unroll 1
      for (int c = 0; c < columns; ++c) {
        T sum = above[c];
        for (int k = 0; k < 4; ++k) sum -= w[k * columns + c] * y[k];
        above[c] = sum;
      }
    }
  }
  lower_top(at, x + kRootAt);
}

// Of two vectors by unknowns; by one lane.
template <typename T>
__device__ __forceinline__ T inner(const T* a, const T* b) {
  T sum = T(0);
#pragma unroll 3
  for (int u = kJointUnknowns; u < kUnknowns; ++u) sum += a[u] * b[u];
  return sum;
}

// Z, and the factor of I / 2w + Zᵀ Z, for the scales of left and right; by a whole warp.
template <typename T>
__device__ __forceinline__ void find_columns(const Normal<T>& normal, T symmetry) {
  StepMemory<T>& at = *normal.memory;
  const Tree& tree = at.tree;
  const int lane = threadIdx.x % 32;
  const int sides = tree.sides;
  if (lane < sides) {
    T* const z = at.sides[lane];
#pragma unroll 1
    for (int u = 0; u < kUnknowns; ++u) z[u] = T(0);
    const int left = tree.left[lane], right = tree.right[lane];
    z[left == 0 ? kRootAt + 3 : 4 * left + 3] = T(1);
    z[4 * right + 3] = T(-1);
    lower_alone(normal, tree.way_up[left] | tree.way_up[right], z);
  }
  __syncwarp();
#pragma unroll 1
  for (int n = lane; n < sides * sides; n += 32) {
    const int r = n / sides, c = n % sides;
    const T sum = inner(at.sides[r], at.sides[c]);
    at.coupling[r][c] = r == c ? sum + T(1) / (T(2) * symmetry) : sum;
  }
  __syncwarp();
  if (lane == 0) factor_dense(sides, at.coupling);
  __syncwarp();
}

// vector ← (I − Z (I / 2w + Zᵀ Z)⁻¹ Zᵀ) vector; by a whole warp.
template <typename T>
__device__ __forceinline__ void couple_sides(const Normal<T>& normal, T symmetry) {
  find_columns(normal, symmetry);
  StepMemory<T>& at = *normal.memory;
  const int lane = threadIdx.x % 32;
  const int sides = at.tree.sides;
  if (lane < sides) at.share[lane] = inner(at.vector, at.sides[lane]);
  __syncwarp();
  if (lane == 0) {
    lower_dense(sides, at.coupling, at.share);
    upper_dense(sides, at.coupling, at.share);
  }
  __syncwarp();
  for (int u = kJointUnknowns + lane; u < kUnknowns; u += 32) {
    T sum = at.vector[u];
    for (int n = 0; n < sides; ++n) sum -= at.share[n] * at.sides[n][u];
    at.vector[u] = sum;
  }
  __syncwarp();
}

// vector ← L⁻ᵀ vector; by a whole warp.
template <typename T>
__device__ __forceinline__ void substitute_back(const Normal<T>& normal) {
  StepMemory<T>& at = *normal.memory;
  const int lane = threadIdx.x % 32;
  if (lane == 0) upper_top(at, at.vector + kRootAt);
  __syncwarp();
#pragma unroll 1
  for (int a = 1; a < kFitJoints; ++a) {
    const int depth = normal.tree().depth[a];
    T y[4] = {};
#pragma unroll 1
    for (int n = lane; n < 4 * (depth - 1) + kRootUnknowns; n += 32) {
      const int i = min(n / 4 + 1, depth), c = n - 4 * (i - 1);
      const T* const w = normal.block(a, i) + c;
      const T x = at.vector[unknowns_of(normal, a, i) + c];
      for (int k = 0; k < 4; ++k) y[k] -= w[k * columns_of(normal, a, i)] * x;
    }
    for (int k = 0; k < 4; ++k) y[k] = at.vector[4 * a + k] + lane_sum(y[k]);
    solve_upper<4>(normal.block(a, 0), at.inverse + 4 * a, y);
    __syncwarp();
    if (lane < 4)
      at.vector[4 * a + lane] = lane == 0 ? y[0] : lane == 1 ? y[1] : lane == 2 ? y[2] : y[3];
    __syncwarp();
  }
}

// H + λ D = L Lᵀ in place, and vector ← L⁻¹ vector; by a whole warp.
template <typename T>
__device__ __forceinline__ void factor(const Normal<T>& normal, T damping) {
  damp(normal, damping);
#pragma unroll 1
  for (int a = kFitJoints - 1; a > 0; --a) eliminate(normal, a);
  factor_top(*normal.memory);
  if (threadIdx.x % 32 == 0) lower_top(*normal.memory, normal.memory->vector + kRootAt);
  __syncwarp();
}

// vector ← (H + λ D + 2 w U Uᵀ)⁻¹ vector; overwrites the matrix. By a whole warp. Not inlined, to
// save registers: all its data is in memory.
template <typename T>
__device__ __noinline__ void solve(Normal<T> normal, T damping, T symmetry) {
  factor(normal, damping);
  if (symmetry != T(0)) couple_sides(normal, symmetry);
  substitute_back(normal);
}

}  // namespace bodyreg
