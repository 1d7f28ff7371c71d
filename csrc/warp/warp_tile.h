// What warping and its gradients share on a CPU: where a row's pixels read, memory as registers,
// and planes of pixels as rows of channels.
#pragma once

#include <algorithm>
#include <type_traits>

#include "../common/buffer.h"
#include "../common/simd.h"
#include "warp.h"
#include "warp_math.h"

namespace bodyreg::BODYREG_ISA {

constexpr int kTile = 64;  // target pixels of a row whose corners are found together

// Channels-first, how many channels are laid out side by side: all of a block, or few.
constexpr int kBlock = kWarpBlock, kFew = 4;

// How many of them an operation takes.
template <typename T, int N>
constexpr int kTogether = N < kLanes<T> ? N : kLanes<T>;

// Where some target pixels of a row read.
template <typename T>
struct Tile {
  int count;
  int64_t pixel;        // the first one, in its picture
  const uint8_t* code;  // their visibility, or null
  alignas(64) int32_t corner[4][kTile];
  alignas(64) T weight[4][kTile];
  alignas(64) T right[kTile];
  alignas(64) T down[kTile];

  int code_of(int i) const { return code == nullptr ? kVisible : code[i]; }
};

template <typename T>
static int64_t pixels_of(const WarpGrid<T>& grid) {
  return int64_t{grid.height} * grid.width;
}

// The number of source pixels, and that of a corner outside.
template <typename T>
static int sources_of(const WarpGrid<T>& grid) {
  return grid.source_height * grid.source_width;
}

template <typename T>
static void find(const WarpGrid<T>& grid, int64_t picture, int row, int column, Tile<T>& tile) {
  const int h = grid.source_height, w = grid.source_width, outside = sources_of(grid);
  const int64_t axis = grid.flow_axis, step = grid.flow_pixel;
  tile.count = std::min(kTile, grid.width - column);
  tile.pixel = int64_t{row} * grid.width + column;
  tile.code = grid.visibility;
  if (tile.code != nullptr) tile.code += picture * pixels_of(grid) + tile.pixel;
  const T* const flow = grid.flow + 2 * picture * pixels_of(grid) + tile.pixel * step;
  for (int i = 0; i < tile.count; ++i) {
    const Along<T> x = place_along(column + i, flow[i * step], w);
    const Along<T> y = place_along(row, flow[i * step + axis], h);
    const Corners<T> at = corners_at(x, y, h, w, outside);
    for (int k = 0; k < 4; ++k) {
      tile.corner[k][i] = at.pixel[k];
      tile.weight[k][i] = at.weight[k];
    }
    tile.right[i] = x.share;
    tile.down[i] = y.share;
  }
}

// Calls f(tile) for all target pixels of a row.
template <typename T, typename F>
static void for_row(const WarpGrid<T>& grid, int64_t picture, int row, Tile<T>& tile, const F& f) {
  for (int column = 0; column < grid.width; column += kTile) {
    find(grid, picture, row, column, tile);
    f(tile);
  }
}

// The corners of a target pixel, where pixels lie `stride` numbers apart. Outside is `beyond`.
template <typename T>
struct Four {
  T* at[4];
};
template <typename T, typename S>
static inline Four<T> four(const Tile<S>& tile, int i, T* base, int64_t stride, int sources,
                           T* beyond) {
  Four<T> corners;
  for (int k = 0; k < 4; ++k) {
    const int pixel = tile.corner[k][i];
    corners.at[k] = pixel < sources ? base + pixel * stride : beyond;
  }
  return corners;
}

// V: T, or Lanes.
template <typename V, typename T>
static inline V load_as(const T* p) {
  if constexpr (std::is_same_v<V, T>) {
    return *p;
  } else {
    return load_lanes<T, V::width>(p);
  }
}
template <typename T>
static inline void store_as(T* p, const T& value) {
  *p = value;
}
template <typename T, int N>
static inline void store_as(T* p, const Lanes<T, N>& value) {
  store_lanes(p, value);
}

// Calls f(c, zero) for `count` channels, c being the first of L of them, or a single one.
template <typename T, int L = kLanes<T>, typename F>
static inline void for_channels(int64_t count, const F& f) {
  int64_t c = 0;
  for (; c + L <= count; c += L) f(c, Lanes<T, L>(0));
  for (; c < count; ++c) f(c, T(0));
}

template <int L, typename T>
static inline void blend(const Tile<T>& tile, int i, const Four<const T>& from, int64_t count,
                         T* out) {
  for_channels<T, L>(count, [&](int64_t c, auto sum) {
    using V = decltype(sum);
    for (int k = 0; k < 4; ++k) sum += V(tile.weight[k][i]) * load_as<V>(from.at[k] + c);
    store_as(out + c, sum);
  });
}

template <typename T>
static void copy(const T* in, int64_t count, T* out) {
  for_channels<T>(
      count, [&](int64_t c, auto zero) { store_as(out + c, load_as<decltype(zero)>(in + c)); });
}

// Channels-first: some channels of a picture.
struct Block {
  int64_t picture, index;
  int64_t first;  // channel
  int channels;
};

template <typename T>
static Block block_at(const WarpGrid<T>& grid, int64_t unit) {
  const int64_t blocks = warp_blocks(grid.channels), index = unit % blocks;
  const int64_t first = index * kBlock;
  return {unit / blocks, index, first,
          static_cast<int>(std::min<int64_t>(kBlock, grid.channels - first))};
}

// Planes of pixels, `stride` numbers apart <-> a row of N channels for each pixel.
template <int N, typename T>
static void lay_rows(const T* planes, int64_t stride, int channels, int64_t count, T* rows) {
  if constexpr (N == kFew) {
    for (int64_t i = 0; i < count; ++i) {
      for (int c = 0; c < N; ++c) rows[i * N + c] = c < channels ? planes[c * stride + i] : T(0);
    }
  } else {
    constexpr int W = kLanes<T>;
    for (int l = 0; l < N; l += W) {
      to_lanes(planes + l * stride, stride, std::clamp(channels - l, 0, W), count, rows + l, N);
    }
  }
}
template <int N, typename T>
static void lay_planes(const T* rows, int channels, int64_t count, T* planes, int64_t stride) {
  if constexpr (N == kFew) {
    for (int c = 0; c < channels; ++c) {
      for (int64_t i = 0; i < count; ++i) planes[c * stride + i] = rows[i * N + c];
    }
  } else {
    constexpr int W = kLanes<T>;
    for (int l = 0; l < channels; l += W) {
      from_lanes(rows + l, N, std::min(channels - l, W), count, planes + l * stride, stride);
    }
  }
}

}  // namespace bodyreg::BODYREG_ISA
