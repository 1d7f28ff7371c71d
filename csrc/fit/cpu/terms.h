// The terms over all joints of a group of people: for the gradient, the exact values, and the
// normal matrix and changes of Levenberg–Marquardt. The algebra of each is in term_math.h.
#pragma once

#include "depths.h"
#include "moments.h"

namespace bodyreg::BODYREG_ISA {

// Terms of the normals' z, as just refreshed: the gradient by the view v = C_kᵀ d is N v + b.
template <typename T>
struct GroupNormals {
  uint32_t joints = 0;             // bit k: there are such terms on segment k
  Lanes<T> form[kFitJoints][12];   // rows of [N | b]
  Vec3<Lanes<T>> ray[kFitJoints];  // d of ray_math.h

  Vec3<Lanes<T>> view(int k, const Mat3<Lanes<T>>& turn) const {
    return transposed_times(turn, ray[k]);
  }

  Vec3<Lanes<T>> gradient(int k, const Vec3<Lanes<T>>& v) const {
    const Lanes<T>* const n = form[k];
    return {n[0] * v.x + n[1] * v.y + n[2] * v.z + n[3],
            n[4] * v.x + n[5] * v.y + n[6] * v.z + n[7],
            n[8] * v.x + n[9] * v.y + n[10] * v.z + n[11]};
  }
};

// Y_k for the joints in use.
template <typename T>
struct Pull {
  Lanes<T> image[kFitJoints][8];   // rows x and y
  Lanes<T> toward[kFitJoints][4];  // row z, of the picture in perspective
  Lanes<T> depth[kFitJoints][4];   // row z, of the depths of keypoints
};

template <typename T>
static inline bool has_depths(const FitProblem<T>& p, const Setting<T>& setting) {
  return setting[kDepth] != T(0) && p.keypoints > 0;
}

// The pull of the picture on rows that are sheared along the rays of the segments, u_k.
template <typename T>
static inline void find_sheared_pull(const PosedGroup<T>& body, const GroupMoments<T>& moments,
                                     const Shear<Lanes<T>> (&shear)[kFitJoints], Pull<T>& y) {
  using V = Lanes<T>;
  V rows[kFitJoints][8];
  for (uint32_t left = moments.joints(); left != 0; left &= left - 1) {
    const int k = __builtin_ctz(left);
    V z[4];
    depth_row(body.joint[k], body.size[k], z);
    shear_rows(body.rows[k], z, shear[k], rows[k]);
  }
  moments.times(rows, y.image);
  for (uint32_t left = moments.joints(); left != 0; left &= left - 1) {
    const int k = __builtin_ctz(left);
    for (int c = 0; c < 4; ++c) {
      y.toward[k][c] =
          shear[k].x * y.image[k][c] + shear[k].y * y.image[k][4 + c] + moments.depth_pull(k)[c];
    }
  }
}

template <typename T>
static inline void find_pull(const FitProblem<T>& p, const Setting<T>& setting,
                             const PosedGroup<T>& body, const GroupMoments<T>& moments,
                             const Shear<Lanes<T>> (&shear)[kFitJoints],
                             const GroupKeypoints<T>& keypoints, Pull<T>& y) {
  if (moments.in_perspective()) {
    find_sheared_pull(body, moments, shear, y);
  } else {
    moments.times(body.rows, y.image);
  }
  if (has_depths(p, setting)) keypoints.pull_depths(setting, body, y.depth);
}

// Adds the wrench on segment k, about joint k, to that of its subtree, and ⟨A of Y_k, C_k⟩ to
// stretch.
template <typename T>
static inline void add_own_wrench(const FitProblem<T>& p, const Setting<T>& setting, int k,
                                  const PosedGroup<T>& body, const GroupMoments<T>& moments,
                                  const GroupKeypoints<T>& keypoints,
                                  const GroupNormals<T>& normals, const Pull<T>& pull,
                                  Wrench<Lanes<T>>& sum, Lanes<T>& stretch) {
  const Mat3<Lanes<T>>& turn = body.joint[k].turn;
  if (moments.joints() >> k & 1) {
    sum += image_wrench(turn, body.size[k], pull.image[k], stretch);
    if (moments.in_perspective()) {
      sum += depth_wrench(turn, body.size[k], pull.toward[k], stretch);
    }
  }
  if (has_depths(p, setting) && (keypoints.joints() >> k & 1)) {
    if (keypoints.turning() >> k & 1) {
      sum += depth_wrench(turn, body.size[k], pull.depth[k], stretch);
    } else {
      sum.force.z += pull.depth[k][3];
    }
  }
  if (normals.joints >> k & 1) {
    const Vec3<Lanes<T>> slope = normals.gradient(k, normals.view(k, turn));
    sum.torque = sum.torque + normal_torque(turn, normals.ray[k], slope);
  }
}

// m_r · (θ − μ) of every mode r.
template <typename T>
struct AlongModes {
  Lanes<T> value[kFitModes];

  AlongModes(const FitProblem<T>& p, const ParameterLanes<T>& x) {
    for (Lanes<T>& one : value) one = T(0);
    for (int at = 3; at < 3 * kFitJoints; ++at) {
      const Lanes<T> deviation = x[kPoseAt + at] - Lanes<T>(p.pose_terms[at]);
      const T* const mode = p.mode + kFitModes * at;
      for (int r = 0; r < kFitModes; ++r) value[r] += Lanes<T>(mode[r]) * deviation;
    }
  }
};

template <typename T>
static inline Lanes<T> mode_value(const FitProblem<T>& p, const ParameterLanes<T>& x) {
  const AlongModes<T> along(p, x);
  Lanes<T> sum = T(0);
  for (int r = 0; r < kFitModes; ++r) {
    sum += Lanes<T>(p.mode_weight[r]) * along.value[r] * along.value[r];
  }
  return sum;
}

template <typename T>
static inline void add_mode_slope(const FitProblem<T>& p, const Setting<T>& setting,
                                  const ParameterLanes<T>& x, ParameterLanes<T>& gradient) {
  if (setting[kPrior] == T(0)) return;
  AlongModes<T> along(p, x);
  for (int r = 0; r < kFitModes; ++r) {
    along.value[r] = Lanes<T>(T(2) * setting[kPrior] * p.mode_weight[r]) * along.value[r];
  }
  for (int at = 3; at < 3 * kFitJoints; ++at) {
    const T* const mode = p.mode + kFitModes * at;
    Lanes<T> slope = T(0);
    for (int r = 0; r < kFitModes; ++r) slope += Lanes<T>(mode[r]) * along.value[r];
    gradient[kPoseAt + at] += slope;
  }
}

// Half of the diagonal that bounds the curvature of the modes, without the prior's weight.
template <typename T>
struct ModeBound {
  T value[3 * kFitJoints] = {};

  explicit ModeBound(const FitProblem<T>& p) {
    for (int r = 0; r < kFitModes; ++r) {
      if (!(p.mode_weight[r] > T(0))) continue;
      T total = T(0);
      for (int at = 3; at < 3 * kFitJoints; ++at) total += std::abs(p.mode[kFitModes * at + r]);
      for (int at = 3; at < 3 * kFitJoints; ++at) {
        value[at] += p.mode_weight[r] * total * std::abs(p.mode[kFitModes * at + r]);
      }
    }
  }
};

template <typename T>
static inline Lanes<T> mode_change(const FitProblem<T>& p, T weight, const ParameterLanes<T>& from,
                                   const ParameterLanes<T>& to) {
  Lanes<T> sum = T(0);
  if (weight == T(0)) return sum;
  const AlongModes<T> before(p, from), after(p, to);
  for (int r = 0; r < kFitModes; ++r) {
    sum += Lanes<T>(weight * p.mode_weight[r]) * change_of_square(before.value[r], after.value[r]);
  }
  return sum;
}

template <typename T>
static inline Lanes<T> mean_scale(const ParameterLanes<T>& x) {
  Lanes<T> sum = T(0);
  for (int k = 0; k < kFitJoints; ++k) sum += x[kScalesAt + k];
  return Lanes<T>(T(1) / T(kFitJoints)) * sum;
}

template <typename T>
static inline ScaleAndPeers<Lanes<T>> scale_and_peers(const FitProblem<T>& p,
                                                      const ParameterLanes<T>& x,
                                                      const Lanes<T>& mean, int k) {
  return {x[kScalesAt + k], mean, x[kScalesAt + p.mirror[k]]};
}

// The values of the terms that read no evidence, without weights.
template <typename T>
static inline void add_parameter_values(const FitProblem<T>& p, const ParameterLanes<T>& x,
                                        const PosedGroup<T>& body, Lanes<T> (&terms)[kFitTerms]) {
  const Lanes<T> mean = mean_scale<T>(x);
  for (int k = 0; k < kFitJoints; ++k) {
    add_scale_values(scale_and_peers<T>(p, x, mean, k), T(k < p.mirror[k] ? 1 : 0), p.scale_low,
                     p.scale_high, terms);
    if (k == 0) continue;
    add_angle_values(vec3(x + kPoseAt + 3 * k), k, p.pose_terms, terms);
    terms[kScaleSmoothness] += smoothness_value(x[kScalesAt + k], x[kScalesAt + p.parent[k]]);
  }
  terms[kPrior] += mode_value<T>(p, x);
  add_camera_values(body.rotation(), body.raw, terms);
}

// The share of these terms in the normal matrix (NormalMatrix), without scale symmetry.
template <typename T, typename Matrix>
static inline void add_parameter_curvature(const FitProblem<T>& p, const Setting<T>& setting,
                                           const ParameterLanes<T>& x, const PosedGroup<T>& body,
                                           Matrix& h) {
  using V = Lanes<T>;
  const T* const weights = setting.value;
  const V smooth = smoothness_curvature(weights);
  const ModeBound<T> bound(p);
  h.top[3][3] += scale_curvature(x[kScalesAt], weights, p.scale_low, p.scale_high);
  for (int a = 1; a < kFitJoints; ++a) {
    auto& own = h.joint(a, 0);
    for (int axis = 0; axis < 3; ++axis) {
      const int at = 3 * a + axis;
      own[axis][axis] += angle_curvature(x[kPoseAt + at], at, weights, p.pose_terms);
      own[axis][axis] += V(T(2) * weights[kPrior] * bound.value[at]);
    }
    own[3][3] += scale_curvature(x[kScalesAt + a], weights, p.scale_low, p.scale_high) + smooth;
    const int q = p.parent[a];
    V& above = q > 0 ? h.joint(q, 0)[3][3] : h.top[3][3];
    V& between = q > 0 ? h.joint(a, 1)[3][3] : h.root[a][3][3];
    above += smooth;
    between = between - smooth;
  }
  add_camera_curvature(body.rotation(), weights, h.top);
}

// The exact change of these terms, weighted.
template <typename T>
static inline Lanes<T> parameter_change(const FitProblem<T>& p, const Setting<T>& setting,
                                        const ParameterLanes<T>& from,
                                        const PosedGroup<T>& from_body, const ParameterLanes<T>& to,
                                        const PosedGroup<T>& to_body) {
  using V = Lanes<T>;
  const T* const weights = setting.value;
  const V mean = mean_scale<T>(from), new_mean = mean_scale<T>(to);
  V sum = T(0);
  for (int k = 0; k < kFitJoints; ++k) {
    sum += scale_change(scale_and_peers<T>(p, from, mean, k),
                        scale_and_peers<T>(p, to, new_mean, k), weights, p.scale_low, p.scale_high);
    if (k == 0) continue;
    for (int at = 3 * k; at < 3 * k + 3; ++at) {
      sum += angle_change(from[kPoseAt + at], to[kPoseAt + at], at, weights, p.pose_terms);
    }
    const int own = kScalesAt + k, parent = kScalesAt + p.parent[k];
    sum += smoothness_change(from[own], from[parent], to[own], to[parent], weights);
  }
  sum += mode_change<T>(p, weights[kPrior], from, to);
  return sum + camera_change(lean(from_body.rotation()), lean(to_body.rotation()), weights);
}

}  // namespace bodyreg::BODYREG_ISA
