// Gram–Schmidt on the columns of a 3×3 matrix, forward and backward.
//
// The nine-number form keeps the sign of the determinant, so it may return a reflection; the
// six-number form takes the third column from a cross product. A norm below kGramSchmidtGuard
// counts as the guard itself, a constant: such a column comes out short, and never as NaN.
#pragma once

#include "../common/geometry.h"
#include "../common/scalar.h"

namespace bodyreg {

constexpr double kGramSchmidtGuard = 1e-8;

// A column a and what became of it: unit = a / length.
template <typename T>
struct Normalized {
  Vec3<T> unit;
  T length;                      // max(|a|, guard)
  decltype(T() >= T()) guarded;  // |a| below the guard: the length is a constant
};

template <typename T>
BODYREG_HD Normalized<T> normalize(const Vec3<T>& a) {
  const T norm = sqrt(dot(a, a));
  const auto guarded = !(norm >= T(kGramSchmidtGuard));  // NaN too
  const T length = select(guarded, T(kGramSchmidtGuard), norm);
  return {{a.x / length, a.y / length, a.z / length}, length, guarded};
}

// The gradient of a from that of its unit vector.
template <typename T>
BODYREG_HD Vec3<T> normalize_backward(const Normalized<T>& n, const Vec3<T>& grad) {
  const Vec3<T> tangent = grad - dot(n.unit, grad) * n.unit;
  return (T(1) / n.length) * Vec3<T>{select(n.guarded, grad.x, tangent.x),
                                     select(n.guarded, grad.y, tangent.y),
                                     select(n.guarded, grad.z, tangent.z)};
}

// The intermediate results that both directions need.
template <typename T>
struct Orthonormal {
  Normalized<T> first, second, third;  // third: of the nine-number form only
};

template <typename T>
BODYREG_HD Orthonormal<T> orthonormalize(const Mat3<T>& a, bool six) {
  Orthonormal<T> e;
  e.first = normalize(column(a, 0));
  const Vec3<T> a2 = column(a, 1);
  e.second = normalize(a2 - dot(e.first.unit, a2) * e.first.unit);
  if (six) {
    e.third = {cross(e.first.unit, e.second.unit), T(1), T(1) < T(0)};
  } else {
    const Vec3<T> a3 = column(a, 2);
    e.third = normalize(a3 - dot(e.first.unit, a3) * e.first.unit -
                        dot(e.second.unit, a3) * e.second.unit);
  }
  return e;
}

template <typename T>
BODYREG_HD Mat3<T> rotation_of(const Orthonormal<T>& e) {
  return from_columns(e.first.unit, e.second.unit, e.third.unit);
}

template <typename T>
BODYREG_HD Mat3<T> gram_schmidt(const Mat3<T>& a, bool six) {
  return rotation_of(orthonormalize(a, six));
}

// Adjoint of r = a − (e·a) e: adds to the gradient of e, returns that of a.
template <typename T>
BODYREG_HD Vec3<T> reject_backward(const Vec3<T>& e, const Vec3<T>& a, const Vec3<T>& grad,
                                   Vec3<T>& grad_e) {
  const T along = dot(e, grad);
  grad_e = grad_e - along * a - dot(e, a) * grad;
  return grad - along * e;
}

// The gradient of the matrix from that of the rotation; e = orthonormalize(a, six).
template <typename T>
BODYREG_HD Mat3<T> gram_schmidt_backward(const Orthonormal<T>& e, const Mat3<T>& a, bool six,
                                         const Mat3<T>& grad) {
  Vec3<T> grad_e1 = column(grad, 0), grad_e2 = column(grad, 1), grad_a3 = {T(0), T(0), T(0)};
  const Vec3<T> grad_e3 = column(grad, 2);
  if (six) {
    grad_e1 = grad_e1 + cross(e.second.unit, grad_e3);
    grad_e2 = grad_e2 + cross(grad_e3, e.first.unit);
  } else {
    // r = a3 − (e1·a3) e1 − (e2·a3) e2: both projections are taken from a3 itself.
    const Vec3<T> a3 = column(a, 2);
    const Vec3<T> g = normalize_backward(e.third, grad_e3);
    const T along1 = dot(e.first.unit, g), along2 = dot(e.second.unit, g);
    grad_e1 = grad_e1 - along1 * a3 - dot(e.first.unit, a3) * g;
    grad_e2 = grad_e2 - along2 * a3 - dot(e.second.unit, a3) * g;
    grad_a3 = g - along1 * e.first.unit - along2 * e.second.unit;
  }
  const Vec3<T> grad_a2 =
      reject_backward(e.first.unit, column(a, 1), normalize_backward(e.second, grad_e2), grad_e1);
  return from_columns(normalize_backward(e.first, grad_e1), grad_a2, grad_a3);
}

template <typename T>
BODYREG_HD Mat3<T> gram_schmidt_backward(const Mat3<T>& a, bool six, const Mat3<T>& grad) {
  return gram_schmidt_backward(orthonormalize(a, six), a, six, grad);
}

}  // namespace bodyreg
