// The gradient of the objective by the 108 parameters of one person in a warp (backward; see
// joint_math.h). For .cu files.
#pragma once

#include "terms.h"

namespace bodyreg {

// ∂L/∂raw, ∂L/∂t, ∂L/∂s, from sums that every lane has: the gradient of the lane's own four.
template <typename T>
__device__ __forceinline__ void camera_gradient(const Place& place, bool six,
                                                const Camera<T>& camera, const Wrench<T>& all,
                                                T scale_gradient, const T* setting,
                                                T (&gradient)[kLaneParameters]) {
  const Mat3<T> rotation = camera.rotation();
  Vec3<T> torque = all.torque;
  add_camera_torque(rotation, setting, torque);
  Mat3<T> raw = rotation_gradient(camera.orthonormal, camera.raw, six, rotation, torque);
  add_raw_slope(camera.raw, setting, raw);
  const int own = place.lane - kFitJoints;
  const T last[4] = {raw.m[8], all.force.x, all.force.y, scale_gradient};
  for (int i = 0; i < kLaneParameters; ++i) {
    gradient[i] = own == 0 ? raw.m[i] : own == 1 ? raw.m[4 + i] : own == 2 ? last[i] : T(0);
  }
}

// The gradient of the lane's parameters; by a whole warp.
template <typename T>
__device__ __forceinline__ void gradient_of(const Place& place, const FitProblem<T>& p,
                                            SharedMemory<T>& memory, const Person<T>& person,
                                            const Posed<T>& body, const T (&value)[kLaneParameters],
                                            T (&gradient)[kLaneParameters]) {
  const T* const setting = memory.setting;
  const Scales<T> scale = scales_of(place, value);
  const Vec3<T> theta = theta_of(place, value);
  T stretch;
  const Wrench<T> own =
      own_wrench(place, memory, person, body, memory.camera.scale * scale.own, stretch);
  const Vec3<T>& position = body.joint.position;
  Wrench<T> sum = own;  // of the subtree, about the joint
  sum += moved(below_in_tree(place, moved(own, position)), T(-1) * position);
  const Mat3<T> parent_turn = shuffle(body.joint.turn, place.parent());
  const bool root = place.lane == 0;

  // What a joint hands to its parent: how its subtree stretches the bone, and smoothness.
  const Vec3<T> bone = bone_of(place, memory);
  const T smooth = smoothness_slope(scale.own, scale.parent, setting);
  T* const handed = memory.scratch;
  handed[place.lane] = dot(sum.force, parent_turn * bone);
  handed[32 + place.lane] = smooth;
  __syncwarp();
  T bones = T(0), smooths = T(0);
  for (int child = place.lane + 1; child < place.lane + place.size; child += memory.size[child]) {
    bones += handed[child];
    smooths += handed[32 + child];
  }
  const T stretched = stretch + bones;
  const Mat3<T> rotation = memory.camera.rotation();
  const T of_root = root ? dot(sum.force, rotation * bone) : T(0);
  const T scale_gradient = lane_sum(scale.own * stretched + of_root);
  const Wrench<T> about_origin = moved(sum, position);
  const Wrench<T> all = {shuffle(about_origin.force, 0), shuffle(about_origin.torque, 0)};
  camera_gradient(place, p.six_numbers, memory.camera, all, scale_gradient, setting, gradient);

  const ScaleAndPeers<T> peers = scale_and_peers(place, scale);
  const Vec3<T> turn =
      pose_gradient(theta, body.angle, parent_turn, handedness(rotation), sum.torque) +
      pose_slope(theta, place.joint, setting, memory.pose_terms);
  if (!place.owns) return;
  gradient[3] = memory.camera.scale * stretched + smooth - smooths +
                scale_slope(peers, setting, p.scale_low, p.scale_high);
  const T* const of_modes = memory.mode_slope[place.joint];
  gradient[0] = root ? T(0) : turn.x + of_modes[0];
  gradient[1] = root ? T(0) : turn.y + of_modes[1];
  gradient[2] = root ? T(0) : turn.z + of_modes[2];
}

}  // namespace bodyreg
