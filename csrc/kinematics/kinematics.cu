// Forward kinematics: one warp per person, one lane per joint, level by level down the tree.
#include "../common/access.h"
#include "../common/launch.h"
#include "kinematics.h"
#include "kinematics_math.h"

namespace bodyreg {
namespace {

constexpr int kMostWarps = 4;  // people per block
constexpr int kPosePitch = 13;
constexpr int kHandedPitch = 17;

// What the kernels need of the tree besides the parents. A joint's children are a linked list, the
// last one first.
struct Levels {
  int count;
  int8_t level[kMaxJoints];
  int8_t first_child[kMaxJoints];   // -1: none
  int8_t next_sibling[kMaxJoints];  // -1: last
};

Levels levels_of(const Tree& tree) {
  Levels levels{};
  for (int k = 0; k < tree.joints; ++k) {
    const int parent = tree.parent[k];
    levels.first_child[k] = -1;
    levels.next_sibling[k] = -1;
    levels.level[k] = static_cast<int8_t>(parent < 0 ? 0 : levels.level[parent] + 1);
    if (parent >= 0) {
      levels.next_sibling[k] = levels.first_child[parent];
      levels.first_child[parent] = static_cast<int8_t>(k);
    }
    levels.count = std::max(levels.count, levels.level[k] + 1);
  }
  return levels;
}

// Warps take people in turn.
__device__ int64_t first_person() {
  return int64_t{blockIdx.x} * (blockDim.x / 32) + threadIdx.x / 32;
}
__device__ int64_t person_stride() { return int64_t{gridDim.x} * (blockDim.x / 32); }

template <typename T>
__device__ JointPose<T> load_pose(const T* pose) {
  return {load_mat3(pose), load_vec3(pose + 9)};
}

// The poses of a person's joints into shared memory, pose[J][13]; called by a whole warp. The
// person's arrays: rotations (J, 3, 3), scale (J,), rest (J, 3).
template <typename T>
__device__ void compute_poses(const Tree& tree, const Levels& levels,
                              const T* __restrict__ rotations, const T* __restrict__ scale,
                              const T* __restrict__ rest, T* pose) {
  for (int level = 0; level < levels.count; ++level) {
    for (int k = threadIdx.x % 32; k < tree.joints; k += 32) {
      if (levels.level[k] != level) continue;
      const Mat3<T> rotation = load_mat3(rotations + 9 * k);
      JointPose<T> joint = {rotation, load_vec3(rest + 3 * k)};
      const int q = tree.parent[k];
      if (q >= 0) {
        const Vec3<T> bone = joint.position - load_vec3(rest + 3 * q);
        joint = child_pose(load_pose(pose + kPosePitch * q), scale[q], bone, rotation);
      }
      store(pose + kPosePitch * k, joint.rotation);
      store(pose + kPosePitch * k + 9, joint.position);
    }
    __syncwarp();
  }
}

// A warp owns a person, a lane the joints lane, lane + 32, …; poses live in shared memory.
// Moves 13 J numbers in and 15 J out per person.
template <typename T>
__global__ void __launch_bounds__(32 * kMostWarps)
    kinematics_forward_kernel(const KinematicsParams<T> p, const Levels levels) {
  SIMT_SHARED(T, shared);
  const int joints = p.tree.joints;
  T* const pose = shared + threadIdx.x / 32 * (joints * kPosePitch);
  for (int64_t b = first_person(); b < p.people; b += person_stride()) {
    const T* __restrict__ scale = p.segment_scale + b * joints;
    const T* __restrict__ rest = p.rest_joints + b * p.rest_stride;
    compute_poses(p.tree, levels, p.rotations + b * joints * 9, scale, rest, pose);
    for (int k = threadIdx.x % 32; k < joints; k += 32) {
      const JointPose<T> joint = load_pose(pose + kPosePitch * k);
      const Mat34<T> transform = joint_transform(joint, scale[k], load_vec3(rest + 3 * k));
      store_vector(p.transforms + (b * joints + k) * 12, transform.m);
      store(p.positions + (b * joints + k) * 3, joint.position);
    }
  }
}

// What a joint hands to its parent, in shared memory: gradients of the parent's pose (12), of the
// bone (3) and of the parent's scale (1).
template <typename T>
struct Handed {
  JointPoseGrad<T> pose;
  Vec3<T> bone;
  T parent_scale;
};

template <typename T>
__device__ void store(T* handed, const Handed<T>& h) {
  store(handed, h.pose.rotation);
  store(handed + 9, h.pose.position);
  store(handed + 12, h.bone);
  handed[15] = h.parent_scale;
}

// Gradients of one joint, after its children have handed theirs in.
template <typename T>
__device__ void joint_backward(const KinematicsBackwardParams<T>& p, const Levels& levels,
                               int64_t b, int k, const T* pose, T* handed) {
  const int joints = p.tree.joints;
  const int64_t at = b * joints + k;
  const T* __restrict__ scale = p.segment_scale + b * joints;
  const T* __restrict__ rest = p.rest_joints + b * p.rest_stride;
  const Vec3<T> own_rest = load_vec3(rest + 3 * k);

  const Mat34<T> grad_transform = load_mat34(p.grad_transforms + at * 12);
  JointPoseGrad<T> grad = {{}, load_vec3(p.grad_positions + at * 3)};
  Vec3<T> grad_rest = {};
  T grad_scale = joint_transform_backward(load_pose(pose + kPosePitch * k), scale[k], own_rest,
                                          grad_transform, grad, grad_rest);
  for (int c = levels.first_child[k]; c >= 0; c = levels.next_sibling[c]) {
    const T* const h = handed + kHandedPitch * c;
    grad.rotation += load_mat3(h);
    grad.position = grad.position + load_vec3(h + 9);
    grad_rest = grad_rest - load_vec3(h + 12);
    grad_scale += h[15];
  }

  const int q = p.tree.parent[k];
  if (q >= 0) {
    const Vec3<T> bone = own_rest - load_vec3(rest + 3 * q);
    JointPoseGrad<T> grad_parent = {};
    const ChildGrad<T> child =
        child_pose_backward(load_pose(pose + kPosePitch * q), scale[q], bone,
                            load_mat3(p.rotations + at * 9), grad, grad_parent);
    store(handed + kHandedPitch * k, Handed<T>{grad_parent, child.bone, child.parent_scale});
    grad.rotation = child.rotation;
    grad_rest = grad_rest + child.bone;
  } else {
    grad_rest = grad_rest + grad.position;  // p_0 = J_0
  }
  store(p.grad_rotations + at * 9, grad.rotation);
  store(p.grad_rest_joints + at * 3, grad_rest);
  p.grad_segment_scale[at] = grad_scale;
}

// A warp owns a person, a lane the joints lane, lane + 32, …; children hand gradients to parents
// through shared memory, in a fixed order. Moves 28 J numbers in and 13 J out per person.
template <typename T>
__global__ void __launch_bounds__(32 * kMostWarps)
    kinematics_backward_kernel(const KinematicsBackwardParams<T> p, const Levels levels) {
  SIMT_SHARED(T, shared);
  const int joints = p.tree.joints;
  T* const pose = shared + threadIdx.x / 32 * (joints * (kPosePitch + kHandedPitch));
  T* const handed = pose + joints * kPosePitch;
  for (int64_t b = first_person(); b < p.people; b += person_stride()) {
    compute_poses(p.tree, levels, p.rotations + b * joints * 9, p.segment_scale + b * joints,
                  p.rest_joints + b * p.rest_stride, pose);
    for (int level = levels.count - 1; level >= 0; --level) {
      for (int k = threadIdx.x % 32; k < joints; k += 32) {
        if (levels.level[k] == level) joint_backward(p, levels, b, k, pose, handed);
      }
      __syncwarp();
    }
  }
}

template <typename Kernel, typename Params>
void launch(Kernel* kernel, const Params& p, std::size_t bytes_per_person, cudaStream_t stream) {
  if (p.people == 0) return;
  const int warps = std::min(kMostWarps, static_cast<int>(kSharedBudget / bytes_per_person));
  const std::size_t bytes = warps * bytes_per_person;
  allow_shared(kernel, bytes);
  const unsigned grid = grid_for((p.people + warps - 1) / warps, 16);
  SIMT_LAUNCH(kernel, grid, 32 * warps, bytes, stream, p, levels_of(p.tree));
  check_cuda(cudaGetLastError(), "kinematics");
}

}  // namespace

template <typename T>
void kinematics_forward_cuda(const KinematicsParams<T>& p, cudaStream_t stream) {
  launch(kinematics_forward_kernel<T>, p, p.tree.joints * kPosePitch * sizeof(T), stream);
}

template <typename T>
void kinematics_backward_cuda(const KinematicsBackwardParams<T>& p, cudaStream_t stream) {
  launch(kinematics_backward_kernel<T>, p, p.tree.joints * (kPosePitch + kHandedPitch) * sizeof(T),
         stream);
}

template void kinematics_forward_cuda(const KinematicsParams<float>&, cudaStream_t);
template void kinematics_forward_cuda(const KinematicsParams<double>&, cudaStream_t);
template void kinematics_backward_cuda(const KinematicsBackwardParams<float>&, cudaStream_t);
template void kinematics_backward_cuda(const KinematicsBackwardParams<double>&, cudaStream_t);

}  // namespace bodyreg
