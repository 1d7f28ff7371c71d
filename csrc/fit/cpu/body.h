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
  Orthonormal<V> camera;  // Gram–Schmidt's intermediate values of raw
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
    mirror = handedness(q);
    scale = x[kCameraScaleAt];
    const V translation[2] = {x[kTranslationAt], x[kTranslationAt + 1]};
    T local[9][kFitJoints];  // the joints' own rotations, for a person alone
    if constexpr (V::width == 1) turn_joints(reinterpret_cast<const T*>(x), local);
    for (int k = 0; k < kFitJoints; ++k) {
      const int parent = p.parent[k];
      if (k == 0) {
        joint[0] = posed_root(q, scale, lanes3(p.joints));
      } else {
        Mat3<V> rotation;
        if constexpr (V::width == 1) {
          for (int i = 0; i < 9; ++i) rotation.m[i] = local[i][k];
        } else {
          const Vec3<V> theta = vec3(x + kPoseAt + 3 * k);
          angle[k] = axis_angle(theta);
          rotation = rotation_matrix(theta, angle[k]);
        }
        joint[k] = posed_child(joint[parent], size[parent], bone(p, k), rotation);
      }
      size[k] = scale * x[kScalesAt + k];
      image_rows(joint[k], size[k], translation, rows[k]);
    }
  }

  // The joints' own rotations and their coefficients, for a person alone: joints are the lanes.
  void turn_joints(const T* x, T (&local)[9][kFitJoints]) {
    constexpr int N = 8;
    using Joints = Lanes<T, N>;
    for (int k = 0; k < kFitJoints; k += N) {
      const Vec3<Joints> theta = columns3(x + kPoseAt + 3 * k);
      const AxisAngle<Joints> found = axis_angle(theta);
      const Mat3<Joints> turn = rotation_matrix(theta, found);
      for (int l = 0; l < N; ++l) {
        angle[k + l] = {V(found.sine.v[l]), V(found.versine.v[l]), V(found.excess.v[l])};
      }
      for (int i = 0; i < 9; ++i) store_lanes(local[i] + k, turn.m[i]);
    }
  }

  // Eight rows of three numbers -> their columns.
  static Vec3<Lanes<T, 8>> columns3(const T* rows) {
    const auto a = load_lanes<T, 8>(rows).v, b = load_lanes<T, 8>(rows + 8).v,
               c = load_lanes<T, 8>(rows + 16).v;
    using V8 = Lanes<T, 8>;
    const auto x = __builtin_shufflevector(a, b, 0, 3, 6, 9, 12, 15, 0, 0);
    const auto y = __builtin_shufflevector(a, b, 1, 4, 7, 10, 13, 0, 0, 0);
    const auto z = __builtin_shufflevector(a, b, 2, 5, 8, 11, 14, 0, 0, 0);
    return {V8(__builtin_shufflevector(x, c, 0, 1, 2, 3, 4, 5, 10, 13)),
            V8(__builtin_shufflevector(y, c, 0, 1, 2, 3, 4, 8, 11, 14)),
            V8(__builtin_shufflevector(z, c, 0, 1, 2, 3, 4, 9, 12, 15))};
  }

  // Of joint k, frame units.
  Vec3<V> place(const ParameterLanes<T>& x, int k) const {
    return joint[k].position + Vec3<V>{x[kTranslationAt], x[kTranslationAt + 1], V(T(0))};
  }

  // J_k − J_parent(k)
  static Vec3<V> bone(const FitProblem<T>& p, int k) {
    return lanes3(p.joints + 3 * k) - lanes3(p.joints + 3 * p.parent[k]);
  }
};

}  // namespace bodyreg::BODYREG_ISA
