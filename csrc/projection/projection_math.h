// One point of a camera, weak or perspective.
#pragma once

#include "../common/geometry.h"
#include "../common/scalar.h"
#include "magnification.h"
#include "projection.h"

namespace bodyreg {

// One person's camera. Its distance from the person is 1/φ, in frame units; with φ = 0 all rays are
// parallel, which is weak perspective.
template <typename T>
struct Camera {
  Mat3<T> rotation;      // R
  T scale;               // s
  T translation[2];      // t
  T inverse_focal;       // φ
  T principal_point[2];  // c
};

// The camera of person b; T is the parameters' scalar or its lanes, which are all the same then.
template <typename T>
BODYREG_HD Camera<T> load_camera(const CameraParams<Scalar<T>>& p, int64_t b) {
  Camera<T> camera;
  for (int i = 0; i < 9; ++i) camera.rotation.m[i] = p.rotation[9 * b + i];
  camera.scale = p.scale[b];
  camera.inverse_focal = p.perspective[3 * b];
  for (int i = 0; i < 2; ++i) {
    camera.translation[i] = p.translation[2 * b + i];
    camera.principal_point[i] = p.perspective[3 * b + 1 + i];
  }
  return camera;
}

// X = s (R v)_xy + t in x and y, z = s (R v)_z.
template <typename T>
BODYREG_HD Vec3<T> weak_projection(const Camera<T>& camera, const Vec3<T>& v) {
  const Vec3<T> turned = camera.rotation * v;
  return {camera.scale * turned.x + camera.translation[0],
          camera.scale * turned.y + camera.translation[1], camera.scale * turned.z};
}

// The projection of one point: frame coordinates in x and y, depth in z.
template <typename T>
BODYREG_HD Vec3<T> project(const Camera<T>& camera, const Vec3<T>& v) {
  const Vec3<T> weak = weak_projection(camera, v);
  const T m = magnification(camera.inverse_focal, weak.z).m;
  return {weak.x + (weak.x - camera.principal_point[0]) * m,
          weak.y + (weak.y - camera.principal_point[1]) * m, weak.z};
}

// What one point adds to the camera's gradients. Those of rotation, scale and translation follow
// once per person from the sums over G, the gradient of the weak projection.
template <typename T>
struct CameraSums {
  Mat3<T> gv;           // Σ G vᵀ
  Vec3<T> g;            // Σ G
  Vec3<T> perspective;  // the gradients of φ and c
};

// The gradient of one point, s Rᵀ G, from the gradient g of its projection; adds to the sums.
template <typename T>
BODYREG_HD Vec3<T> project_backward(const Camera<T>& camera, const Vec3<T>& v, const Vec3<T>& g,
                                    CameraSums<T>& sums) {
  const Vec3<T> weak = weak_projection(camera, v);
  const Magnification<T> by = magnification(camera.inverse_focal, weak.z);
  const T pull =
      ((weak.x - camera.principal_point[0]) * g.x + (weak.y - camera.principal_point[1]) * g.y) *
      by.slope;
  const Vec3<T> weak_grad = {g.x + by.m * g.x, g.y + by.m * g.y, g.z + camera.inverse_focal * pull};
  sums.gv += outer(weak_grad, v);
  sums.g = sums.g + weak_grad;
  sums.perspective = sums.perspective + Vec3<T>{weak.z * pull, -(by.m * g.x), -(by.m * g.y)};
  return camera.scale * transposed_times(camera.rotation, weak_grad);
}

// From Σ G vᵀ: the gradient of the rotation, s Σ G vᵀ, and of the scale, ⟨R, Σ G vᵀ⟩.
template <typename T>
BODYREG_HD Mat3<T> rotation_grad(T scale, const CameraSums<T>& sums) {
  return scale * sums.gv;
}

template <typename T>
BODYREG_HD T scale_grad(const Mat3<T>& rotation, const CameraSums<T>& sums) {
  return inner(rotation, sums.gv);
}

}  // namespace bodyreg
