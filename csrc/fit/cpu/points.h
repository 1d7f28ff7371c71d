// Points of a body's surface, and keypoints, as influences (joint k, h') with h' relative to the
// joint:
//
//   h = Σ_corners barycentric · anchor        h' = (h_xyz − h_w J_k, h_w)
//
// so that a point's image is Σ_k M_k h', M_k = [s S_k C_k | P_k + t]. For fit_cpu.cpp.
#pragma once

#include "../../common/anchor.h"
#include "../../common/buffer.h"
#include "../fit.h"

namespace bodyreg::BODYREG_ISA {

// The influences of points, one point after the other: point i owns first[i] … first[i + 1].
template <typename T>
struct InfluenceList {
  const int32_t* first;
  const int32_t* joint;
  const Quad<T>* anchor;
};

// The joint that moves point i most: the largest h_w, the first of equals. It has influences.
template <typename T>
static inline int segment_of(const InfluenceList<T>& influences, int64_t i) {
  int32_t strongest = influences.first[i];
  for (int32_t e = influences.first[i] + 1; e < influences.first[i + 1]; ++e) {
    if (influences.anchor[e][3] > influences.anchor[strongest][3]) strongest = e;
  }
  return influences.joint[strongest];
}

// Sums of a point's influences per joint, which write() clears for the next point.
template <typename T>
class Contraction {
 public:
  Contraction() {
    for (Quad<T>& sum : sum_) sum = Quad<T>{};
  }

  // share · (id, anchor) for each of a rig point's slots.
  void add(T share, const int32_t* ids, const T* anchors, int slots) {
    if (share == T(0)) return;
    const bool wild = !(share - share == T(0));  // NaN or infinite: so is its product with a zero
    for (int e = 0; e < slots; ++e) {
      sum_[ids[e]] += share * load_quad(anchors + 4 * e);
      used_ |= uint32_t{wild || !is_empty(anchors + 4 * e)} << ids[e];
    }
  }

  // Writes the influences by rising joint and returns how many there are.
  int write(const T* joints, int32_t* joint, Quad<T>* anchor) {
    int count = 0;
    for (; used_ != 0; used_ &= used_ - 1, ++count) {
      const int k = __builtin_ctz(used_);
      const Quad<T> h = sum_[k];
      sum_[k] = Quad<T>{};
      joint[count] = k;
      anchor[count] = h - h[3] * Quad<T>{joints[3 * k], joints[3 * k + 1], joints[3 * k + 2], T(0)};
    }
    return count;
  }

 private:
  Quad<T> sum_[kFitJoints];
  uint32_t used_ = 0;
};

// The keypoints of all people, the pelvis first.
template <typename T>
class Keypoints {
 public:
  explicit Keypoints(const FitProblem<T>& p)
      : first_(p.keypoints + 2),
        joint_((p.keypoints + 1) * p.keypoint_influences),
        anchor_((p.keypoints + 1) * p.keypoint_influences) {
    Contraction<T> point;
    first_[0] = 0;
    for (int i = 0; i <= p.keypoints; ++i) {
      point.add(T(1), p.keypoint_ids + i * p.keypoint_influences,
                p.keypoint_anchors + 4 * i * p.keypoint_influences, p.keypoint_influences);
      const int at = first_[i];
      first_[i + 1] = at + point.write(p.joints, joint_.data() + at, anchor_.data() + at);
    }
  }

  InfluenceList<T> influences() const { return {first_.data(), joint_.data(), anchor_.data()}; }

 private:
  Buffer<int32_t> first_;
  Buffer<int32_t> joint_;
  Buffer<Quad<T>> anchor_;
};

// The points of one group of people.
template <typename T>
class GroupPoints {
 public:
  // Room for groups of up to `most` points.
  GroupPoints(const FitProblem<T>& p, int64_t most, bool with_normals)
      : p_(p),
        with_normals_(with_normals),
        first_(most + 1),
        joint_(most * most_influences(p)),
        anchor_(most * most_influences(p)),
        normal_(with_normals ? most : 0),
        segment_(with_normals ? most : 0) {}

  void contract(int64_t begin, int64_t end) {
    Contraction<T> point;
    begin_ = begin;
    first_[0] = 0;
    for (int64_t i = begin; i < end; ++i) {
      if (i + kAhead < end) prefetch(p_.point_vertex + 3 * (i + kAhead));
      const int32_t* const corners = p_.point_vertex + 3 * i;
      const T* const shares = p_.point_barycentric + 3 * i;
      for (int c = 0; c < 3; ++c) {
        const int64_t at = int64_t{corners[c]} * p_.vertex_influences;
        point.add(shares[c], p_.vertex_ids + at, p_.vertex_anchors + 4 * at, p_.vertex_influences);
      }
      const int32_t at = first_[i - begin];
      const int influences = point.write(p_.joints, joint_.data() + at, anchor_.data() + at);
      first_[i - begin + 1] = at + influences;
      if (with_normals_) find_normal(i - begin, corners, shares, influences);
    }
  }

  // Point i of the problem: its influences begin at influences(i).first[0].
  InfluenceList<T> influences(int64_t i) const {
    return {first_.data() + (i - begin_), joint_.data(), anchor_.data()};
  }
  // Unit rest normals (x, y, z, 0) and the segments that turn them: the largest h_w, first of
  // equals.
  const Quad<T>* normals(int64_t i) const { return normal_.data() + (i - begin_); }
  const int32_t* segments(int64_t i) const { return segment_.data() + (i - begin_); }

 private:
  static int64_t most_influences(const FitProblem<T>& p) {
    return 3 * p.vertex_influences < kFitJoints ? 3 * p.vertex_influences : kFitJoints;
  }

  // Vertices lie anywhere in tables that are larger than the first cache.
  static constexpr int64_t kAhead = 8;
  void prefetch(const int32_t* corners) const {
    for (int c = 0; c < 3; ++c) {
      const int64_t at = int64_t{corners[c]} * p_.vertex_influences;
      __builtin_prefetch(p_.vertex_ids + at);
      __builtin_prefetch(p_.vertex_anchors + 4 * at);
    }
  }

  void find_normal(int64_t i, const int32_t* corners, const T* shares, int influences) {
    Quad<T> sum = {};
    for (int c = 0; c < 3; ++c) {
      const T* const n = p_.vertex_normals + 3 * int64_t{corners[c]};
      sum += shares[c] * Quad<T>{n[0], n[1], n[2], T(0)};
    }
    const T length = std::sqrt(sum[0] * sum[0] + sum[1] * sum[1] + sum[2] * sum[2]);
    normal_[i] = sum / maximum(length, T(1e-12));
    segment_[i] =
        influences > 0
            ? segment_of(InfluenceList<T>{first_.data(), joint_.data(), anchor_.data()}, i)
            : 0;
  }

  const FitProblem<T>& p_;
  bool with_normals_;
  int64_t begin_ = 0;
  Buffer<int32_t> first_;
  Buffer<int32_t> joint_;
  Buffer<Quad<T>> anchor_;
  Buffer<Quad<T>> normal_;
  Buffer<int32_t> segment_;
};

}  // namespace bodyreg::BODYREG_ISA
