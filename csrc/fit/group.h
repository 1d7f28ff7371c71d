// A group of people as lanes: their evidence, their bodies posed by some parameters, and the
// gradient of the objective there. The algebra is in fit_math.h, the points' share in moments.h.
#pragma once

#include "../common/simd_math.h"
#include "fit_math.h"
#include "moments.h"

namespace bodyreg::BODYREG_ISA {

// Far angles are rare, so their lanes go through libm one by one.
template <typename T>
static inline Versines<Lanes<T>> versines_beyond_reach(const Lanes<T>& u) {
  return {map([](T x) { return bodyreg::versines_beyond_reach(x).e; }, u),
          map([](T x) { return bodyreg::versines_beyond_reach(x).f; }, u)};
}

// A settings row in the op's own type.
template <typename T>
struct Setting {
  explicit Setting(const double* row) {
    for (int i = 0; i < kFitSettings; ++i) value[i] = static_cast<T>(row[i]);
  }
  T value[kFitSettings];

  T operator[](int i) const { return value[i]; }
  T inverse_width2() const { return T(1) / (value[kDenseWidthAt] * value[kDenseWidthAt]); }
};

// 108 numbers of each person.
template <typename T>
using ParameterLanes = Lanes<T>[kParameters];

template <typename T>
static inline Vec3<Lanes<T>> lanes3(const T* p) {
  return {Lanes<T>(p[0]), Lanes<T>(p[1]), Lanes<T>(p[2])};
}
template <typename T>
static inline Vec3<Lanes<T>> vec3(const Lanes<T>* p) {
  return {p[0], p[1], p[2]};
}

// The bodies of a group.
template <typename T>
struct PosedGroup {
  using V = Lanes<T>;

  Mat3<V> raw;
  Orthonormal<V> camera;  // what Gram–Schmidt found of raw
  V mirror;               // det Q: 1, or −1 where raw reflects
  V scale;                // s
  AxisAngle<V> angle[kFitJoints];
  PosedJoint<V> joint[kFitJoints];
  V size[kFitJoints];     // s S_k
  V rows[kFitJoints][8];  // M_k

  const Mat3<V>& rotation() const { return joint[0].turn; }

  void pose(const FitProblem<T>& p, const ParameterLanes<T>& x) {
    for (int i = 0; i < 9; ++i) raw.m[i] = x[kRotationAt + i];
    camera = orthonormalize(raw, p.six_numbers);
    const Mat3<V> q = rotation_of(camera);
    mirror = select(determinant(q) < V(T(0)), V(T(-1)), V(T(1)));
    scale = x[kCameraScaleAt];
    const V translation[2] = {x[kTranslationAt], x[kTranslationAt + 1]};
    for (int k = 0; k < kFitJoints; ++k) {
      const int parent = p.parent[k];
      if (k == 0) {
        joint[0] = posed_root(q, scale, lanes3(p.joints));
      } else {
        const Vec3<V> theta = vec3(x + kPoseAt + 3 * k);
        angle[k] = axis_angle(theta);
        joint[k] =
            posed_child(joint[parent], size[parent], bone(p, k), rotation_matrix(theta, angle[k]));
      }
      size[k] = scale * x[kScalesAt + k];
      image_rows(joint[k], size[k], translation, rows[k]);
    }
  }

  // J_k − J_parent(k)
  static Vec3<V> bone(const FitProblem<T>& p, int k) {
    return lanes3(p.joints + 3 * k) - lanes3(p.joints + 3 * p.parent[k]);
  }
};

// Keypoints. They are few and the same points of the body for everybody, so where their exact
// places are wanted, they are posed directly; on the picture an iteration has them in its moments.
template <typename T>
class GroupKeypoints {
 public:
  using V = Lanes<T>;
  static constexpr int W = V::width;

  GroupKeypoints(const FitProblem<T>& p, const PairList<T>& pairs)
      : p_(p),
        pairs_(pairs),
        xy_(2 * p.keypoints),
        weight_(p.keypoints),
        depth_(p.keypoints),
        depth_weight_(p.keypoints) {
    for (int32_t e = 0; e < pairs.first[p.keypoints + 1]; ++e) {
      joints_ |= 1u << pairs.joint[e];
      if (!at_joint(e)) turning_ |= 1u << pairs.joint[e];
    }
  }

  void load(int64_t first, int people) {
    const int64_t K = p_.keypoints;
    to_lanes(p_.keypoint_xy + first * 2 * K, 2 * K, people, 2 * K, numbers(xy_), W);
    to_lanes(p_.keypoint_weight + first * K, K, people, K, numbers(weight_), W);
    to_lanes(p_.keypoint_depth + first * K, K, people, K, numbers(depth_), W);
    to_lanes(p_.depth_weight + first * K, K, people, K, numbers(depth_weight_), W);
  }

  const PairList<T>& pairs() const { return pairs_; }
  // w_j of the depth, 0 where there is none
  const V& depth_weight(int j) const { return depth_weight_[j]; }
  uint32_t joints() const { return joints_; }    // that keypoints hang on
  uint32_t turning() const { return turning_; }  // whose turning moves one

  // Σ_j w_j |x_j − x̂_j|²
  V image_term(const PosedGroup<T>& body) const {
    V sum = T(0);
    for (int j = 0; j < p_.keypoints; ++j) {
      V x = -xy_[2 * j], y = -xy_[2 * j + 1];
      for (int32_t e = pairs_.first[j + 1]; e < pairs_.first[j + 2]; ++e) {
        const V* const m = body.rows[pairs_.joint[e]];
        const Quad<T>& h = pairs_.anchor[e];
        for (int c = 0; c < 4; ++c) {
          x += V(h[c]) * m[c];
          y += V(h[c]) * m[4 + c];
        }
      }
      sum += present(weight_[j], weight_[j] * (x * x + y * y));
    }
    return sum;
  }

  // Σ_j w_j (z_j − z_pelvis − ẑ_j)²
  V depth_term(const PosedGroup<T>& body) const {
    V sum = T(0);
    const V pelvis = z(body, 0);
    for (int j = 0; j < p_.keypoints; ++j) {
      const V error = z(body, j + 1) - pelvis - depth_[j];
      sum += present(depth_weight_[j], depth_weight_[j] * error * error);
    }
    return sum;
  }

  // The z rows of Y that the depths make, for the joints in use.
  void pull_depths(T weight, const PosedGroup<T>& body, V (&rows)[kFitJoints][4]) const {
    for (uint32_t left = joints_; left != 0; left &= left - 1) {
      for (V& number : rows[__builtin_ctz(left)]) number = T(0);
    }
    V total = T(0);
    const V pelvis = z(body, 0);
    for (int j = 0; j < p_.keypoints; ++j) {
      const V error = z(body, j + 1) - pelvis - depth_[j];
      const V force = present(depth_weight_[j], V(T(2) * weight) * depth_weight_[j] * error);
      add(j + 1, force, rows);
      total += force;
    }
    add(0, -total, rows);
  }

 private:
  static T* numbers(Buffer<V>& lanes) { return reinterpret_cast<T*>(lanes.data()); }

  // What stands where a weight is zero may be anything.
  static V present(const V& weight, const V& value) {
    return select(weight == V(T(0)), V(T(0)), value);
  }

  bool at_joint(int32_t e) const {
    const Quad<T>& h = pairs_.anchor[e];
    return h[0] == T(0) && h[1] == T(0) && h[2] == T(0);
  }

  V z(const PosedGroup<T>& body, int i) const {
    V sum = T(0);
    for (int32_t e = pairs_.first[i]; e < pairs_.first[i + 1]; ++e) {
      const int k = pairs_.joint[e];
      const Quad<T>& h = pairs_.anchor[e];
      sum += V(h[3]) * body.joint[k].position.z;
      if (at_joint(e)) continue;
      const V* const c = body.joint[k].turn.m + 6;
      sum += body.size[k] * (V(h[0]) * c[0] + V(h[1]) * c[1] + V(h[2]) * c[2]);
    }
    return sum;
  }

  void add(int i, const V& force, V (&rows)[kFitJoints][4]) const {
    for (int32_t e = pairs_.first[i]; e < pairs_.first[i + 1]; ++e) {
      V* const row = rows[pairs_.joint[e]];
      const Quad<T>& h = pairs_.anchor[e];
      row[3] += V(h[3]) * force;
      if (at_joint(e)) continue;
      for (int c = 0; c < 3; ++c) row[c] += V(h[c]) * force;
    }
  }

  const FitProblem<T>& p_;
  PairList<T> pairs_;
  Buffer<V> xy_, weight_, depth_, depth_weight_;  // (K, 2) and (K,)
  uint32_t joints_ = 0, turning_ = 0;
};

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
