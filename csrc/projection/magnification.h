// How much larger perspective shows what is near.
#pragma once

#include "../common/scalar.h"

namespace bodyreg {

// Points nearer to the camera than this share of the person's distance, and points behind it, are
// shown as if the picture grew in proportion to z from there on.
constexpr double kNear = 0.1;

// How much larger than in weak perspective the picture is at a depth: a point is seen at
// X + m (X − c), with m = φ z / d and d = max(1 − φ z, kNear). With φ = 0, m is 0.
template <typename T>
struct Magnification {
  T m;
  T slope;  // ∂m/∂z = φ · slope, ∂m/∂φ = z · slope
};

template <typename T>
BODYREG_HD Magnification<T> magnification(const T& inverse_focal, const T& z) {
  const T nearest = Scalar<T>(kNear);
  const T distance = T(1) - inverse_focal * z;
  const T inverse = T(1) / maximum(distance, nearest);
  return {inverse_focal * z * inverse, select(distance >= nearest, inverse * inverse, inverse)};
}

}  // namespace bodyreg
