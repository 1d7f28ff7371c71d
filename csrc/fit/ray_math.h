// Perspective in a fit: how a person's points are seen, and along which rays.
//
// In perspective a point with the weak image X and the depth z is seen with the error
//
//   e = a X − m c − x̂ = a (X − x')        a = 1 + m,   x' = (x̂ + m c) / a
//
// with m the magnification of magnification.h. A refresh takes a and x' at the current depth. Then
// w |e|² is a square in X, of weight w a² and target x'. The depth pulls too: the slope by z is
// 2 w pull. That slope stays as it is until the next refresh.
//
// What a surface faces is the ray to the camera: a segment has one, d, from data alone (rays() of
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

// What a refresh makes of a point.
template <typename T>
struct SeenPoint {
  T error[2];   // e
  T target[2];  // x'
  T share;      // a²
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
  seen.share = a * a;
  seen.pull = camera.inverse_focal * by.slope * (seen.error[0] * from_x + seen.error[1] * from_y);
  return seen;
}

// The ray of a segment with points of the weights w: total = Σ w, x and y = Σ w x̂. It is e_z, bit
// for bit, in weak perspective and where a segment has no points.
template <typename T>
BODYREG_HD Vec3<T> segment_ray(const Perspective<T>& camera, const T& total, const T& x,
                               const T& y) {
  if (camera.inverse_focal == T(0) || !(total > T(0))) return {T(0), T(0), T(1)};
  const T away_x = camera.inverse_focal * (camera.principal_point[0] - x / total);
  const T away_y = camera.inverse_focal * (camera.principal_point[1] - y / total);
  const T z = T(1) / sqrt(away_x * away_x + away_y * away_y + T(1));
  return {away_x * z, away_y * z, z};
}

}  // namespace bodyreg
