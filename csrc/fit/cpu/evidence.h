// The evidence of a group of people: loads it once, refreshes the terms that are not squares, and
// computes the exact value of every term.
#pragma once

#include "point_terms.h"
#include "terms.h"

namespace bodyreg::BODYREG_ISA {

template <typename T>
class GroupEvidence {
 public:
  using V = Lanes<T>;
  static constexpr int W = V::width;

  // most: points of the largest group; refreshes: whether the terms of all people need refreshes,
  // not only of those that are seen in perspective.
  GroupEvidence(const FitProblem<T>& p, int64_t most, bool with_normals, bool refreshes)
      : p_(p),
        with_normals_(with_normals),
        all_refresh_(refreshes),
        keypoint_influences_(p),
        keypoints_(p, keypoint_influences_.influences()),
        points_(p, most, with_normals),
        surface_(p),
        scratch_(most),
        person_moments_(W),
        person_normals_(W),
        rows_(W * kRows),
        turns_(W * kTurns),
        sizes_(W * kFitJoints),
        rays_(W * kFitJoints) {
    set_zero(reinterpret_cast<T*>(rays_.data()), 3 * W * kFitJoints);
  }

  const GroupMoments<T>& moments() const { return moments_; }
  const GroupNormals<T>& normals() const { return normals_; }
  const GroupKeypoints<T>& keypoints() const { return keypoints_; }

  void load(int64_t first, int people) {
    first_ = first;
    people_ = people;
    points_.contract(p_.point_start[first], p_.point_start[first + people]);
    keypoints_.load(first, people);
    normals_.joints = 0;
    fresh_ = true;
    if (with_normals_) find_rays();
  }

  // Whether the terms of some person depend on the body at the last refresh.
  bool refreshes() const { return all_refresh_ || keypoints_.in_perspective(); }

  // Takes weights, active points and tangents anew at the current body. The body makes no
  // difference to a person that needs no refresh; such a person keeps the weights of the first.
  void refresh(const Setting<T>& setting, const PosedGroup<T>& body) {
    spread(body);
    normals_.joints = 0;
    const bool all = all_refresh_ || fresh_;
    fresh_ = false;
    for (int l = 0; l < people_; ++l) {
      if (!all && p_.perspective[3 * (first_ + l)] == T(0)) continue;
      Person<T> person = person_of(l);
      PersonMoments<T>& moments = person_moments_[l];
      moments.clear();
      if (setting[kDense] != T(0)) {
        person.add_dense(setting[kDense], inverse_width2(setting.value), moments);
      }
      if (setting[kKeypoint] != T(0)) {
        person.add_keypoints(setting[kKeypoint], keypoint_influences_.influences(), moments);
      }
      if (reads_normals(setting.value)) {
        person.find_normals();
        normals_.joints |= person.add_normals(setting, person_normals_[l]);
      }
    }
    moments_.gather(person_moments_.data(), people_, keypoints_.in_perspective());
    for (uint32_t left = normals_.joints; left != 0; left &= left - 1) {
      const int k = __builtin_ctz(left);
      V rows[16];  // whole tiles transpose fastest
      to_lanes(reinterpret_cast<const T*>(person_normals_[0].form[k]),
               sizeof(PersonNormals<T>) / sizeof(T), people_, 16, reinterpret_cast<T*>(rows), W);
      for (int i = 0; i < 12; ++i) normals_.form[k][i] = rows[i];
    }
  }

  // The terms' exact values times their weights; a term of weight 0 is 0. Returns their sum.
  V judge(const Setting<T>& setting, const ParameterLanes<T>& x, const PosedGroup<T>& body,
          V (&terms)[kFitTerms]) {
    for (V& term : terms) term = T(0);
    add_parameter_values(p_, x, body, terms);
    if (setting[kKeypoint] != T(0)) terms[kKeypoint] = keypoints_.image_term(body);
    if (setting[kDepth] != T(0)) terms[kDepth] = keypoints_.depth_term(body);
    find_point_terms(setting, body, terms);
    V loss = T(0);
    for (int i = 0; i < kFitTerms; ++i) {
      terms[i] = setting[i] != T(0) ? V(setting[i]) * terms[i] : V(T(0));
      loss += terms[i];
    }
    return loss;
  }

 private:
  static constexpr int kRows = 8 * kFitJoints;    // M_k
  static constexpr int kTurns = 12 * kFitJoints;  // C_k and P_k

  // The group's bodies, person by person.
  void spread(const PosedGroup<T>& body) {
    static_assert(sizeof(PosedJoint<V>) == 12 * sizeof(V));
    from_lanes(reinterpret_cast<const T*>(body.rows), W, people_, kRows, rows_.data(), kRows);
    from_lanes(reinterpret_cast<const T*>(body.joint), W, people_, kTurns, turns_.data(), kTurns);
    if (!keypoints_.in_perspective()) return;
    from_lanes(reinterpret_cast<const T*>(body.size), W, people_, kFitJoints, sizes_.data(),
               kFitJoints);
  }

  Person<T> person_of(int l) {
    return Person<T>(p_, points_, surface_, scratch_, first_ + l, rows_.data() + l * kRows,
                     turns_.data() + l * kTurns, sizes_.data() + l * kFitJoints,
                     rays_.data() + l * kFitJoints);
  }

  void find_rays() {
    for (int l = 0; l < people_; ++l) {
      const int64_t b = first_ + l, begin = p_.point_start[b];
      const Perspective<T> camera = perspective_of(p_.perspective + 3 * b);
      Vec3<T> sums[kFitJoints] = {};  // Σ w x̂, and Σ w in z
      for (int64_t i = begin; camera.inverse_focal != T(0) && i < p_.point_start[b + 1]; ++i) {
        const T w = p_.point_weight[i];
        if (!(w > T(0))) continue;
        Vec3<T>& sum = sums[points_.segments(begin)[i - begin]];
        sum = sum + Vec3<T>{w * p_.point_xy[2 * i], w * p_.point_xy[2 * i + 1], w};
      }
      for (int k = 0; k < kFitJoints; ++k) {
        rays_[l * kFitJoints + k] = segment_ray(camera, sums[k].z, sums[k].x, sums[k].y);
      }
    }
    static_assert(sizeof(normals_.ray) == 3 * kFitJoints * sizeof(V));
    to_lanes(reinterpret_cast<const T*>(rays_.data()), 3 * kFitJoints, people_, 3 * kFitJoints,
             reinterpret_cast<T*>(normals_.ray), W);
  }

  void find_point_terms(const Setting<T>& setting, const PosedGroup<T>& body,
                        V (&terms)[kFitTerms]) {
    spread(body);
    for (int l = 0; l < people_; ++l) {
      Person<T> person = person_of(l);
      if (setting[kDense] != T(0))
        terms[kDense].v[l] = person.dense_term(inverse_width2(setting.value));
      if (!reads_normals(setting.value)) continue;
      person.find_normals();
      if (setting[kFacing] != T(0)) terms[kFacing].v[l] = person.facing_term();
      if (setting[kVisibility] != T(0)) terms[kVisibility].v[l] = person.visibility_term();
    }
  }

  const FitProblem<T>& p_;
  bool with_normals_, all_refresh_;
  bool fresh_ = true;  // no refresh since the group was loaded
  Keypoints<T> keypoint_influences_;
  GroupKeypoints<T> keypoints_;
  GroupPoints<T> points_;
  Surface<T> surface_;
  PointScratch<T> scratch_;
  int64_t first_ = 0;
  int people_ = 0;
  Buffer<PersonMoments<T>> person_moments_;
  Buffer<PersonNormals<T>> person_normals_;
  Buffer<T> rows_, turns_, sizes_;  // per person
  Buffer<Vec3<T>> rays_;
  GroupMoments<T> moments_;
  GroupNormals<T> normals_;
};

}  // namespace bodyreg::BODYREG_ISA
