// Vectors of the widest registers of the instruction set being compiled for, and the change of
// layout between people in memory and people as vector lanes. For *_cpu.cpp files.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "isa.h"
#include "scalar.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 12
#error "bodyreg needs GCC 12 or later, or Clang"
#endif

namespace bodyreg::BODYREG_ISA {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

// How many numbers the widest registers hold.
template <typename T>
constexpr int kWidest = kVectorBytes / int(sizeof(T));

// How many numbers Lanes have by default: BODYREG_LANES, or as many as the widest registers hold.
#if defined(BODYREG_LANES)
template <typename T>
constexpr int kLanes = BODYREG_LANES;
#else
template <typename T>
constexpr int kLanes = kWidest<T>;
#endif

template <typename T, int N>
struct VectorOf {
  typedef T type __attribute__((vector_size(N * sizeof(T))));
};

// A vector of one number. The compiler keeps its own ones in general registers, which is slow.
template <typename T>
struct VectorOf<T, 1> {
  struct type {
    type() = default;
    type(T x) : x(x) {}
    operator T() const { return x; }
    T& operator[](int) { return x; }
    T operator[](int) const { return x; }
    T x;
  };
};

// One number for each of `width` people (or points). Arithmetic acts on each lane separately, so no
// lane depends on its neighbours, and maths written for one scalar serves all of them.
template <typename T, int N = kLanes<T>>
struct Lanes {
  static constexpr int width = N;
  typename VectorOf<T, N>::type v;

  Lanes() = default;
  Lanes(T x) { v = x - typename VectorOf<T, N>::type{}; }
  explicit Lanes(typename VectorOf<T, N>::type x) : v(x) {}
};

}  // namespace bodyreg::BODYREG_ISA

template <typename T, int N>
struct bodyreg::ScalarOf<bodyreg::BODYREG_ISA::Lanes<T, N>> {
  using type = T;
};

namespace bodyreg::BODYREG_ISA {

template <typename T, int N>
static inline Lanes<T, N> operator+(const Lanes<T, N>& a, const Lanes<T, N>& b) {
  return Lanes<T, N>(a.v + b.v);
}
template <typename T, int N>
static inline Lanes<T, N> operator-(const Lanes<T, N>& a, const Lanes<T, N>& b) {
  return Lanes<T, N>(a.v - b.v);
}
template <typename T, int N>
static inline Lanes<T, N> operator*(const Lanes<T, N>& a, const Lanes<T, N>& b) {
  return Lanes<T, N>(a.v * b.v);
}
template <typename T, int N>
static inline Lanes<T, N> operator/(const Lanes<T, N>& a, const Lanes<T, N>& b) {
  return Lanes<T, N>(a.v / b.v);
}
template <typename T, int N>
static inline Lanes<T, N> operator-(const Lanes<T, N>& a) {
  return Lanes<T, N>(-a.v);
}
template <typename T, int N>
static inline Lanes<T, N>& operator+=(Lanes<T, N>& a, const Lanes<T, N>& b) {
  a.v = a.v + b.v;
  return a;
}

// The operands of comparisons and choices. A single number stays in its register and is a lane of a
// vector there: with a branch the compiler would fuse other operations than it does for vectors.
template <typename T, int N>
static inline typename VectorOf<T, N>::type comparable(const Lanes<T, N>& a) {
  return a.v;
}
template <typename T>
static inline typename VectorOf<T, 16 / sizeof(T)>::type comparable(const Lanes<T, 1>& a) {
  typename VectorOf<T, 16 / sizeof(T)>::type v;
  asm("" : "=x"(v) : "0"(a.v.x));
  return v;
}

// A condition per lane: all bits set where it holds.
template <typename T, int N = kLanes<T>>
struct LaneMask {
  decltype(comparable(Lanes<T, N>()) < comparable(Lanes<T, N>())) v;
};

template <typename T, int N>
static inline LaneMask<T, N> operator<(const Lanes<T, N>& a, const Lanes<T, N>& b) {
  return {comparable(a) < comparable(b)};
}
template <typename T, int N>
static inline LaneMask<T, N> operator>(const Lanes<T, N>& a, const Lanes<T, N>& b) {
  return {comparable(a) > comparable(b)};
}
template <typename T, int N>
static inline LaneMask<T, N> operator>=(const Lanes<T, N>& a, const Lanes<T, N>& b) {
  return {comparable(a) >= comparable(b)};
}
template <typename T, int N>
static inline LaneMask<T, N> operator==(const Lanes<T, N>& a, const Lanes<T, N>& b) {
  return {comparable(a) == comparable(b)};
}
template <typename T, int N>
static inline LaneMask<T, N> operator!(const LaneMask<T, N>& a) {
  return {~a.v};
}

template <typename T, int N>
static inline Lanes<T, N> select(const LaneMask<T, N>& condition, const Lanes<T, N>& yes,
                                 const Lanes<T, N>& no) {
  const auto chosen = condition.v ? comparable(yes) : comparable(no);
  if constexpr (N == 1) {
    return Lanes<T, N>(chosen[0]);
  } else {
    return Lanes<T, N>(chosen);
  }
}

template <typename T, int N>
static inline bool any(const LaneMask<T, N>& condition) {
  bool some = false;
  for (int l = 0; l < N; ++l) some |= condition.v[l] != 0;
  return some;
}

// f of every lane.
template <typename T, int N, typename F>
static inline Lanes<T, N> map(const F& f, const Lanes<T, N>& a) {
  Lanes<T, N> b;
  for (int l = 0; l < N; ++l) b.v[l] = f(a.v[l]);
  return b;
}

template <typename T, int N>
static inline Lanes<T, N> sqrt(const Lanes<T, N>& a) {
#if defined(__AVX__)
  // Where the build forbids vectorisation, the loop below takes one root at a time.
  if constexpr (N == 4 && sizeof(T) == 4) {
    return Lanes<T, N>(_mm_sqrt_ps(a.v));
  } else if constexpr (N == 4 && sizeof(T) == 8) {
    return Lanes<T, N>(_mm256_sqrt_pd(a.v));
  }
#endif
  return map([](T x) { return std::sqrt(x); }, a);
}

template <typename T, int N>
static inline Lanes<T, N> rint(const Lanes<T, N>& a) {
  return map([](T x) { return std::rint(x); }, a);
}

// The lanes that are negative, lane 0 in the lowest bit.
static inline unsigned sign_bits(const Lanes<int32_t, kWidest<int32_t>>& a) {
#if defined(__AVX512F__)
  return static_cast<unsigned>(_mm512_movepi32_mask(reinterpret_cast<__m512i>(a.v)));
#elif defined(__AVX2__)
  return static_cast<unsigned>(_mm256_movemask_ps(reinterpret_cast<__m256>(a.v)));
#elif defined(__SSE2__)
  return static_cast<unsigned>(_mm_movemask_ps(reinterpret_cast<__m128>(a.v)));
#else
  unsigned bits = 0;
  for (int l = 0; l < kWidest<int32_t>; ++l) bits |= unsigned(a.v[l] < 0) << l;
  return bits;
#endif
}

// Not std::fill: a function of a standard header that is not inlined is one copy for all
// instruction sets.
template <typename T>
static inline void set_zero(T* p, int64_t count) {
  __builtin_memset(p, 0, count * sizeof(T));
}

// The sum over the lanes, halves first: one order for every width would need as many registers as
// the widest has lanes, so this sum is fixed per instruction set only.
template <typename T, int N>
static inline T sum(const Lanes<T, N>& a) {
  T part[N];
  for (int l = 0; l < N; ++l) part[l] = a.v[l];
  for (int half = N / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) part[l] += part[l + half];
  }
  return part[0];
}

// One step of a transpose: swaps the off-diagonal blocks of size S between rows r and r + S.
template <int S, typename V, std::size_t... I>
static inline void exchange(V& a, V& b, std::index_sequence<I...>) {
  constexpr int W = sizeof...(I);
  const V low = __builtin_shufflevector(a, b, ((I & S) ? W + I - S : I)...);
  const V high = __builtin_shufflevector(a, b, ((I & S) ? W + I : I + S)...);
  a = low;
  b = high;
}

// Transposes a square tile, rows[i][j] <-> rows[j][i].
template <typename T, int S = 1>
static inline void transpose(Lanes<T>* rows) {
  constexpr int W = Lanes<T>::width;
  if constexpr (S < W) {
#pragma GCC unroll 16
    for (int r = 0; r < W; ++r) {
      if ((r & S) == 0) exchange<S>(rows[r].v, rows[r + S].v, std::make_index_sequence<W>());
    }
    transpose<T, 2 * S>(rows);
  }
}

template <typename T, int N = kLanes<T>>
static inline Lanes<T, N> load_lanes(const T* p) {
  Lanes<T, N> a;
  __builtin_memcpy(&a.v, p, sizeof(a.v));
  return a;
}

template <typename T, int N>
static inline void store_lanes(T* p, const Lanes<T, N>& a) {
  __builtin_memcpy(p, &a.v, sizeof(a.v));
}

// Up to `width` people, each a row of `count` numbers `stride` apart -> rows of people:
// out[c * out_stride + l] = in[l * stride + c]. Lanes beyond `people` are zero.
template <typename T>
static inline void to_lanes(const T* in, int64_t stride, int people, int64_t count, T* out,
                            int64_t out_stride) {
  constexpr int W = Lanes<T>::width;
  int64_t c = 0;
  for (; c + W <= count; c += W) {
    Lanes<T> rows[W];
    for (int l = 0; l < W; ++l)
      rows[l] = l < people ? load_lanes(in + l * stride + c) : Lanes<T>(0);
    transpose(rows);
    for (int i = 0; i < W; ++i) store_lanes(out + (c + i) * out_stride, rows[i]);
  }
  for (int rest = 0; rest < W && c < count; ++rest, ++c) {
    for (int l = 0; l < W; ++l) out[c * out_stride + l] = l < people ? in[l * stride + c] : T(0);
  }
}

// The way back: out[l * stride + c] = in[c * in_stride + l] for l < people.
template <typename T>
static inline void from_lanes(const T* in, int64_t in_stride, int people, int64_t count, T* out,
                              int64_t stride) {
  constexpr int W = Lanes<T>::width;
  int64_t c = 0;
  for (; c + W <= count; c += W) {
    Lanes<T> rows[W];
    for (int i = 0; i < W; ++i) rows[i] = load_lanes(in + (c + i) * in_stride);
    transpose(rows);
    for (int l = 0; l < people; ++l) store_lanes(out + l * stride + c, rows[l]);
  }
  for (int rest = 0; rest < W && c < count; ++rest, ++c) {
    for (int l = 0; l < people; ++l) out[l * stride + c] = in[c * in_stride + l];
  }
}

}  // namespace bodyreg::BODYREG_ISA
