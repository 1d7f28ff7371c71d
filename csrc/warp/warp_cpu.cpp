// Channels-last, the channels of a pixel fill registers as they are. Channels-first, a block of
// channels of the whole source is first laid out in that way, and results are laid back: that costs
// less than reading number by number, and gradients are added a register at a time.
#include <algorithm>

#include "../common/buffer.h"
#include "warp.h"
#include "warp_tile.h"

namespace bodyreg::BODYREG_ISA {
namespace {

template <typename T>
void forward_row(const WarpParams<T>& p, int64_t picture, int row, Tile<T>& tile, const T* zeros) {
  const int64_t C = p.grid.channels, pixels = pixels_of(p.grid);
  const int sources = sources_of(p.grid);
  const T* const features = p.features + picture * sources * C;
  for_row(p.grid, picture, row, tile, [&](const Tile<T>& tile) {
    for (int i = 0; i < tile.count; ++i) {
      const int code = tile.code_of(i);
      const int64_t pixel = picture * pixels + tile.pixel + i;
      T* const out = p.warped + pixel * C;
      if (p.layers == nullptr && code >= kBackground) {
        for (int64_t c = 0; c < C; ++c) out[c] = p.background;
        continue;
      }
      blend<kLanes<T>>(tile, i, four(tile, i, features, C, sources, zeros), C, out);
      if (p.layers == nullptr) continue;
      for (int layer = 0; layer < 2; ++layer) {
        T* const into = p.layers + (2 * pixel + layer) * C;
        code == layer ? copy(out, C, into) : set_zero(into, C);
      }
    }
  });
}

// Writes what a tile read to the results. values: (count, N); changed.
template <int N, typename T>
void show(const WarpParams<T>& p, const Block& block, const Tile<T>& tile, T* values) {
  const int64_t pixels = pixels_of(p.grid), C = p.grid.channels;
  const auto write = [&](T* picture, int64_t first) {
    lay_planes<N>(values, block.channels, tile.count, picture + first * pixels + tile.pixel,
                  pixels);
  };
  const auto clear = [&](const auto& unless, T value) {
    for (int i = 0; i < tile.count; ++i) {
      if (unless(tile.code_of(i))) continue;
      for (int c = 0; c < N; ++c) values[i * N + c] = value;
    }
  };
  T* const warped = p.warped + block.picture * C * pixels;
  if (p.layers == nullptr) {
    clear([](int code) { return code < kBackground; }, p.background);
    write(warped, block.first);
    return;
  }
  T* const layers = p.layers + 2 * block.picture * C * pixels;
  write(warped, block.first);
  alignas(64) T all[kTile * N];
  copy(values, int64_t{tile.count} * N, all);
  clear([](int code) { return code == kVisible; }, T(0));
  write(layers, block.first);
  copy(all, int64_t{tile.count} * N, values);
  clear([](int code) { return code == kHidden; }, T(0));
  write(layers, C + block.first);
}

// rows: workspace, (source pixels + 1, N)
template <int N, typename T>
void forward_block(const WarpParams<T>& p, const Block& block, Tile<T>& tile, T* rows) {
  const int sources = sources_of(p.grid);
  const T* const planes =
      p.features + (block.picture * p.grid.channels + block.first) * int64_t{sources};
  T* const beyond = rows + int64_t{sources} * N;
  lay_rows<N>(planes, sources, block.channels, sources, rows);
  set_zero(beyond, N);
  alignas(64) T values[kTile * N];
  for (int row = 0; row < p.grid.height; ++row) {
    for_row(p.grid, block.picture, row, tile, [&](const Tile<T>& tile) {
      for (int i = 0; i < tile.count; ++i) {
        const auto from = four<const T>(tile, i, rows, N, sources, beyond);
        blend<kTogether<T, N>>(tile, i, from, N, values + i * N);
      }
      show<N>(p, block, tile, values);
    });
  }
}

// The gradient of one target pixel in channel c, or in a register of them, goes to its corners.
template <typename V, typename T>
inline void spread(const Tile<T>& tile, int i, const V& grad, const Four<T>& to, int64_t c) {
  for (int k = 0; k < 4; ++k) {
    T* const sum = to.at[k] + c;
    store_as(sum, load_as<V>(sum) + V(tile.weight[k][i]) * grad);
  }
}

// The flow's gradient at the pixels of a tile: sums over channels, L at a time.
template <typename T, int L>
class FlowGradient {
 public:
  void add(const Tile<T>& tile, int i, const Lanes<T, L>& grad, const Four<const T>& from,
           int64_t c) {
    const Slope<Lanes<T, L>> slope = slope_of(tile, i, from, c, grad);
    x_ += grad * slope.x;
    y_ += grad * slope.y;
  }
  void add(const Tile<T>& tile, int i, const T& grad, const Four<const T>& from, int64_t c) {
    const Slope<T> slope = slope_of(tile, i, from, c, grad);
    rest_x_ += grad * slope.x;
    rest_y_ += grad * slope.y;
  }

  // The sums so far are pixel i's; the next ones begin at 0.
  void end(int i) {
    store_lanes(lanes_x_ + i * L, x_);
    store_lanes(lanes_y_ + i * L, y_);
    out_x[i] = rest_x_;
    out_y[i] = rest_y_;
    x_ = y_ = Lanes<T, L>(0);
    rest_x_ = rest_y_ = 0;
  }

  // Puts the sums of `count` pixels into out_x and out_y.
  void finish(int count) {
    add_lanes(lanes_x_, count, out_x);
    add_lanes(lanes_y_, count, out_y);
  }

  alignas(64) T out_x[kTile];
  alignas(64) T out_y[kTile];

 private:
  template <typename V>
  static Slope<V> slope_of(const Tile<T>& tile, int i, const Four<const T>& from, int64_t c,
                           const V&) {
    const V corner[4] = {load_as<V>(from.at[0] + c), load_as<V>(from.at[1] + c),
                         load_as<V>(from.at[2] + c), load_as<V>(from.at[3] + c)};
    return slope_at(corner, tile.right[i], tile.down[i]);
  }

  // Adds the lanes of each pixel; a square of pixels and lanes at a time where registers are full.
  static void add_lanes(const T* lanes, int count, T* out) {
    for (int first = 0; first < count; first += L) {
      if constexpr (L == kLanes<T>) {
        Lanes<T> square[L];
        for (int i = 0; i < L; ++i) square[i] = load_lanes(lanes + (first + i) * L);
        transpose(square);
        Lanes<T> sum = load_lanes(out + first);
        for (int l = 0; l < L; ++l) sum += square[l];
        store_lanes(out + first, sum);
      } else {
        for (int i = first; i < first + L; ++i) {
          for (int l = 0; l < L; ++l) out[i] += lanes[i * L + l];
        }
      }
    }
  }

  Lanes<T, L> x_ = 0, y_ = 0;
  T rest_x_ = 0, rest_y_ = 0;
  alignas(64) T lanes_x_[kTile * L] = {};
  alignas(64) T lanes_y_[kTile * L] = {};
};

template <typename T>
void write_flow_gradient(const WarpBackwardParams<T>& p, int64_t picture, int64_t pixel, T x, T y) {
  T* const out = p.grad_flow + 2 * picture * pixels_of(p.grid) + pixel * p.grid.flow_pixel;
  out[0] = moved(x, p.grid.source_width);
  out[p.grid.flow_axis] = moved(y, p.grid.source_height);
}

// Channels-last: a slice of the channels of a picture, and the flow of every so many-th row.
// zeros, unused: as many numbers as there are channels.
template <typename T>
void backward_slice(const WarpBackwardParams<T>& p, int64_t picture, int slice, Tile<T>& tile,
                    const T* zeros, T* unused) {
  FlowGradient<T, kLanes<T>> flow;
  const int64_t C = p.grid.channels, pixels = pixels_of(p.grid);
  const int sources = sources_of(p.grid);
  const int64_t wide = ((C + p.slices - 1) / p.slices + kBlock - 1) / kBlock * kBlock;
  const int64_t begin = std::min<int64_t>(C, slice * wide), count = std::min(C - begin, wide);
  const T* const features = p.features + picture * sources * C;
  T* const grad_features = p.grad_features + picture * sources * C + begin;
  if (p.grad_features != nullptr) {
    for (int64_t i = 0; i < sources; ++i) set_zero(grad_features + i * C, count);
  }
  for (int row = 0; row < p.grid.height; ++row) {
    const bool flows = p.grad_flow != nullptr && row % p.slices == slice;
    for_row(p.grid, picture, row, tile, [&](const Tile<T>& tile) {
      for (int i = 0; i < tile.count; ++i) {
        const int code = tile.code_of(i);
        const int64_t pixel = picture * pixels + tile.pixel + i;
        if (p.grad_layers != nullptr || code < kBackground) {
          const T* const warped = p.grad_warped + pixel * C;
          const T* const layer = p.grad_layers != nullptr && code < kBackground
                                     ? p.grad_layers + (2 * pixel + code) * C
                                     : nullptr;
          const auto grad_at = [&](int64_t c, auto zero) {
            using V = decltype(zero);
            const V grad = load_as<V>(warped + c);
            return layer == nullptr ? grad : grad + load_as<V>(layer + c);
          };
          if (p.grad_features != nullptr) {
            const auto to = four(tile, i, grad_features, C, sources, unused);
            for_channels<T>(count, [&](int64_t c, auto zero) {
              spread(tile, i, grad_at(begin + c, zero), to, c);
            });
          }
          if (flows) {
            const auto from = four(tile, i, features, C, sources, zeros);
            for_channels<T>(
                C, [&](int64_t c, auto zero) { flow.add(tile, i, grad_at(c, zero), from, c); });
          }
        }
        if (flows) flow.end(i);
      }
      if (!flows) return;
      flow.finish(tile.count);
      for (int i = 0; i < tile.count; ++i) {
        write_flow_gradient(p, picture, tile.pixel + i, flow.out_x[i], flow.out_y[i]);
      }
    });
  }
}

// The gradient of what a tile read, (count, N).
template <int N, typename T>
void gather_gradient(const WarpBackwardParams<T>& p, const Block& block, const Tile<T>& tile,
                     T* grad) {
  const int64_t pixels = pixels_of(p.grid), C = p.grid.channels;
  const auto planes = [&](const T* picture, int64_t first) {
    return picture + first * pixels + tile.pixel;
  };
  const T* const warped = p.grad_warped + block.picture * C * pixels;
  lay_rows<N>(planes(warped, block.first), pixels, block.channels, tile.count, grad);
  if (p.grad_layers == nullptr) {
    for (int i = 0; i < tile.count; ++i) {
      if (tile.code_of(i) >= kBackground) set_zero(grad + i * N, N);
    }
    return;
  }
  const T* const layers = p.grad_layers + 2 * block.picture * C * pixels;
  alignas(64) T layer[kTile * N];
  for (int code = 0; code < 2; ++code) {
    lay_rows<N>(planes(layers, code * C + block.first), pixels, block.channels, tile.count, layer);
    for (int i = 0; i < tile.count; ++i) {
      if (tile.code_of(i) != code) continue;
      for (int c = 0; c < N; ++c) grad[i * N + c] += layer[i * N + c];
    }
  }
}

// rows, grad_rows: workspace, (source pixels + 1, N)
template <int N, typename T>
void backward_block(const WarpBackwardParams<T>& p, const Block& block, Tile<T>& tile, T* rows,
                    T* grad_rows) {
  constexpr int L = kTogether<T, N>;
  FlowGradient<T, L> flow;
  const int64_t pixels = pixels_of(p.grid);
  const int sources = sources_of(p.grid);
  const int64_t planes = (block.picture * p.grid.channels + block.first) * sources;
  const int64_t beyond = int64_t{sources} * N;
  if (p.grad_features != nullptr) set_zero(grad_rows, beyond + N);
  if (p.grad_flow != nullptr) {
    lay_rows<N>(p.features + planes, sources, block.channels, sources, rows);
    set_zero(rows + beyond, N);
  }
  T* const partial =
      p.partial + (block.picture * warp_blocks(p.grid.channels) + block.index) * 2 * pixels;
  alignas(64) T grad[kTile * N];
  for (int row = 0; row < p.grid.height; ++row) {
    for_row(p.grid, block.picture, row, tile, [&](const Tile<T>& tile) {
      gather_gradient<N>(p, block, tile, grad);
      for (int i = 0; p.grad_features != nullptr && i < tile.count; ++i) {
        const auto to = four(tile, i, grad_rows, N, sources, grad_rows + beyond);
        for (int c = 0; c < N; c += L) {
          spread(tile, i, load_lanes<T, L>(grad + i * N + c), to, c);
        }
      }
      if (p.grad_flow == nullptr) return;
      for (int i = 0; i < tile.count; ++i) {
        const auto from = four<const T>(tile, i, rows, N, sources, rows + beyond);
        for (int c = 0; c < N; c += L) {
          flow.add(tile, i, load_lanes<T, L>(grad + i * N + c), from, c);
        }
        flow.end(i);
      }
      flow.finish(tile.count);
      copy(flow.out_x, tile.count, partial + tile.pixel);
      copy(flow.out_y, tile.count, partial + pixels + tile.pixel);
    });
  }
  if (p.grad_features == nullptr) return;
  lay_planes<N>(grad_rows, block.channels, sources, p.grad_features + planes, sources);
}

// Workspace for rows of a block of channels of all source pixels, and of zeros outside.
template <typename T>
int64_t rows_of(const WarpGrid<T>& grid, bool needed = true) {
  return needed ? (int64_t{sources_of(grid)} + 1) * kBlock : 0;
}

}  // namespace

template <typename T>
void warp_forward_cpu(const WarpParams<T>& p, int64_t begin, int64_t end) {
  Tile<T> tile;
  if (p.grid.channels_last) {
    Buffer<T> zeros(p.grid.channels);
    set_zero(zeros.data(), p.grid.channels);
    for (int64_t unit = begin; unit < end; ++unit) {
      const int row = static_cast<int>(unit % p.grid.height);
      forward_row(p, unit / p.grid.height, row, tile, zeros.data());
    }
    return;
  }
  Buffer<T> rows(rows_of(p.grid));
  for (int64_t unit = begin; unit < end; ++unit) {
    const Block block = block_at(p.grid, unit);
    block.channels <= kFew ? forward_block<kFew>(p, block, tile, rows.data())
                           : forward_block<kBlock>(p, block, tile, rows.data());
  }
}

template <typename T>
void warp_backward_cpu(const WarpBackwardParams<T>& p, int64_t begin, int64_t end) {
  Tile<T> tile;
  if (p.grid.channels_last) {
    Buffer<T> zeros(p.grid.channels), unused(p.grid.channels);
    set_zero(zeros.data(), p.grid.channels);
    set_zero(unused.data(), p.grid.channels);
    for (int64_t unit = begin; unit < end; ++unit) {
      backward_slice(p, unit / p.slices, static_cast<int>(unit % p.slices), tile, zeros.data(),
                     unused.data());
    }
    return;
  }
  Buffer<T> rows(rows_of(p.grid, p.grad_flow != nullptr));
  Buffer<T> grad_rows(rows_of(p.grid, p.grad_features != nullptr));
  for (int64_t unit = begin; unit < end; ++unit) {
    const Block block = block_at(p.grid, unit);
    block.channels <= kFew ? backward_block<kFew>(p, block, tile, rows.data(), grad_rows.data())
                           : backward_block<kBlock>(p, block, tile, rows.data(), grad_rows.data());
  }
}

template <typename T>
void warp_backward_sum_cpu(const WarpBackwardParams<T>& p, int64_t begin, int64_t end) {
  const int64_t pixels = pixels_of(p.grid), blocks = warp_blocks(p.grid.channels);
  for (int64_t picture = begin; picture < end; ++picture) {
    const T* const partial = p.partial + picture * blocks * 2 * pixels;
    for (int64_t pixel = 0; pixel < pixels; ++pixel) {
      T x = 0, y = 0;
      for (int64_t block = 0; block < blocks; ++block) {
        x += partial[2 * block * pixels + pixel];
        y += partial[(2 * block + 1) * pixels + pixel];
      }
      write_flow_gradient(p, picture, pixel, x, y);
    }
  }
}

template void warp_forward_cpu(const WarpParams<float>&, int64_t, int64_t);
template void warp_forward_cpu(const WarpParams<double>&, int64_t, int64_t);
template void warp_backward_cpu(const WarpBackwardParams<float>&, int64_t, int64_t);
template void warp_backward_cpu(const WarpBackwardParams<double>&, int64_t, int64_t);
template void warp_backward_sum_cpu(const WarpBackwardParams<float>&, int64_t, int64_t);
template void warp_backward_sum_cpu(const WarpBackwardParams<double>&, int64_t, int64_t);

}  // namespace bodyreg::BODYREG_ISA
