// The keypoints of a group of people as lanes. They are few, and the same points of the body for
// all people, so they are posed directly: for their exact terms, and in every iteration for their
// depths. Their places on the picture are in the moments.
#pragma once

#include "../ray_math.h"
#include "body.h"
#include "points.h"

namespace bodyreg::BODYREG_ISA {

template <typename T>
class GroupKeypoints {
 public:
  using V = Lanes<T>;
  static constexpr int W = V::width;

  GroupKeypoints(const FitProblem<T>& p, const InfluenceList<T>& influences)
      : p_(p),
        influences_(influences),
        xy_(2 * p.keypoints),
        weight_(p.keypoints),
        depth_(p.keypoints),
        depth_weight_(p.keypoints) {
    for (int32_t e = 0; e < influences.first[p.keypoints + 1]; ++e) {
      joints_ |= 1u << influences.joint[e];
      if (!at_joint(e)) turning_ |= 1u << influences.joint[e];
    }
  }

  void load(int64_t first, int people) {
    const int64_t K = p_.keypoints;
    to_lanes(p_.keypoint_xy + first * 2 * K, 2 * K, people, 2 * K, numbers(xy_), W);
    to_lanes(p_.keypoint_weight + first * K, K, people, K, numbers(weight_), W);
    to_lanes(p_.keypoint_depth + first * K, K, people, K, numbers(depth_), W);
    to_lanes(p_.depth_weight + first * K, K, people, K, numbers(depth_weight_), W);
    to_lanes(p_.perspective + 3 * first, 3, people, 3, reinterpret_cast<T*>(perspective_), W);
    in_perspective_ = false;
    for (int l = 0; l < people; ++l) in_perspective_ |= perspective_[0].v[l] != T(0);
  }

  const InfluenceList<T>& influences() const { return influences_; }
  bool in_perspective() const { return in_perspective_; }  // some person is
  // w_j of the depth, 0 where there is none
  const V& depth_weight(int j) const { return depth_weight_[j]; }
  uint32_t joints() const { return joints_; }    // joints that keypoints hang on
  uint32_t turning() const { return turning_; }  // joints that move a keypoint as they turn

  // Σ_j w_j |x_j − x̂_j|²
  V image_term(const PosedGroup<T>& body) const {
    V sum = T(0);
    for (int j = 0; j < p_.keypoints; ++j) {
      V x = -xy_[2 * j], y = -xy_[2 * j + 1];
      for (int32_t e = influences_.first[j + 1]; e < influences_.first[j + 2]; ++e) {
        const V* const m = body.rows[influences_.joint[e]];
        const Quad<T>& h = influences_.anchor[e];
        for (int c = 0; c < 4; ++c) {
          x += V(h[c]) * m[c];
          y += V(h[c]) * m[4 + c];
        }
      }
      if (in_perspective_) {
        const Perspective<V> camera = {perspective_[0], {perspective_[1], perspective_[2]}};
        const Vec3<V> image = {x + xy_[2 * j], y + xy_[2 * j + 1], z(body, j + 1)};
        const SeenPoint<V> seen = seen_point(camera, image, xy_[2 * j], xy_[2 * j + 1]);
        x = select(camera.inverse_focal == V(T(0)), x, seen.error[0]);
        y = select(camera.inverse_focal == V(T(0)), y, seen.error[1]);
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
      sum += present(depth_weight_[j], depth_value(depth_weight_[j], error));
    }
    return sum;
  }

  // The z rows of Y that the depths make, for the joints in use.
  void pull_depths(const Setting<T>& setting, const PosedGroup<T>& body,
                   V (&rows)[kFitJoints][4]) const {
    for (uint32_t left = joints_; left != 0; left &= left - 1) {
      for (V& number : rows[__builtin_ctz(left)]) number = T(0);
    }
    V total = T(0);
    const V pelvis = z(body, 0);
    for (int j = 0; j < p_.keypoints; ++j) {
      const V error = z(body, j + 1) - pelvis - depth_[j];
      const V force =
          present(depth_weight_[j], depth_slope(depth_weight_[j], error, setting.value));
      add(j + 1, force, rows);
      total += force;
    }
    add(0, -total, rows);
  }

 private:
  static T* numbers(Buffer<V>& lanes) { return reinterpret_cast<T*>(lanes.data()); }

  // Where the weight is zero, the value may be anything, NaN too.
  static V present(const V& weight, const V& value) {
    return select(weight == V(T(0)), V(T(0)), value);
  }

  bool at_joint(int32_t e) const {
    const Quad<T>& h = influences_.anchor[e];
    return h[0] == T(0) && h[1] == T(0) && h[2] == T(0);
  }

  V z(const PosedGroup<T>& body, int i) const {
    V sum = T(0);
    for (int32_t e = influences_.first[i]; e < influences_.first[i + 1]; ++e) {
      const int k = influences_.joint[e];
      const Quad<T>& h = influences_.anchor[e];
      sum += V(h[3]) * body.joint[k].position.z;
      if (at_joint(e)) continue;
      const V* const c = body.joint[k].turn.m + 6;
      sum += body.size[k] * (V(h[0]) * c[0] + V(h[1]) * c[1] + V(h[2]) * c[2]);
    }
    return sum;
  }

  void add(int i, const V& force, V (&rows)[kFitJoints][4]) const {
    for (int32_t e = influences_.first[i]; e < influences_.first[i + 1]; ++e) {
      V* const row = rows[influences_.joint[e]];
      const Quad<T>& h = influences_.anchor[e];
      row[3] += V(h[3]) * force;
      if (at_joint(e)) continue;
      for (int c = 0; c < 3; ++c) row[c] += V(h[c]) * force;
    }
  }

  const FitProblem<T>& p_;
  InfluenceList<T> influences_;
  Buffer<V> xy_, weight_, depth_, depth_weight_;  // (K, 2) and (K,)
  V perspective_[3];
  bool in_perspective_ = false;  // some person
  uint32_t joints_ = 0, turning_ = 0;
};

}  // namespace bodyreg::BODYREG_ISA
