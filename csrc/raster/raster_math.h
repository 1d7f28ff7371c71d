// What one face and one pixel do, for a number and for one number per lane.
//
// Coverage is decided by integers alone: positions are rounded to 1/256 of a pixel, and on which
// side of the edge from a to b a pixel's centre p lies is the sign of the edge function
//   E(p) = (b - a) x (p - a),
// twice the area of (a, b, p). The three edge functions of a face add up to twice its area: divided
// by it they are the barycentrics.
#pragma once

#include <cstdint>

#include "../common/scalar.h"

namespace bodyreg {

constexpr int kSubpixelBits = 8;
constexpr int kSubpixels = 1 << kSubpixelBits;
constexpr int kHalfPixel = kSubpixels / 2;
constexpr int kMostPixels = 1 << 20;             // of a side of a picture
constexpr int64_t kFarthest = int64_t{1} << 61;  // positions beyond are moved there
constexpr int64_t kNarrow = int64_t{1} << 29;    // up to here 64 bits hold every edge function
__extension__ typedef __int128 Wide;             // for positions beyond kNarrow

// a b, rounded: never fused with an addition, so that a pixel has the same bits for every
// instruction set and device. (g++ is told in raster_cpu.cpp.)
template <typename T>
BODYREG_HD T product(const T& a, const T& b) {
#if defined(__CUDA_ARCH__)
  if constexpr (sizeof(T) == 4) {
    return __fmul_rn(a, b);
  } else {
    return __dmul_rn(a, b);
  }
#else
  return a * b;
#endif
}

// A position in steps of 1/256 pixel.
template <typename T>
BODYREG_HD int64_t to_fixed(T pixels) {
  const T steps = product(pixels, T(kSubpixels)), limit = T(kFarthest);
  return static_cast<int64_t>(rint(minimum(maximum(steps, -limit), limit)));
}

// A number that is linear in the picture and larger nearer to the viewer: depth, or in perspective
// -1/z, and 0 for a point that is not in front of the camera.
template <typename T>
BODYREG_HD T nearness(T z, bool perspective) {
  if (!perspective) return z;
  const T near = T(-1) / z;
  return z < T(0) && near - near == T(0) ? near : T(0);
}

template <typename I>
BODYREG_HD I least_of(const I (&a)[3]) {
  return minimum(minimum(a[0], a[1]), a[2]);
}
template <typename I>
BODYREG_HD I most_of(const I (&a)[3]) {
  return maximum(maximum(a[0], a[1]), a[2]);
}

// The first column or row with its centre at or after a position, and the one behind the last that
// has its centre at or before it.
template <typename I>
BODYREG_HD I first_centre(const I& fixed) {
  return (fixed + (kSubpixels - 1 - kHalfPixel)) >> kSubpixelBits;
}
template <typename I>
BODYREG_HD I behind_centre(const I& fixed) {
  return (fixed + kHalfPixel) >> kSubpixelBits;
}
template <typename I>
BODYREG_HD I centre(const I& pixel) {
  return pixel * kSubpixels + kHalfPixel;
}

// An edge of a face, turned so that its function is positive inside. A pixel is covered where the
// function is at least `least`: a centre on the edge belongs to the face to the right of it or
// below it.
template <typename I>
struct Edge {
  I x, y, dx, dy, least;
};

template <typename I>
BODYREG_HD I value_at(const Edge<I>& edge, const I& x, const I& y) {
  return edge.dx * (y - edge.y) - edge.dy * (x - edge.x);
}

// Twice the area, positive if the vertices turn clockwise as seen (y points down): a back face.
template <typename I>
BODYREG_HD I signed_area(const I (&x)[3], const I (&y)[3]) {
  return (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0]);
}

// Edge i is the one across from vertex i.
template <typename I>
BODYREG_HD void make_edges(const I (&x)[3], const I (&y)[3], const I& area, Edge<I> (&edges)[3]) {
  const I zero(0), one(1);
  const I turn = select(area < zero, I(-1), one);
  for (int i = 0; i < 3; ++i) {
    const int start = (i + 1) % 3, end = (i + 2) % 3;
    const I dx = turn * (x[end] - x[start]), dy = turn * (y[end] - y[start]);
    const I flat = select(dx > zero, zero, one);
    edges[i] = {x[start], y[start], dx, dy, select(dy < zero, zero, select(dy > zero, one, flat))};
  }
}

// The nearness of a face at barycentrics 1 and 2, from that of its vertices, `corner`. Where all
// three are equal, exactly that number.
template <typename T>
BODYREG_HD T nearness_at(const T (&corner)[3], const T& barycentric1, const T& barycentric2) {
  return corner[0] + product(barycentric1, corner[1] - corner[0]) +
         product(barycentric2, corner[2] - corner[0]);
}

// Barycentrics linear in the picture -> those of the point in space, and nearness -> depth.
template <typename T>
BODYREG_HD void to_space(const T (&corner)[3], T* barycentric, T& depth) {
  for (int i = 0; i < 3; ++i) barycentric[i] = product(barycentric[i], corner[i]) / depth;
  depth = T(-1) / depth;
}

}  // namespace bodyreg
