// One joint of the kinematic chain, forward and backward ("Learning Body Shape and Pose from Dense
// Correspondences", with segment scales that move a segment's children and do not scale them).
//
//   G_0 = R_0             p_0 = J_0
//   G_k = G_q R_k         p_k = p_q + G_q (S_q (J_k − J_q))     q = parent of k
//   A_k = S_k G_k         b_k = p_k − A_k J_k
#pragma once

#include "../common/geometry.h"

namespace bodyreg {

// The world pose of a joint: chain rotation (no scale in it) and position.
template <typename T>
struct JointPose {
  Mat3<T> rotation;  // G_k
  Vec3<T> position;  // p_k
};

// Gradients that reach a joint's pose.
template <typename T>
struct JointPoseGrad {
  Mat3<T> rotation;
  Vec3<T> position;
};

// bone = J_k − J_q
template <typename T>
BODYREG_HD JointPose<T> child_pose(const JointPose<T>& parent, T parent_scale, const Vec3<T>& bone,
                                   const Mat3<T>& rotation) {
  return {parent.rotation * rotation, parent.position + parent.rotation * (parent_scale * bone)};
}

// [A_k | b_k]
template <typename T>
BODYREG_HD Mat34<T> joint_transform(const JointPose<T>& pose, T scale, const Vec3<T>& rest) {
  const Mat3<T> a = scale * pose.rotation;
  return join(a, pose.position - a * rest);
}

// Adjoint of joint_transform. Adds to the gradients of the pose and of the rest joint; returns the
// gradient of the scale.
template <typename T>
BODYREG_HD T joint_transform_backward(const JointPose<T>& pose, T scale, const Vec3<T>& rest,
                                      const Mat34<T>& grad, JointPoseGrad<T>& grad_pose,
                                      Vec3<T>& grad_rest) {
  const Vec3<T> grad_b = offset(grad);
  Mat3<T> grad_a = linear(grad);
  grad_a += outer(T(-1) * grad_b, rest);
  grad_pose.position = grad_pose.position + grad_b;
  grad_pose.rotation += scale * grad_a;
  grad_rest = grad_rest - scale * transposed_times(pose.rotation, grad_b);
  return inner(grad_a, pose.rotation);
}

// Adjoint of child_pose: what joint k hands to its own rotation, to the bone, to the parent's scale
// and (added) to the parent's pose.
template <typename T>
struct ChildGrad {
  Mat3<T> rotation;
  Vec3<T> bone;
  T parent_scale;
};

template <typename T>
BODYREG_HD ChildGrad<T> child_pose_backward(const JointPose<T>& parent, T parent_scale,
                                            const Vec3<T>& bone, const Mat3<T>& rotation,
                                            const JointPoseGrad<T>& grad,
                                            JointPoseGrad<T>& grad_parent) {
  const Vec3<T> stretch = transposed_times(parent.rotation, grad.position);
  grad_parent.position = grad_parent.position + grad.position;
  grad_parent.rotation += times_transposed(grad.rotation, rotation);
  grad_parent.rotation += outer(grad.position, parent_scale * bone);
  return {transposed_times(parent.rotation, grad.rotation), parent_scale * stretch,
          dot(stretch, bone)};
}

}  // namespace bodyreg
