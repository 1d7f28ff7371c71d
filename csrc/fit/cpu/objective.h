// The gradient of the objective for a group of people as lanes (backward; see joint_math.h).
#pragma once

#include "terms.h"

namespace bodyreg::BODYREG_ISA {

// The work arrays of an iteration: too large for registers, small enough for the first cache.
template <typename T>
struct GradientScratch {
  Wrench<Lanes<T>> sum[kFitJoints];
  Lanes<T> stretch[kFitJoints];  // g_k
};

// The gradient at `x`; `body` is posed by `x`. The root's pose has no gradient.
template <typename T>
static inline void objective_gradient(const FitProblem<T>& p, const Setting<T>& setting,
                                      const ParameterLanes<T>& x, const PosedGroup<T>& body,
                                      const GroupMoments<T>& moments,
                                      const GroupKeypoints<T>& keypoints,
                                      const GroupNormals<T>& normals, const Pull<T>& pull,
                                      GradientScratch<T>& y, ParameterLanes<T>& gradient) {
  using V = Lanes<T>;
  const T* const weights = setting.value;

  const Vec3<V> zero = {V(T(0)), V(T(0)), V(T(0))};
  for (int k = 0; k < kFitJoints; ++k) {
    y.sum[k] = {zero, zero};
    y.stretch[k] = T(0);
    gradient[kScalesAt + k] = T(0);
  }
  const V mean = weights[kScaleDeviation] != T(0) ? mean_scale<T>(x) : V(T(0));
  V scale_gradient = T(0);
  for (int k = kFitJoints - 1; k >= 0; --k) {
    Wrench<V> sum = y.sum[k];
    V stretch = y.stretch[k];
    add_own_wrench(p, setting, k, body, moments, keypoints, normals, pull, sum, stretch);

    const V own = x[kScalesAt + k];
    V slope = scale_slope(scale_and_peers<T>(p, x, mean, k), weights, p.scale_low, p.scale_high);
    if (k > 0) {
      const int parent = p.parent[k];
      const PosedJoint<V>& base = body.joint[parent];
      const Vec3<V> theta = vec3(x + kPoseAt + 3 * k);
      const Vec3<V> by_pose =
          pose_slope(theta, k, weights, p.pose_terms) +
          pose_gradient(theta, body.angle[k], base.turn, body.mirror, sum.torque);
      V* const out = gradient + kPoseAt + 3 * k;
      out[0] = by_pose.x, out[1] = by_pose.y, out[2] = by_pose.z;
      const Vec3<V> bone = base.turn * PosedGroup<T>::bone(p, k);
      y.sum[parent] += moved(sum, body.size[parent] * bone);
      y.stretch[parent] += dot(sum.force, bone);
      const V smooth = smoothness_slope(own, x[kScalesAt + parent], weights);
      slope += smooth;
      gradient[kScalesAt + parent] = gradient[kScalesAt + parent] - smooth;
    } else {
      y.sum[0] = sum;
    }
    gradient[kScalesAt + k] += slope + body.scale * stretch;
    scale_gradient += own * stretch;
  }
  for (int i = 0; i < 3; ++i) gradient[kPoseAt + i] = T(0);
  add_mode_slope<T>(p, setting, x, gradient);

  const Mat3<V>& rotation = body.rotation();
  Vec3<V> torque = moved(y.sum[0], body.joint[0].position).torque;
  add_camera_torque(rotation, weights, torque);
  Mat3<V> by_raw = rotation_gradient(body.camera, body.raw, p.six_numbers, rotation, torque);
  add_raw_slope(body.raw, weights, by_raw);
  for (int i = 0; i < 9; ++i) gradient[kRotationAt + i] = by_raw.m[i];
  const Vec3<V>& force = y.sum[0].force;
  gradient[kTranslationAt] = force.x;
  gradient[kTranslationAt + 1] = force.y;
  gradient[kCameraScaleAt] = scale_gradient + dot(force, rotation * lanes3(p.joints));
}

}  // namespace bodyreg::BODYREG_ISA
