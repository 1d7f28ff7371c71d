#include "../common/simd.h"
#include "kinematics.h"
#include "kinematics_math.h"

namespace bodyreg::BODYREG_ISA {
namespace {

// People as lanes: a group's arrays lie in memory as rows of `width` people.

template <typename T>
Vec3<Lanes<T>> lanes_vec3(const T* p) {
  constexpr int W = Lanes<T>::width;
  return {load_lanes(p), load_lanes(p + W), load_lanes(p + 2 * W)};
}

template <typename T, int N>
void load_rows(const T* p, Lanes<T>* out) {
  for (int i = 0; i < N; ++i) out[i] = load_lanes(p + i * Lanes<T>::width);
}

template <typename T, int N>
void store_rows(T* p, const Lanes<T>* in) {
  for (int i = 0; i < N; ++i) store_lanes(p + i * Lanes<T>::width, in[i]);
}

template <typename T>
void store_rows(T* p, const Vec3<Lanes<T>>& a) {
  constexpr int W = Lanes<T>::width;
  store_lanes(p, a.x);
  store_lanes(p + W, a.y);
  store_lanes(p + 2 * W, a.z);
}

// One group of people: inputs as lanes and the poses of their joints.
template <typename T>
struct Group {
  static constexpr int W = Lanes<T>::width;
  alignas(64) T rotations[kMaxJoints * 9 * W];  // (J, 9, W)
  alignas(64) T scale[kMaxJoints * W];          // (J, W)
  alignas(64) T rest[kMaxJoints * 3 * W];       // (J, 3, W)
  JointPose<Lanes<T>> pose[kMaxJoints];

  Mat3<Lanes<T>> rotation(int k) const {
    Mat3<Lanes<T>> r;
    load_rows<T, 9>(rotations + k * 9 * W, r.m);
    return r;
  }
  Lanes<T> scale_of(int k) const { return load_lanes(scale + k * W); }
  Vec3<Lanes<T>> rest_of(int k) const { return lanes_vec3(rest + k * 3 * W); }

  template <typename Params>
  void load(const Params& p, int64_t first, int people) {
    const int J = p.tree.joints;
    to_lanes(p.rotations + first * J * 9, J * 9, people, J * 9, rotations, W);
    to_lanes(p.segment_scale + first * J, J, people, J, scale, W);
    to_lanes(p.rest_joints + first * p.rest_stride, p.rest_stride, people, J * 3, rest, W);
    pose[0] = {rotation(0), rest_of(0)};
    for (int k = 1; k < J; ++k) {
      const int q = p.tree.parent[k];
      pose[k] = child_pose(pose[q], scale_of(q), rest_of(k) - rest_of(q), rotation(k));
    }
  }
};

template <typename T>
int group_size(int64_t first, int64_t end) {
  return static_cast<int>(end - first < Lanes<T>::width ? end - first : Lanes<T>::width);
}

}  // namespace

template <typename T>
void kinematics_forward_cpu(const KinematicsParams<T>& p, int64_t begin, int64_t end) {
  constexpr int W = Lanes<T>::width;
  const int J = p.tree.joints;
  Group<T> group;
  alignas(64) T transforms[kMaxJoints * 12 * W];
  alignas(64) T positions[kMaxJoints * 3 * W];
  for (int64_t first = begin; first < end; first += W) {
    const int people = group_size<T>(first, end);
    group.load(p, first, people);
    for (int k = 0; k < J; ++k) {
      const Mat34<Lanes<T>> t = joint_transform(group.pose[k], group.scale_of(k), group.rest_of(k));
      store_rows<T, 12>(transforms + k * 12 * W, t.m);
      store_rows(positions + k * 3 * W, group.pose[k].position);
    }
    from_lanes(transforms, W, people, J * 12, p.transforms + first * J * 12, J * 12);
    from_lanes(positions, W, people, J * 3, p.positions + first * J * 3, J * 3);
  }
}

template <typename T>
void kinematics_backward_cpu(const KinematicsBackwardParams<T>& p, int64_t begin, int64_t end) {
  constexpr int W = Lanes<T>::width;
  const int J = p.tree.joints;
  Group<T> group;
  JointPoseGrad<Lanes<T>> grad_pose[kMaxJoints];
  Vec3<Lanes<T>> grad_rest[kMaxJoints];
  Lanes<T> grad_scale[kMaxJoints];
  alignas(64) T grad_transforms[kMaxJoints * 12 * W];
  alignas(64) T rows[kMaxJoints * 9 * W];  // positions in, then each result in turn
  for (int64_t first = begin; first < end; first += W) {
    const int people = group_size<T>(first, end);
    group.load(p, first, people);
    to_lanes(p.grad_transforms + first * J * 12, J * 12, people, J * 12, grad_transforms, W);
    to_lanes(p.grad_positions + first * J * 3, J * 3, people, J * 3, rows, W);
    for (int k = 0; k < J; ++k) {
      grad_pose[k] = {{}, lanes_vec3(rows + k * 3 * W)};
      grad_rest[k] = {};
      Mat34<Lanes<T>> grad;
      load_rows<T, 12>(grad_transforms + k * 12 * W, grad.m);
      grad_scale[k] = joint_transform_backward(group.pose[k], group.scale_of(k), group.rest_of(k),
                                               grad, grad_pose[k], grad_rest[k]);
    }
    for (int k = J - 1; k > 0; --k) {
      const int q = p.tree.parent[k];
      const ChildGrad<Lanes<T>> grad =
          child_pose_backward(group.pose[q], group.scale_of(q), group.rest_of(k) - group.rest_of(q),
                              group.rotation(k), grad_pose[k], grad_pose[q]);
      grad_rest[k] = grad_rest[k] + grad.bone;
      grad_rest[q] = grad_rest[q] - grad.bone;
      grad_scale[q] += grad.parent_scale;
      store_rows<T, 9>(rows + k * 9 * W, grad.rotation.m);
    }
    grad_rest[0] = grad_rest[0] + grad_pose[0].position;
    store_rows<T, 9>(rows, grad_pose[0].rotation.m);
    from_lanes(rows, W, people, J * 9, p.grad_rotations + first * J * 9, J * 9);
    for (int k = 0; k < J; ++k) store_rows(rows + k * 3 * W, grad_rest[k]);
    from_lanes(rows, W, people, J * 3, p.grad_rest_joints + first * J * 3, J * 3);
    for (int k = 0; k < J; ++k) store_lanes(rows + k * W, grad_scale[k]);
    from_lanes(rows, W, people, J, p.grad_segment_scale + first * J, J);
  }
}

template void kinematics_forward_cpu(const KinematicsParams<float>&, int64_t, int64_t);
template void kinematics_forward_cpu(const KinematicsParams<double>&, int64_t, int64_t);
template void kinematics_backward_cpu(const KinematicsBackwardParams<float>&, int64_t, int64_t);
template void kinematics_backward_cpu(const KinematicsBackwardParams<double>&, int64_t, int64_t);

}  // namespace bodyreg::BODYREG_ISA
