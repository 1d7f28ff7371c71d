// Where one target pixel reads.
//
// It reads the four source pixels around its place, the corners of a cell:
//   Σ weight · corner,   weights (1 - right)(1 - down), right (1 - down), (1 - right) down, right
//   down
// A corner outside the source counts as 0. A place that is a pixel or more outside reads nothing,
// and one that is not a number has weights that are not numbers.
#pragma once

#include <cstdint>

#include "../common/scalar.h"

namespace bodyreg {

constexpr int kVisible = 0, kHidden = 1, kBackground = 2;

// One axis of a place: the first of two source pixels, and how far the place is from it to the
// next.
template <typename T>
struct Along {
  int first;  // from -1 to size - 1; -2 where nothing is read
  T share;
};

// A side of one pixel has one place: as torch's grid_sample has it, flow along it does not count.
template <typename T>
BODYREG_HD Along<T> place_along(int pixel, T flow, int size) {
  const T place = size > 1 ? T(pixel) + flow : flow == flow ? T(0) : flow;
  const bool seen = place > T(-1) && place < T(size);
  const T within = seen ? place : T(-2);
  const int cut = static_cast<int>(within);
  const int first = T(cut) > within ? cut - 1 : cut;
  return {first, place == place ? within - T(first) : place};
}

// The source pixel in a row and column, row-major; `outside` where there is none.
BODYREG_HD int source_pixel(int row, int column, int height, int width, int outside) {
  const bool inside = row >= 0 && row < height && column >= 0 && column < width;
  return inside ? row * width + column : outside;
}

template <typename T>
struct Corners {
  int pixel[4];  // upper left, upper right, lower left, lower right
  T weight[4];
};

template <typename T>
BODYREG_HD Corners<T> corners_at(const Along<T>& x, const Along<T>& y, int height, int width,
                                 int outside) {
  const T right = x.share, left = T(1) - right, down = y.share, up = T(1) - down;
  return {{source_pixel(y.first, x.first, height, width, outside),
           source_pixel(y.first, x.first + 1, height, width, outside),
           source_pixel(y.first + 1, x.first, height, width, outside),
           source_pixel(y.first + 1, x.first + 1, height, width, outside)},
          {left * up, right * up, left * down, right * down}};
}

// The slopes of the value read, along x and y. T: a number, or numbers for several channels.
template <typename T>
struct Slope {
  T x, y;
};
template <typename T, typename S>
BODYREG_HD Slope<T> slope_at(const T (&corner)[4], S right, S down) {
  const T upper = corner[1] - corner[0], lower = corner[3] - corner[2];
  const T left = corner[2] - corner[0], other = corner[3] - corner[1];
  return {upper + T(down) * (lower - upper), left + T(right) * (other - left)};
}

// Along a side of one pixel the place does not move.
template <typename T>
BODYREG_HD T moved(T slope, int size) {
  return size > 1 ? slope : T(0);
}

}  // namespace bodyreg
