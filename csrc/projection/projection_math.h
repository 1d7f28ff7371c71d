// One point of a weak-perspective camera.
#pragma once

#include "../common/geometry.h"

namespace bodyreg {

// The projection of one point: frame coordinates in x and y, depth in z.
template <typename T>
BODYREG_HD Vec3<T> project(const Mat3<T>& rotation, T scale, const T* translation,
                           const Vec3<T>& v) {
  const Vec3<T> turned = rotation * v;
  return {scale * turned.x + translation[0], scale * turned.y + translation[1], scale * turned.z};
}

// What one point adds to the camera's gradients: Σ g vᵀ and Σ g. The rest follows from them once
// per person.
template <typename T>
struct CameraSums {
  Mat3<T> gv;  // Σ g vᵀ
  Vec3<T> g;   // Σ g
};

// The gradient of one point: s Rᵀ g.
template <typename T>
BODYREG_HD Vec3<T> project_backward(const Mat3<T>& rotation, T scale, const Vec3<T>& g) {
  return scale * transposed_times(rotation, g);
}

// From Σ g vᵀ: the gradient of the rotation, s Σ g vᵀ, and of the scale, ⟨R, Σ g vᵀ⟩.
template <typename T>
BODYREG_HD Mat3<T> rotation_grad(T scale, const CameraSums<T>& sums) {
  return scale * sums.gv;
}

template <typename T>
BODYREG_HD T scale_grad(const Mat3<T>& rotation, const CameraSums<T>& sums) {
  return inner(rotation, sums.gv);
}

}  // namespace bodyreg
