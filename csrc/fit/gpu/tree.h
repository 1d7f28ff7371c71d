// The skeleton in the lanes of a warp. Lanes 0 … 23 own a joint each, in depth-first order: a
// subtree is a run of lanes. Lanes 24 … 31 own none; lane 31 stands for the frame above the root,
// which does not move. For .cu files.
//
// Down the tree a joint's transform is a product over its ancestors, taken by pointer jumping:
// after step i a lane holds the product over its 2^(i+1) nearest, itself included, so that SMPL's
// nine levels take four steps. Up the tree, sums over runs of 1, 2, 4, 8, 16 lanes are combined
// into the sum over any run of lanes. Both orders depend on the tree alone.
#pragma once

#include "../../common/reduce.h"
#include "../fit.h"
#include "../joint_math.h"

namespace bodyreg {

constexpr int kNoLane = 31;  // above the root

// What the host computes once for all people.
struct LaneTree {
  int steps;             // of pointer jumping
  int8_t joint[32];      // of a lane; 0 where there is none
  int8_t size[32];       // joints of its subtree; 0 where there is none
  int8_t mirror[32];     // the lane of the joint on the other side
  int32_t ancestor[32];  // the lanes 1, 2, 4, 8 and 16 above, five bits each
};

inline LaneTree lane_tree(const int8_t (&parent)[kFitJoints], const int8_t (&mirror)[kFitJoints]) {
  LaneTree tree{};
  int size[kFitJoints], lane[kFitJoints], next[kFitJoints];  // next: the lane of the next child
  for (int& s : size) s = 1;
  for (int k = kFitJoints - 1; k > 0; --k) size[parent[k]] += size[k];
  for (int k = 0; k < kFitJoints; ++k) {
    lane[k] = k == 0 ? 0 : next[parent[k]];
    next[k] = lane[k] + 1;
    if (k > 0) next[parent[k]] += size[k];
  }
  int above[32];
  for (int l = 0; l < 32; ++l) above[l] = kNoLane, tree.mirror[l] = static_cast<int8_t>(l);
  for (int k = 0; k < kFitJoints; ++k) {
    tree.joint[lane[k]] = static_cast<int8_t>(k);
    tree.size[lane[k]] = static_cast<int8_t>(size[k]);
    tree.mirror[lane[k]] = static_cast<int8_t>(lane[mirror[k]]);
    if (k > 0) above[lane[k]] = lane[parent[k]];
  }
  for (int step = 0; step < 5; ++step) {
    int further[32];
    for (int l = 0; l < 32; ++l) {
      tree.ancestor[l] |= above[l] << (5 * step);
      if (above[l] != kNoLane) tree.steps = step + 1;
      further[l] = above[above[l]];
    }
    for (int l = 0; l < 32; ++l) above[l] = further[l];
  }
  return tree;
}

// A lane's place in the tree.
struct Place {
  int lane;
  bool owns;  // a joint
  int joint;
  int size;
  int mirror;
  int ancestor;
  int steps;

  __device__ int parent() const { return ancestor & 31; }
};

__device__ __forceinline__ Place place_in(const LaneTree& tree) {
  const int lane = threadIdx.x % 32;
  return {lane,
          lane < kFitJoints,
          tree.joint[lane],
          tree.size[lane],
          tree.mirror[lane],
          tree.ancestor[lane],
          tree.steps};
}

template <typename T>
__device__ __forceinline__ Vec3<T> shuffle(const Vec3<T>& v, int lane) {
  return {__shfl_sync(kFullWarp, v.x, lane), __shfl_sync(kFullWarp, v.y, lane),
          __shfl_sync(kFullWarp, v.z, lane)};
}

template <typename T>
__device__ __forceinline__ Mat3<T> shuffle(const Mat3<T>& a, int lane) {
  Mat3<T> b;
  for (int i = 0; i < 9; ++i) b.m[i] = __shfl_sync(kFullWarp, a.m[i], lane);
  return b;
}

// From a joint relative to its parent to the joint relative to the picture. Lanes without a joint
// bring the identity and keep it.
template <typename T>
__device__ __forceinline__ PosedJoint<T> down_the_tree(const Place& place, PosedJoint<T> joint) {
  for (int step = 0; step < place.steps; ++step) {
    const int above = place.ancestor >> (5 * step) & 31;
    const Mat3<T> turn = shuffle(joint.turn, above);
    const Vec3<T> position = shuffle(joint.position, above);
    joint = {turn * joint.turn, position + turn * joint.position};
  }
  return joint;
}

// The sum over the joints below a lane's joint, without that joint; 0 if there are none. Lanes
// without a joint bring zeros.
template <typename T>
__device__ __forceinline__ Wrench<T> below_in_tree(const Place& place, const Wrench<T>& own) {
  T run[6] = {own.force.x,  own.force.y,  own.force.z,
              own.torque.x, own.torque.y, own.torque.z};  // over `width` lanes from this one on
  T sum[6] = {};
  const int below = place.owns ? place.size - 1 : 0;
  int done = place.lane + 1;
#pragma unroll
  for (int width = 1; width <= 16; width *= 2) {
    const bool more = (below & width) != 0;
    for (int i = 0; i < 6; ++i) {
      if (width > 1) run[i] += __shfl_down_sync(kFullWarp, run[i], width / 2);
      const T part = __shfl_sync(kFullWarp, run[i], done);
      sum[i] += more ? part : T(0);
    }
    done += more ? width : 0;
  }
  return {{sum[0], sum[1], sum[2]}, {sum[3], sum[4], sum[5]}};
}

}  // namespace bodyreg
