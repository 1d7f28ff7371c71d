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
        shears_(W * kFitJoints) {}

  const GroupMoments<T>& moments() const { return moments_; }
  const GroupNormals<T>& normals() const { return normals_; }
  const Shear<V> (&shear() const)[kFitJoints] { return shear_; }
  const GroupKeypoints<T>& keypoints() const { return keypoints_; }

  void load(int64_t first, int people) {
    first_ = first;
    people_ = people;
    points_.contract(p_.point_start[first], p_.point_start[first + people]);
    keypoints_.load(first, people);
    normals_.joints = 0;
    fresh_ = true;
    for (uint32_t& joints : normal_joints_) joints = 0;
    find_rays();
  }

  // Whether the terms of some person depend on the body at the last refresh.
  bool refreshes() const { return all_refresh_ || keypoints_.in_perspective(); }

  // Takes weights, active points and tangents anew at the current body: of all people, or only of
  // those that are seen in perspective. The body makes no difference to a person that needs no
  // refresh; such a person keeps the weights of the first.
  void refresh(const Setting<T>& setting, const PosedGroup<T>& body, bool of_all = true) {
    spread(body);
    normals_.joints = 0;
    const bool all = fresh_ || (all_refresh_ && of_all);
    fresh_ = false;
    for (int l = 0; l < people_; ++l) {
      if (!all && p_.perspective[3 * (first_ + l)] == T(0)) {
        normals_.joints |= normal_joints_[l];
        continue;
      }
      Person<T> person = person_of(l);
      PersonMoments<T>& moments = person_moments_[l];
      moments.clear();
      if (setting[kDense] != T(0)) {
        person.add_dense(setting[kDense], inverse_width2(setting.value), moments);
      }
      if (setting[kKeypoint] != T(0)) {
        person.add_keypoints(setting[kKeypoint], keypoint_influences_.influences(), moments);
      }
      normal_joints_[l] = 0;
      if (reads_normals(setting.value)) {
        person.find_normals();
        normal_joints_[l] = person.add_normals(setting, person_normals_[l]);
        normals_.joints |= normal_joints_[l];
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
                     shears_.data() + l * kFitJoints);
  }

  // A segment's ray leads through the middle of its points; without points, of its keypoints.
  void find_rays() {
    for (int l = 0; l < people_; ++l) {
      const Perspective<T> camera = perspective_of(p_.perspective + 3 * (first_ + l));
      Vec3<T> points[kFitJoints] = {}, keypoints[kFitJoints] = {};  // Σ w x̂, and Σ w in z
      if (camera.inverse_focal != T(0)) {
        sum_points(first_ + l, points);
        sum_keypoints(first_ + l, keypoints);
      }
      for (int k = 0; k < kFitJoints; ++k) {
        const Vec3<T>& sum = points[k].z > T(0) ? points[k] : keypoints[k];
        shears_[l * kFitJoints + k] = segment_shear(camera, sum.z, sum.x, sum.y);
      }
    }
    static_assert(sizeof(shear_) == 2 * kFitJoints * sizeof(V));
    to_lanes(reinterpret_cast<const T*>(shears_.data()), 2 * kFitJoints, people_, 2 * kFitJoints,
             reinterpret_cast<T*>(shear_), W);
    for (int k = 0; k < kFitJoints; ++k) normals_.ray[k] = ray_of(shear_[k]);
  }

  void sum_points(int64_t b, Vec3<T> (&sums)[kFitJoints]) const {
    const int64_t begin = p_.point_start[b], end = p_.point_start[b + 1];
    const InfluenceList<T> influences = points_.influences(begin);
    for (int64_t i = begin; i < end; ++i) {
      add_seen_at(influences, i - begin, p_.point_weight[i], p_.point_xy + 2 * i, sums);
    }
  }

  void sum_keypoints(int64_t b, Vec3<T> (&sums)[kFitJoints]) const {
    for (int64_t j = 0; j < p_.keypoints; ++j) {
      const int64_t at = b * p_.keypoints + j;
      add_seen_at(keypoint_influences_.influences(), j + 1, p_.keypoint_weight[at],
                  p_.keypoint_xy + 2 * at, sums);
    }
  }

  // Adds point i of the list to the sums of its segment.
  static void add_seen_at(const InfluenceList<T>& influences, int64_t i, T w, const T* xy,
                          Vec3<T> (&sums)[kFitJoints]) {
    if (!(w > T(0)) || influences.first[i] == influences.first[i + 1]) return;
    Vec3<T>& sum = sums[segment_of(influences, i)];
    sum = sum + Vec3<T>{w * xy[0], w * xy[1], w};
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
  uint32_t normal_joints_[W];       // segments with normals, per person
  Buffer<T> rows_, turns_, sizes_;  // per person
  Buffer<Shear<T>> shears_;         // u of every person's segments
  Shear<V> shear_[kFitJoints];
  GroupMoments<T> moments_;
  GroupNormals<T> normals_;
};

}  // namespace bodyreg::BODYREG_ISA
