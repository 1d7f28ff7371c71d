// One window of pooling.
#pragma once

#include <cstdint>

#include "../common/simt.h"

namespace bodyreg {

constexpr int kNoFlow = 2;  // this visibility and larger ones: background

constexpr int kMostFactor = 1 << 15;

BODYREG_HD int windows_of(int size, int factor) { return size / factor + (size % factor != 0); }

BODYREG_HD int least(int a, int b) { return a < b ? a : b; }

// The pixels of a window, in a picture of `width` columns.
struct Window {
  int top, left, rows, columns;
};
BODYREG_HD Window window_at(int row, int column, int height, int width, int factor) {
  const int top = row * factor, left = column * factor;
  return {top, left, least(factor, height - top), least(factor, width - left)};
}

// What a window's sum is divided by. flows: its pixels with a flow. Without any it is not 0,
// either.
template <typename T>
BODYREG_HD T divisor(int64_t flows, const Window& window, int factor, bool masked) {
  const int64_t all = int64_t{window.rows} * window.columns;
  return T(factor) * T(masked ? (flows > 0 ? flows : 1) : all);
}

}  // namespace bodyreg
