// exp, log and log1p of lanes. libm's vectors are one instruction set's own, and a person's bits
// must not depend on the machine: these are made of +, ×, ÷ and whole numbers only. Errors are
// below 2 units in the last place; infinities, zeros, NaN and numbers below the smallest normal one
// are treated as libm treats them.
#pragma once

#include <limits>
#include <type_traits>

#include "scalar.h"
#include "simd.h"

namespace bodyreg::BODYREG_ISA {

template <typename T, int N>
struct FloatLayout {
  using Bits = std::conditional_t<std::is_same_v<T, float>, uint32_t, uint64_t>;
  using BitLanes = typename VectorOf<Bits, N>::type;
  static constexpr int mantissa = std::numeric_limits<T>::digits - 1;
  static constexpr Bits bias = std::numeric_limits<T>::max_exponent - 1;
  // 1.5 · 2^mantissa: adding it rounds to a whole number, and leaves that in the lowest bits.
  static constexpr T round = T(3) * T(Bits(1) << (mantissa - 1));
};

template <typename T, int N>
static inline typename FloatLayout<T, N>::BitLanes bits_of(const Lanes<T, N>& x) {
  typename FloatLayout<T, N>::BitLanes bits;
  __builtin_memcpy(&bits, &x.v, sizeof(bits));
  return bits;
}

template <typename T, int N>
static inline Lanes<T, N> lanes_of_bits(const typename FloatLayout<T, N>::BitLanes& bits) {
  Lanes<T, N> x;
  __builtin_memcpy(&x.v, &bits, sizeof(bits));
  return x;
}

template <typename T, int N>
static inline Lanes<T, N> rounded(const Lanes<T, N>& x) {
  return (x + Lanes<T, N>(FloatLayout<T, N>::round)) - Lanes<T, N>(FloatLayout<T, N>::round);
}

// 2ⁿ for a whole n within the range of normal numbers.
template <typename T, int N>
static inline Lanes<T, N> power_of_two(const Lanes<T, N>& n) {
  using Layout = FloatLayout<T, N>;
  const auto bits = bits_of(n + Lanes<T, N>(Layout::round + T(Layout::bias)));
  return lanes_of_bits<T, N>(bits << Layout::mantissa);
}

// log 2 in two parts: whole numbers below 2^12 times the first are exact.
template <typename T>
constexpr T kLog2High = std::is_same_v<T, float> ? T(0x1.63p-1) : T(0x1.62e42fefap-1);
template <typename T>
constexpr T kLog2Low =
    std::is_same_v<T, float> ? T(-0x1.bd0105c610ca8p-13) : T(0x1.cf79abc9e3b39p-40);

// e^x = 2ⁿ e^r, |r| ≤ ½ log 2: Taylor's series of e^r, its next term below half a unit.
template <typename T, int N>
static inline Lanes<T, N> exp(const Lanes<T, N>& x) {
  using V = Lanes<T, N>;
  constexpr T most = std::is_same_v<T, float> ? T(89) : T(710);      // beyond, infinite
  constexpr T least = std::is_same_v<T, float> ? T(-105) : T(-746);  // beyond, zero
  const V clamped = select(x > V(most), V(most), select(x < V(least), V(least), x));
  const V n = rounded(clamped * V(T(1.4426950408889634)));
  const V r = (clamped - n * V(kLog2High<T>)) - n * V(kLog2Low<T>);
  V series;
  if constexpr (std::is_same_v<T, float>) {
    constexpr double c[] = {1, 1, 1. / 2, 1. / 6, 1. / 24, 1. / 120, 1. / 720, 1. / 5040};
    series = polynomial(r, c);
  } else {
    constexpr double c[] = {1,
                            1,
                            1. / 2,
                            1. / 6,
                            1. / 24,
                            1. / 120,
                            1. / 720,
                            1. / 5040,
                            1. / 40320,
                            1. / 362880,
                            1. / 3628800,
                            1. / 39916800,
                            1. / 479001600,
                            1. / 6227020800.};
    series = polynomial(r, c);
  }
  const V half = rounded(V(T(0.5)) * n);  // 2ⁿ itself may be beyond the normal numbers
  return (series * power_of_two(half)) * power_of_two(n - half);
}

// x = 2ⁿ m, √½ ≤ m < √2, and log m = 2 artanh(s) with s = (m − 1) / (m + 1), by its series.
template <typename T, int N>
static inline Lanes<T, N> log(const Lanes<T, N>& x) {
  using V = Lanes<T, N>;
  using Layout = FloatLayout<T, N>;
  using Bits = typename Layout::BitLanes;
  using Number = typename Layout::Bits;
  const auto tiny = x < V(std::numeric_limits<T>::min());
  const V lifted = select(tiny, x * V(T(Number(1) << Layout::mantissa)), x);
  // √½ as bits: subtracted, the exponent's bits count from √½ instead of 1.
  constexpr Number root_half =
      std::is_same_v<T, float> ? Number(0x3f3504f3) : Number(0x3fe6a09e667f3bcd);
  constexpr Number one = Layout::bias << Layout::mantissa;
  const Bits moved = bits_of(lifted) + (one - root_half);
  const Bits exponent = moved >> Layout::mantissa;
  const Bits kept = (moved & ((Number(1) << Layout::mantissa) - 1)) + root_half;
  const V m = lanes_of_bits<T, N>(kept);
  const Bits whole = exponent + bits_of(V(Layout::round - T(Layout::bias)));
  V n = lanes_of_bits<T, N>(whole) - V(Layout::round);
  n = select(tiny, n - V(T(Layout::mantissa)), n);
  const V f = m - V(T(1));
  const V s = f / (m + V(T(1)));
  const V s2 = s * s;
  V series;  // (artanh s / s − 1) / s²
  if constexpr (std::is_same_v<T, float>) {
    constexpr double c[] = {1. / 3, 1. / 5, 1. / 7, 1. / 9};
    series = polynomial(s2, c);
  } else {
    constexpr double c[] = {1. / 3,  1. / 5,  1. / 7,  1. / 9,  1. / 11,
                            1. / 13, 1. / 15, 1. / 17, 1. / 19, 1. / 21};
    series = polynomial(s2, c);
  }
  // 2 s = f − s f: the first part is exact.
  const V log_m = f - s * (f - V(T(2)) * s2 * series);
  V result = n * V(kLog2High<T>) + (log_m + n * V(kLog2Low<T>));
  constexpr T infinity = std::numeric_limits<T>::infinity();
  result = select(x < V(infinity), result, x);  // infinity is its own logarithm
  const V not_positive =
      select(x < V(T(0)), V(std::numeric_limits<T>::quiet_NaN()), x - V(infinity));
  return select(x > V(T(0)), result, not_positive);
}

// log(1 + x) for x ≥ 0. What 1 + x rounds away is added to first order.
template <typename T, int N>
static inline Lanes<T, N> log1p(const Lanes<T, N>& x) {
  const Lanes<T, N> sum = Lanes<T, N>(T(1)) + x;
  return log(sum) + (x - (sum - Lanes<T, N>(T(1)))) / sum;
}

}  // namespace bodyreg::BODYREG_ISA
