// Axis-angle vectors by half angles. With φ = |θ| / 2 and u = φ² = θ·θ / 4,
//
//   a = sin φ / φ = 1 − u e(u)      w = cos φ = 1 − u f(u)
//   R      = I + a w [θ]ₓ + ½ a² [θ]ₓ²
//   J_left = I + ½ a² [θ]ₓ + ¼ (e + a f) [θ]ₓ²
//
// where J_left makes a rotation of a change of θ: R(θ + δ) ≈ exp([J_left δ]ₓ) R(θ). (Its factors
// are (1 − cos|θ|) / |θ|² and (|θ| − sin|θ|) / |θ|³.) e and f are smooth, without roots or
// divisions, so θ = 0 needs no special case.
#pragma once

#include <type_traits>

#include "../common/geometry.h"
#include "../common/scalar.h"

namespace bodyreg {

// How far the polynomials reach: |θ| < 2 √10, a little more than a full turn. They interpolate e
// and f at Chebyshev's nodes, within 4e-10 and 6e-11 for float, 7e-19 and 8e-20 for double.
constexpr double kHalfAngleReach = 10;

template <typename T>
struct Versines {
  T e, f;
};

template <typename T>
BODYREG_HD Versines<T> versines_within_reach(const T& u) {
  if constexpr (std::is_same_v<Scalar<T>, float>) {
    constexpr double e[] = {0.1666666663,    -0.008333330924, 0.0001984098805,
                            -2.754522871e-6, 2.481643804e-8,  -1.391626859e-10};
    constexpr double f[] = {0.4999999999,   -0.04166666616,  0.001388888071, -2.480109507e-5,
                            2.754316925e-7, -2.066691604e-9, 9.909129278e-12};
    return {polynomial(u, e), polynomial(u, f)};
  } else {
    constexpr double e[] = {0.166666666666666666,    -0.00833333333333331976,
                            0.000198412698412653591, -2.75573192234117148e-6,
                            2.50521083480725889e-8,  -1.60590424390211316e-10,
                            7.64713187119445022e-13, -2.81100705049040744e-15,
                            8.18206612466513755e-18, -1.77287244853629625e-20};
    constexpr double f[] = {0.5,
                            -0.041666666666666665,
                            0.00138888888888888205,
                            -2.48015873015766279e-5,
                            2.75573192231311867e-7,
                            -2.08767569479264202e-9,
                            1.14707444334444319e-11,
                            -4.77945551698824888e-14,
                            1.56165769321124361e-16,
                            -4.09056532641467061e-19,
                            8.05166374784104283e-22};
    return {polynomial(u, e), polynomial(u, f)};
  }
}

// The same for large u: by their definition, from φ less its whole turns, which is within reach.
// (Without sin and cos: vectors have none, and on a GPU they take a stack for large angles.)
template <typename T>
BODYREG_HD Versines<T> versines_beyond_reach(const T& u) {
  const T phi = sqrt(u);
  const T turns = rint(phi * T(Scalar<T>(0.159154943091895336)));
  const T left = phi - turns * T(Scalar<T>(6.28318530717958648));
  const Versines<T> s = versines_within_reach(left * left);
  return {(T(1) - left * (T(1) - left * left * s.e) / phi) / u, left * left * s.f / u};
}

// The coefficients of R = I + sine [θ]ₓ + versine [θ]ₓ²
// and J_left = I + versine [θ]ₓ + excess [θ]ₓ².
template <typename T>
struct AxisAngle {
  T sine, versine, excess;
};

template <typename T>
BODYREG_HD AxisAngle<T> axis_angle(const Vec3<T>& v) {
  const T u = T(Scalar<T>(0.25)) * dot(v, v);
  Versines<T> s = versines_within_reach(u);
  const auto beyond = u > T(Scalar<T>(kHalfAngleReach));
  if (any(beyond)) {
    const Versines<T> exact = versines_beyond_reach(u);
    s = {select(beyond, exact.e, s.e), select(beyond, exact.f, s.f)};
  }
  const T a = T(1) - u * s.e;
  const T w = T(1) - u * s.f;
  return {a * w, T(Scalar<T>(0.5)) * a * a, T(Scalar<T>(0.25)) * (s.e + a * s.f)};
}

// R = (1 − versine θ·θ) I + sine [θ]ₓ + versine θ θᵀ, which is the same.
template <typename T>
BODYREG_HD Mat3<T> rotation_matrix(const Vec3<T>& v, const AxisAngle<T>& r) {
  const Vec3<T> turn = r.sine * v;
  const Vec3<T> half = r.versine * v;
  const T xx = half.x * v.x, yy = half.y * v.y, zz = half.z * v.z;
  const T xy = half.x * v.y, xz = half.x * v.z, yz = half.y * v.z;
  return {{T(1) - yy - zz, xy - turn.z, xz + turn.y,  //
           xy + turn.z, T(1) - xx - zz, yz - turn.x,  //
           xz - turn.y, yz + turn.x, T(1) - xx - yy}};
}

// J_leftᵀ g
template <typename T>
BODYREG_HD Vec3<T> left_jacobian_transposed(const Vec3<T>& v, const AxisAngle<T>& r,
                                            const Vec3<T>& g) {
  const Vec3<T> across = cross(v, g);
  return g - r.versine * across + r.excess * cross(v, across);
}

}  // namespace bodyreg
