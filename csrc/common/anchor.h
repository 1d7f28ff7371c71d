// Anchors of rig points, and the two image rows that they are multiplied by, as vectors. For
// *_cpu.cpp files.
#pragma once

#include "simd.h"

namespace bodyreg::BODYREG_ISA {

// Four numbers of one joint: an anchor, or one row of a 2×4 matrix.
template <typename T>
using Quad = typename VectorOf<T, 4>::type;

// A 2×4 matrix: rows x and y.
template <typename T>
using Rows = typename VectorOf<T, 8>::type;

template <typename T>
static inline Quad<T> load_quad(const T* p) {
  Quad<T> a;
  __builtin_memcpy(&a, p, sizeof(a));
  return a;
}

template <typename T>
static inline Rows<T> load_rows(const T* p) {
  Rows<T> a;
  __builtin_memcpy(&a, p, sizeof(a));
  return a;
}

template <typename T>
static inline void store_rows(T* p, const Rows<T>& a) {
  __builtin_memcpy(p, &a, sizeof(a));
}

// An anchor, once for each row.
template <typename T>
static inline Rows<T> for_both_rows(const Quad<T>& h) {
  return __builtin_shufflevector(h, h, 0, 1, 2, 3, 0, 1, 2, 3);
}

// Whether all four are zero. By their bits, without a branch, which would be predicted wrong often.
template <typename T>
static inline bool is_empty(const T* anchor) {
  uint64_t words[4 * sizeof(T) / 8];
  __builtin_memcpy(words, anchor, sizeof(words));
  uint64_t some = 0;
  for (uint64_t word : words) some |= word;
  return some == 0;
}

}  // namespace bodyreg::BODYREG_ISA
