// The gradient of the objective for a group of people as lanes (backward; see joint_math.h).
#pragma once

#include "depths.h"
#include "moments.h"

namespace bodyreg::BODYREG_ISA {

// Terms of the normals' z, as just refreshed: the gradient by the third row c of C_k is N c + b.
template <typename T>
struct GroupNormals {
  uint32_t joints = 0;            // bit k: there are such terms on segment k
  Lanes<T> form[kFitJoints][12];  // rows of [N | b]

  Vec3<Lanes<T>> gradient(int k, const Mat3<Lanes<T>>& turn) const {
    const Lanes<T>* const c = turn.m + 6;
    const Lanes<T>* const n = form[k];
    return {n[0] * c[0] + n[1] * c[1] + n[2] * c[2] + n[3],
            n[4] * c[0] + n[5] * c[1] + n[6] * c[2] + n[7],
            n[8] * c[0] + n[9] * c[1] + n[10] * c[2] + n[11]};
  }
};

template <typename T>
static inline Lanes<T> mean_scale(const ParameterLanes<T>& x) {
  Lanes<T> sum = T(0);
  for (int k = 0; k < kFitJoints; ++k) sum += x[kScalesAt + k];
  return Lanes<T>(T(1) / T(kFitJoints)) * sum;
}

// What the evidence pulls at, Y_k for the joints in use.
template <typename T>
struct Pull {
  Lanes<T> image[kFitJoints][8];  // rows x and y
  Lanes<T> depth[kFitJoints][4];  // row z
};

template <typename T>
static inline bool has_depths(const FitProblem<T>& p, const Setting<T>& setting) {
  return setting[kDepth] != T(0) && p.keypoints > 0;
}

template <typename T>
static inline void find_pull(const FitProblem<T>& p, const Setting<T>& setting,
                             const PosedGroup<T>& body, const GroupMoments<T>& moments,
                             const GroupKeypoints<T>& keypoints, Pull<T>& y) {
  moments.times(body.rows, y.image);
  if (has_depths(p, setting)) keypoints.pull_depths(setting[kDepth], body, y.depth);
}

// What an iteration works with; it is too large for registers, and small enough for the first
// cache.
template <typename T>
struct GradientScratch {
  Wrench<Lanes<T>> sum[kFitJoints];
  Lanes<T> stretch[kFitJoints];  // g_k
};

// The gradient at `x`, by which `body` is posed. The root's pose has none.
template <typename T>
static inline void objective_gradient(const FitProblem<T>& p, const Setting<T>& setting,
                                      const ParameterLanes<T>& x, const PosedGroup<T>& body,
                                      const GroupMoments<T>& moments,
                                      const GroupKeypoints<T>& keypoints,
                                      const GroupNormals<T>& normals, const Pull<T>& pull,
                                      GradientScratch<T>& y, ParameterLanes<T>& gradient) {
  using V = Lanes<T>;
  const T* const weights = setting.value;
  const uint32_t deep = has_depths(p, setting) ? keypoints.joints() : 0;

  const Vec3<V> zero = {V(T(0)), V(T(0)), V(T(0))};
  for (int k = 0; k < kFitJoints; ++k) {
    y.sum[k] = {zero, zero};
    y.stretch[k] = T(0);
    gradient[kScalesAt + k] = T(0);
  }
  const V mean = weights[kScaleDeviation] != T(0) ? mean_scale<T>(x) : V(T(0));
  V scale_gradient = T(0);
  for (int k = kFitJoints - 1; k >= 0; --k) {
    const PosedJoint<V>& joint = body.joint[k];
    Wrench<V> sum = y.sum[k];
    V stretch = y.stretch[k];
    if (moments.joints() >> k & 1) {
      sum += image_wrench(joint.turn, body.size[k], pull.image[k], stretch);
    }
    if (deep >> k & 1) {
      if (keypoints.turning() >> k & 1) {
        sum += depth_wrench(joint.turn, body.size[k], pull.depth[k], stretch);
      } else {
        sum.force.z += pull.depth[k][3];
      }
    }
    if (normals.joints >> k & 1) {
      sum.torque = sum.torque + normal_torque(joint.turn, normals.gradient(k, joint.turn));
    }

    const V own = x[kScalesAt + k];
    V slope =
        scale_slope(own, mean, x[kScalesAt + p.mirror[k]], weights, p.scale_low, p.scale_high);
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

  const Mat3<V>& rotation = body.rotation();
  Vec3<V> torque = moved(y.sum[0], body.joint[0].position).torque;
  if (weights[kUpright] != T(0)) torque = torque + upright_torque(V(weights[kUpright]), rotation);
  Mat3<V> by_raw = rotation_gradient(body.camera, body.raw, p.six_numbers, rotation, torque);
  if (weights[kDet] != T(0)) by_raw += reflection_gradient(V(weights[kDet]), body.raw);
  for (int i = 0; i < 9; ++i) gradient[kRotationAt + i] = by_raw.m[i];
  const Vec3<V>& force = y.sum[0].force;
  gradient[kTranslationAt] = force.x;
  gradient[kTranslationAt + 1] = force.y;
  gradient[kCameraScaleAt] = scale_gradient + dot(force, rotation * lanes3(p.joints));
}

}  // namespace bodyreg::BODYREG_ISA
