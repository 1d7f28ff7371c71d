// Perspective in a fit: how a person's points are seen, and along which rays.
//
// In perspective a point with the weak image X and the depth z is seen with the error
//
//   e = X + (X − c) m − x̂ = a (X + u z − x̂)        a = 1 + m,   u = φ (x̂ − c)
//
// with m the magnification of magnification.h (the second form holds for points that are not too
// near). But for a this is linear in X and z, and a changes slowly: u z is a step along the ray to
// the camera. All points of a segment have nearly the same ray. So a fit looks at segment k along
// one ray, and reads the rows X + u_k z of its M, the *sheared* rows. A refresh takes from the
// current body what is then left:
//
//   w |e|² as w a² |Σ_k (X + u_k z)_k − x'|²        x' = Σ_k (X + u_k z)_k − e / a
//
// which has the right value, and the right slope by X. By the depth on joint k its slope is short
// of 2 w e · (∂e/∂z − a u_k), which stays as it is until the next refresh.
//
// The normal matrix of Levenberg–Marquardt would need three times as many moments for this square.
// It takes |X|² + κ z² for |X + u_k z|², with κ the largest |u_k|² of a person's segments.
//
// What a surface faces is the same ray, d_k = (−u_k, 1) / |…|, from data alone (rays() of
// bodyreg/registration/padding.py). A normal's z is then d · C_k n.
#pragma once

#include "../common/geometry.h"
#include "../projection/magnification.h"

namespace bodyreg {

// φ and c of a person; φ = 0: weak perspective, where c is not looked at.
template <typename T>
struct Perspective {
  T inverse_focal;
  T principal_point[2];
};

template <typename T>
BODYREG_HD Perspective<T> perspective_of(const T* numbers) {
  return {numbers[0], {numbers[1], numbers[2]}};
}

// What a refresh finds of a point.
template <typename T>
struct SeenPoint {
  T error[2];   // e
  T target[2];  // X − e / a
  T growth;     // a
  T pull;       // e · ∂e/∂z
};

// image: X, and z in z; x, y: x̂.
template <typename T>
BODYREG_HD SeenPoint<T> seen_point(const Perspective<T>& camera, const Vec3<T>& image, const T& x,
                                   const T& y) {
  const T* const c = camera.principal_point;
  const Magnification<T> by = magnification(camera.inverse_focal, image.z);
  const T a = T(1) + by.m;
  const T from_x = image.x - c[0], from_y = image.y - c[1];
  SeenPoint<T> seen;
  seen.error[0] = image.x + from_x * by.m - x;
  seen.error[1] = image.y + from_y * by.m - y;
  seen.target[0] = (x + by.m * c[0]) / a;
  seen.target[1] = (y + by.m * c[1]) / a;
  seen.growth = a;
  seen.pull = camera.inverse_focal * by.slope * (seen.error[0] * from_x + seen.error[1] * from_y);
  return seen;
}

// u of a segment.
template <typename T>
struct Shear {
  T x, y;
};

// The shear of a segment with evidence of the weights w: total = Σ w, x and y = Σ w x̂. It is 0 in
// weak perspective and where there is no evidence.
template <typename T>
BODYREG_HD Shear<T> segment_shear(const Perspective<T>& camera, const T& total, const T& x,
                                  const T& y) {
  if (camera.inverse_focal == T(0) || !(total > T(0))) return {T(0), T(0)};
  return {camera.inverse_focal * (x / total - camera.principal_point[0]),
          camera.inverse_focal * (y / total - camera.principal_point[1])};
}

// |u|², of which a person's largest is κ.
template <typename T>
BODYREG_HD T square(const Shear<T>& u) {
  return u.x * u.x + u.y * u.y;
}

// The sheared rows of M_k. z: row z of [s S_k C_k | P_k].
template <typename T>
BODYREG_HD void shear_rows(const T (&rows)[8], const T (&z)[4], const Shear<T>& u, T (&out)[8]) {
  for (int c = 0; c < 4; ++c) {
    out[c] = select(u.x == T(0), rows[c], rows[c] + u.x * z[c]);
    out[4 + c] = select(u.y == T(0), rows[4 + c], rows[4 + c] + u.y * z[c]);
  }
}

// d; 0, 0, 1 without shear.
template <typename T>
BODYREG_HD Vec3<T> ray_of(const Shear<T>& u) {
  const T z = T(1) / sqrt(u.x * u.x + u.y * u.y + T(1));
  return {T(0) - u.x * z, T(0) - u.y * z, z};
}

}  // namespace bodyreg
