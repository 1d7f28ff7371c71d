// Sums per joint of outer products g hᵀ over a person's rig points, in a fixed order and without
// atomics, though the points' joints come in any order. For .cu files.
//
// A quad of four lanes owns a table of (J, R, 4) sums in shared memory and the points q, q + quads,
// …; lane c of a quad owns column c of it. So a cell is touched by one lane only, no barrier is
// needed inside the loop, and a point's place in the order depends on its index alone: appended
// points change nothing. At the end the tables are summed in the order of the quads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "launch.h"
#include "simt.h"

namespace bodyreg {

constexpr int kQuadsPerWarp = 8;

// Elements from one table to the next: 4 more than a multiple of 32, so that quads that add to the
// same joint do so in different banks.
BODYREG_HD int joint_table_pitch(int joints, int rows) {
  return (joints * rows * 4 + 31) / 32 * 32 + 4;
}

// The number of warps of a block: as many as have room for their tables beside `others` elements,
// and at most two, since each quad's table must be cleared and summed for every person.
template <typename T>
int joint_table_warps(int joints, int rows, int others) {
  const std::size_t per_warp = sizeof(T) * kQuadsPerWarp * joint_table_pitch(joints, rows);
  const std::size_t room = kSharedBudget - sizeof(T) * others;
  return std::max(1, std::min(2, static_cast<int>(room / per_warp)));
}

// tables[quads][pitch], all threads of the block together; ends with a barrier.
template <typename T>
__device__ __forceinline__ void clear_joint_tables(T* tables, int pitch) {
  const int count = static_cast<int>(blockDim.x) / 4 * pitch;
  for (int i = threadIdx.x; i < count; i += blockDim.x) tables[i] = T(0);
  __syncthreads();
}

// Adds g hᵀ to a joint of this quad's table; called by the quad's lane that holds h_c.
template <int R, typename T>
__device__ __forceinline__ void add_to_joint(T* table, int joint, const T (&g)[R], T h_c) {
  T* const cell = table + joint * R * 4 + threadIdx.x % 4;
  for (int r = 0; r < R; ++r) cell[4 * r] += g[r] * h_c;
}

// The sum over the quads of one cell.
template <typename T>
__device__ __forceinline__ T sum_joint_tables(const T* tables, int pitch, int cell) {
  T sum = 0;
  for (int quad = 0; quad < static_cast<int>(blockDim.x) / 4; ++quad) {
    sum += tables[quad * pitch + cell];
  }
  return sum;
}

}  // namespace bodyreg
