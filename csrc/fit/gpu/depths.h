// Depths of keypoints relative to the pelvis. Keypoints are few, and the same rig points for all
// people, so a warp keeps their influences in shared memory and computes the depths directly, a
// lane per keypoint. For .cu files.
#pragma once

#include "moments.h"

namespace bodyreg {

// In shared memory, one array after the other. Row 0 is the pelvis, row j + 1 keypoint j; an entry
// is an influence of a row.
template <typename T>
struct DepthTable {
  T* base;
  int rows;        // K + 1
  int influences;  // m

  __device__ int entries() const { return rows * influences; }
  __device__ T* anchor(int e) const { return base + 4 * e; }    // h'
  __device__ T* depth() const { return base + 4 * entries(); }  // [rows] of this person
  __device__ T* weight() const { return depth() + rows; }       // [rows] of this person
  __device__ T* pull() const { return depth() + 2 * rows; }     // [rows] ∂L/∂z
  // [entries] kFitJoints where the influence is not used
  __device__ uint16_t* joint() const { return reinterpret_cast<uint16_t*>(depth() + 3 * rows); }
  __device__ uint16_t* by_joint() const { return joint() + entries(); }  // entries, by their joints
  __device__ uint16_t* first() const {
    return by_joint() + entries();
  }  // [25] where a joint's begin

  __host__ __device__ static std::size_t bytes(int rows, int influences) {
    const std::size_t entries = static_cast<std::size_t>(rows) * influences;
    return sizeof(T) * (4 * entries + 3 * rows) + 2 * (2 * entries + kFitJoints + 1);
  }
};

// Fills in what is the same for all people; by a whole warp. Reads memory.joints. Returns whether
// all joint ids are in range.
template <typename T>
__device__ __forceinline__ bool fill_depth_table(const FitProblem<T>& p,
                                                 const SharedMemory<T>& memory,
                                                 const DepthTable<T>& table) {
  const int lane = threadIdx.x % 32;
  const int entries = table.entries();
  bool fit = true;
  for (int e = lane; e < entries; e += 32) {
    const int joint = p.keypoint_ids[e];
    const bool known = static_cast<unsigned>(joint) < static_cast<unsigned>(kFitJoints);
    T anchor[4];
    load_vector(anchor, p.keypoint_anchors + 4 * int64_t{e});
    const bool used =
        anchor[0] != T(0) || anchor[1] != T(0) || anchor[2] != T(0) || anchor[3] != T(0);
    for (int c = 0; c < 3 && known; ++c) anchor[c] -= anchor[3] * memory.joints[3 * joint + c];
    store_vector(table.anchor(e), anchor);
    table.joint()[e] = static_cast<uint16_t>(known && used ? joint : kFitJoints);
    fit = fit && known;
  }
  __syncwarp();
  int count = 0;
  for (int e = 0; e < entries; ++e) count += table.joint()[e] == lane ? 1 : 0;
  const int end = lane_running_sum(count);
  if (lane <= kFitJoints) table.first()[lane] = static_cast<uint16_t>(end - count);
  int next = end - count;
  for (int e = 0; e < entries && lane < kFitJoints; ++e) {
    if (table.joint()[e] == lane) table.by_joint()[next++] = static_cast<uint16_t>(e);
  }
  return __ballot_sync(kFullWarp, fit) == kFullWarp;
}

// Copies the depths and weights of person b; returns whether there is any depth. Readable after the
// next __syncwarp.
template <typename T>
__device__ __forceinline__ bool load_depths(const FitProblem<T>& p, int64_t b,
                                            const DepthTable<T>& table) {
  bool some = false;
  for (int row = 1 + threadIdx.x % 32; row < table.rows; row += 32) {
    table.depth()[row] = p.keypoint_depth[b * p.keypoints + row - 1];
    table.weight()[row] = p.depth_weight[b * p.keypoints + row - 1];
    some = some || table.weight()[row] != T(0);
  }
  return __ballot_sync(kFullWarp, some) != 0;
}

// Calls each(row, weight, z − z_pelvis − ẑ) for the keypoints with a depth, in their lanes; by a
// whole warp.
template <typename T, typename Each>
__device__ __forceinline__ void for_depths(const SharedMemory<T>& memory,
                                           const DepthTable<T>& table, const Each& each) {
  T pelvis = T(0);
  for (int first = 0; first < table.rows; first += 32) {
    const int row = first + static_cast<int>(threadIdx.x) % 32;
    T z = T(0);
    for (int i = 0; i < table.influences && row < table.rows; ++i) {
      const int e = row * table.influences + i;
      if (table.joint()[e] == kFitJoints) continue;
      T m[4], h[4];
      load_vector(m, memory.rows[2][table.joint()[e]]);
      load_vector(h, table.anchor(e));
      z += m[0] * h[0] + m[1] * h[1] + m[2] * h[2] + m[3] * h[3];
    }
    if (first == 0) pelvis = __shfl_sync(kFullWarp, z, 0);
    if (row == 0 || row >= table.rows || table.weight()[row] == T(0)) continue;
    each(row, table.weight()[row], z - pelvis - table.depth()[row]);
  }
}

// The depth row of Y of the lane's joint; by a whole warp.
template <typename T>
__device__ __forceinline__ void depth_gradient(const Place& place, const SharedMemory<T>& memory,
                                               const DepthTable<T>& table, T (&y)[4]) {
  for (int row = place.lane; row < table.rows; row += 32) table.pull()[row] = T(0);
  T total = T(0);
  for_depths(memory, table, [&](int row, T own_weight, T error) {
    const T pull = depth_slope(own_weight, error, memory.setting);
    table.pull()[row] = pull;
    total += pull;
  });
  total = lane_sum(total);
  if (place.lane == 0) table.pull()[0] = -total;
  __syncwarp();
  for (int c = 0; c < 4; ++c) y[c] = T(0);
  const int last = place.owns ? table.first()[place.joint + 1] : 0;
  for (int n = place.owns ? table.first()[place.joint] : 0; n < last; ++n) {
    const int e = table.by_joint()[n];
    T h[4];
    load_vector(h, table.anchor(e));
    for (int c = 0; c < 4; ++c) y[c] += table.pull()[e / table.influences] * h[c];
  }
}

}  // namespace bodyreg
