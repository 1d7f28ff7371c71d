// The bodies of a group of people as lanes, posed by some parameters (forward; see joint_math.h).
#pragma once

#include "../../common/simd_math.h"
#include "../joint_math.h"

namespace bodyreg::BODYREG_ISA {

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

}  // namespace bodyreg::BODYREG_ISA
