// Small vectors and matrices, shared by the CPU ops and the kernels. Scalar-templated, row-major.
#pragma once

#include <cstdint>

#include "simt.h"

namespace bodyreg {

template <typename T>
struct Vec3 {
  T x, y, z;
};

template <typename T>
struct Mat3 {
  T m[9];
};

// [A | b]: three rows of four, applied to a 4-vector [v; w].
template <typename T>
struct Mat34 {
  T m[12];
};

template <typename T>
BODYREG_HD Vec3<T> operator+(const Vec3<T>& a, const Vec3<T>& b) {
  return {a.x + b.x, a.y + b.y, a.z + b.z};
}

template <typename T>
BODYREG_HD Vec3<T> operator-(const Vec3<T>& a, const Vec3<T>& b) {
  return {a.x - b.x, a.y - b.y, a.z - b.z};
}

template <typename T>
BODYREG_HD Vec3<T> operator*(T s, const Vec3<T>& a) {
  return {s * a.x, s * a.y, s * a.z};
}

template <typename T>
BODYREG_HD T dot(const Vec3<T>& a, const Vec3<T>& b) {
  return a.x * b.x + a.y * b.y + a.z * b.z;
}

template <typename T>
BODYREG_HD Vec3<T> cross(const Vec3<T>& a, const Vec3<T>& b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}

template <typename T>
BODYREG_HD Mat3<T> operator*(T s, const Mat3<T>& a) {
  Mat3<T> c;
  for (int i = 0; i < 9; ++i) c.m[i] = s * a.m[i];
  return c;
}

template <typename T>
BODYREG_HD Mat3<T>& operator+=(Mat3<T>& a, const Mat3<T>& b) {
  for (int i = 0; i < 9; ++i) a.m[i] += b.m[i];
  return a;
}

// A v
template <typename T>
BODYREG_HD Vec3<T> operator*(const Mat3<T>& a, const Vec3<T>& v) {
  return {a.m[0] * v.x + a.m[1] * v.y + a.m[2] * v.z, a.m[3] * v.x + a.m[4] * v.y + a.m[5] * v.z,
          a.m[6] * v.x + a.m[7] * v.y + a.m[8] * v.z};
}

// Aᵀ v
template <typename T>
BODYREG_HD Vec3<T> transposed_times(const Mat3<T>& a, const Vec3<T>& v) {
  return {a.m[0] * v.x + a.m[3] * v.y + a.m[6] * v.z, a.m[1] * v.x + a.m[4] * v.y + a.m[7] * v.z,
          a.m[2] * v.x + a.m[5] * v.y + a.m[8] * v.z};
}

// A B
template <typename T>
BODYREG_HD Mat3<T> operator*(const Mat3<T>& a, const Mat3<T>& b) {
  Mat3<T> c;
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) {
      c.m[3 * i + j] =
          a.m[3 * i] * b.m[j] + a.m[3 * i + 1] * b.m[3 + j] + a.m[3 * i + 2] * b.m[6 + j];
    }
  }
  return c;
}

// Aᵀ B
template <typename T>
BODYREG_HD Mat3<T> transposed_times(const Mat3<T>& a, const Mat3<T>& b) {
  Mat3<T> c;
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) {
      c.m[3 * i + j] = a.m[i] * b.m[j] + a.m[3 + i] * b.m[3 + j] + a.m[6 + i] * b.m[6 + j];
    }
  }
  return c;
}

// A Bᵀ
template <typename T>
BODYREG_HD Mat3<T> times_transposed(const Mat3<T>& a, const Mat3<T>& b) {
  Mat3<T> c;
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) {
      c.m[3 * i + j] = a.m[3 * i] * b.m[3 * j] + a.m[3 * i + 1] * b.m[3 * j + 1] +
                       a.m[3 * i + 2] * b.m[3 * j + 2];
    }
  }
  return c;
}

// u vᵀ
template <typename T>
BODYREG_HD Mat3<T> outer(const Vec3<T>& u, const Vec3<T>& v) {
  return {{u.x * v.x, u.x * v.y, u.x * v.z, u.y * v.x, u.y * v.y, u.y * v.z, u.z * v.x, u.z * v.y,
           u.z * v.z}};
}

// Σ_ij A_ij B_ij
template <typename T>
BODYREG_HD T inner(const Mat3<T>& a, const Mat3<T>& b) {
  T sum = 0;
  for (int i = 0; i < 9; ++i) sum += a.m[i] * b.m[i];
  return sum;
}

template <typename T>
BODYREG_HD Vec3<T> column(const Mat3<T>& a, int j) {
  return {a.m[j], a.m[3 + j], a.m[6 + j]};
}

template <typename T>
BODYREG_HD Mat3<T> from_columns(const Vec3<T>& a, const Vec3<T>& b, const Vec3<T>& c) {
  return {{a.x, b.x, c.x, a.y, b.y, c.y, a.z, b.z, c.z}};
}

template <typename T>
BODYREG_HD T determinant(const Mat3<T>& a) {
  return dot(cross(column(a, 0), column(a, 1)), column(a, 2));
}

template <typename T>
BODYREG_HD Vec3<T> load_vec3(const T* p) {
  return {p[0], p[1], p[2]};
}

template <typename T>
BODYREG_HD void store(T* p, const Vec3<T>& v) {
  p[0] = v.x;
  p[1] = v.y;
  p[2] = v.z;
}

template <typename T>
BODYREG_HD Mat3<T> load_mat3(const T* p) {
  Mat3<T> a;
  for (int i = 0; i < 9; ++i) a.m[i] = p[i];
  return a;
}

template <typename T>
BODYREG_HD void store(T* p, const Mat3<T>& a) {
  for (int i = 0; i < 9; ++i) p[i] = a.m[i];
}

template <typename T>
BODYREG_HD Mat34<T> load_mat34(const T* p) {
  Mat34<T> a;
  for (int i = 0; i < 12; ++i) a.m[i] = p[i];
  return a;
}

template <typename T>
BODYREG_HD void store(T* p, const Mat34<T>& a) {
  for (int i = 0; i < 12; ++i) p[i] = a.m[i];
}

// The left 3×3 of [A | b].
template <typename T>
BODYREG_HD Mat3<T> linear(const Mat34<T>& t) {
  return {{t.m[0], t.m[1], t.m[2], t.m[4], t.m[5], t.m[6], t.m[8], t.m[9], t.m[10]}};
}

// The last column of [A | b].
template <typename T>
BODYREG_HD Vec3<T> offset(const Mat34<T>& t) {
  return {t.m[3], t.m[7], t.m[11]};
}

template <typename T>
BODYREG_HD Mat34<T> join(const Mat3<T>& a, const Vec3<T>& b) {
  return {{a.m[0], a.m[1], a.m[2], b.x, a.m[3], a.m[4], a.m[5], b.y, a.m[6], a.m[7], a.m[8], b.z}};
}

}  // namespace bodyreg
