// What lets one source serve numbers and vectors of numbers: choices without branches. For a single
// number here; for one number per lane in simd.h, under the same names.
#pragma once

#include <cmath>

#include "simt.h"

namespace bodyreg {

#if !defined(__CUDACC__)
using std::exp;
using std::log;
using std::log1p;
using std::rint;
using std::sqrt;
#endif

// The type of the numbers in T: T itself, or that of its lanes.
template <typename T>
struct ScalarOf {
  using type = T;
};
template <typename T>
using Scalar = typename ScalarOf<T>::type;

template <typename T>
BODYREG_HD T select(bool condition, T yes, T no) {
  return condition ? yes : no;
}

// The second where the first is not a number.
template <typename T>
BODYREG_HD T minimum(T a, T b) {
  return select(a < b, a, b);
}

template <typename T>
BODYREG_HD T maximum(T a, T b) {
  return select(a > b, a, b);
}

// Whether a condition holds in some lane.
BODYREG_HD bool any(bool condition) { return condition; }

// Σ_i coefficients[i] xⁱ, by Horner's rule.
template <typename T, int N>
BODYREG_HD T polynomial(const T& x, const double (&coefficients)[N]) {
  T sum = T(Scalar<T>(coefficients[N - 1]));
  for (int i = N - 2; i >= 0; --i) sum = T(Scalar<T>(coefficients[i])) + x * sum;
  return sum;
}

}  // namespace bodyreg
