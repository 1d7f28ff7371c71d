// Backward warping and its gradients, without atomics: target pixels are sorted by the cell that
// they read, and every source pixel adds up those of its four cells, in order.
#include "../common/access.h"
#include "../common/launch.h"
#include "../common/reduce.h"
#include "warp.h"
#include "warp_math.h"

namespace bodyreg {
namespace {

constexpr int kThreads = 128;
constexpr int kBlocks = 16;  // on a multiprocessor
constexpr int kPlanes = 8;   // channels that a thread takes, channels-first

// A thread's slot of a picture: V channels of a pixel. They are a vector of memory (kLast), or lie
// in planes of their own; then the last slot of a pixel may have fewer channels.
template <typename T, bool kLast, int V>
struct Slot {
  unsigned pixel;
  int first;  // channel

  // Neighbouring threads have neighbouring memory.
  __device__ Slot(unsigned index, unsigned pixels, unsigned slots) {
    pixel = kLast ? index / slots : index % pixels;
    first = static_cast<int>(kLast ? index - pixel * slots : index / pixels) * V;
  }

  // data: (B, channels, pixels), of which `of` are asked for from `channel` on.
  __device__ static void load(T (&out)[V], const T* data, int64_t picture, int64_t channels,
                              int64_t pixels, int64_t pixel, int64_t channel, int of) {
    if constexpr (!kLast) {
      const T* const at = data + (picture * channels + channel) * pixels + pixel;
      for (int i = 0; i < V; ++i) out[i] = i < of ? at[i * pixels] : T(0);
    } else if constexpr (V > 1) {
      load_vector(out, data + (picture * pixels + pixel) * channels + channel);
    } else {
      out[0] = data[(picture * pixels + pixel) * channels + channel];
    }
  }
  __device__ static void store(const T (&in)[V], T* data, int64_t picture, int64_t channels,
                               int64_t pixels, int64_t pixel, int64_t channel, int of) {
    if constexpr (!kLast) {
      T* const at = data + (picture * channels + channel) * pixels + pixel;
      for (int i = 0; i < V; ++i) {
        if (i < of) at[i * pixels] = in[i];
      }
    } else if constexpr (V > 1) {
      store_vector(data + (picture * pixels + pixel) * channels + channel, in);
    } else {
      data[(picture * pixels + pixel) * channels + channel] = in[0];
    }
  }
};

// Calls f(picture, index), for every picture and every index below `count`, in one thread each, or
// in kLanes threads each.
template <int kLanes = 1, typename F>
__device__ __forceinline__ void for_all(int64_t pictures, unsigned count, const F& f) {
  constexpr unsigned kTogether = kThreads / kLanes;
  for (int64_t picture = blockIdx.y; picture < pictures; picture += gridDim.y) {
    for (unsigned index = blockIdx.x * kTogether + threadIdx.x / kLanes; index < count;
         index += gridDim.x * kTogether) {
      f(picture, index);
    }
  }
}

template <typename T>
__device__ __forceinline__ int64_t pixels_of(const WarpGrid<T>& grid) {
  return int64_t{grid.height} * grid.width;
}
template <typename T>
__device__ __forceinline__ int64_t sources_of(const WarpGrid<T>& grid) {
  return int64_t{grid.source_height} * grid.source_width;
}

template <typename T>
struct Places {
  Along<T> x, y;
  __device__ Places(const WarpGrid<T>& grid, int64_t picture, unsigned pixel) {
    const T* const flow = grid.flow + 2 * picture * pixels_of(grid) + pixel * grid.flow_pixel;
    const unsigned row = pixel / grid.width, column = pixel - row * grid.width;
    x = place_along(static_cast<int>(column), flow[0], grid.source_width);
    y = place_along(static_cast<int>(row), flow[grid.flow_axis], grid.source_height);
  }
};

template <typename T>
__device__ __forceinline__ int code_at(const WarpGrid<T>& grid, int64_t picture, int64_t pixel) {
  return grid.visibility == nullptr ? kVisible : grid.visibility[picture * pixels_of(grid) + pixel];
}

// What a target pixel's channels are the gradient of, see Slot::load.
template <typename S, typename T, int V>
__device__ __forceinline__ void load_gradient(T (&grad)[V], const WarpBackwardParams<T>& p,
                                              int64_t picture, int64_t pixel, int first, int code) {
  const int C = p.grid.channels;
  const int64_t pixels = pixels_of(p.grid);
  S::load(grad, p.grad_warped, picture, C, pixels, pixel, first, C - first);
  if (p.grad_layers == nullptr || code >= kBackground) return;
  T layer[V];
  S::load(layer, p.grad_layers, picture, 2 * int64_t{C}, pixels, pixel, int64_t{code} * C + first,
          C - first);
  for (int i = 0; i < V; ++i) grad[i] += layer[i];
}

// A thread owns V channels of a target pixel. Moves 4 bytes in and out per channel (float; the
// corners that neighbours share come from the L1 and the L2), 8 for the flow and 1 for the
// visibility per pixel; 8 more per channel out with layers.
template <typename T, bool kLast, int V>
__global__ void __launch_bounds__(kThreads)
    warp_forward_kernel(const WarpParams<T> p, const unsigned count) {
  using S = Slot<T, kLast, V>;
  const int C = p.grid.channels;
  const int64_t pixels = pixels_of(p.grid), sources = sources_of(p.grid);
  for_all(p.grid.pictures, count, [&](int64_t picture, unsigned index) {
    const S at(index, pixels, (C + V - 1) / V);
    const int code = code_at(p.grid, picture, at.pixel), of = C - at.first;
    T sum[V];
    if (p.layers == nullptr && code >= kBackground) {
      for (int i = 0; i < V; ++i) sum[i] = p.background;
    } else {
      const Places<T> place(p.grid, picture, at.pixel);
      const Corners<T> corners =
          corners_at(place.x, place.y, p.grid.source_height, p.grid.source_width, -1);
      for (int i = 0; i < V; ++i) sum[i] = 0;
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        T value[V] = {};
        if (corners.pixel[k] >= 0) {
          S::load(value, p.features, picture, C, sources, corners.pixel[k], at.first, of);
        }
        for (int i = 0; i < V; ++i) sum[i] += corners.weight[k] * value[i];
      }
    }
    S::store(sum, p.warped, picture, C, pixels, at.pixel, at.first, of);
    if (p.layers == nullptr) return;
    for (int layer = 0; layer < 2; ++layer) {
      T value[V];
      for (int i = 0; i < V; ++i) value[i] = layer == code ? sum[i] : T(0);
      S::store(value, p.layers, picture, 2 * int64_t{C}, pixels, at.pixel,
               int64_t{layer} * C + at.first, of);
    }
  });
}

// The flow's gradient. Channels-last a warp owns a target pixel, a lane every 32nd V channels of
// it; channels-first a thread owns a pixel. Moves 8 bytes in per channel (float), 8 in and out per
// pixel.
template <typename T, bool kLast, int V>
__global__ void __launch_bounds__(kThreads)
    warp_flow_kernel(const WarpBackwardParams<T> p, const unsigned count) {
  using S = Slot<T, kLast, V>;
  constexpr int kLanes = kLast ? 32 : 1;
  const int C = p.grid.channels, lane = threadIdx.x % kLanes;
  const int64_t pixels = pixels_of(p.grid), sources = sources_of(p.grid);
  for_all<kLanes>(p.grid.pictures, count, [&](int64_t picture, unsigned pixel) {
    const int code = code_at(p.grid, picture, pixel);
    T x = 0, y = 0;
    if (p.grad_layers != nullptr || code < kBackground) {
      const Places<T> place(p.grid, picture, pixel);
      const Corners<T> corners =
          corners_at(place.x, place.y, p.grid.source_height, p.grid.source_width, -1);
      for (int first = lane * V; first < C; first += kLanes * V) {
        T grad[V], value[4][V] = {};
        load_gradient<S>(grad, p, picture, pixel, first, code);
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          if (corners.pixel[k] < 0) continue;
          S::load(value[k], p.features, picture, C, sources, corners.pixel[k], first, C - first);
        }
        for (int i = 0; i < V; ++i) {
          const T corner[4] = {value[0][i], value[1][i], value[2][i], value[3][i]};
          const Slope<T> slope = slope_at(corner, place.x.share, place.y.share);
          x += grad[i] * slope.x;
          y += grad[i] * slope.y;
        }
      }
    }
    if constexpr (kLast) {
      x = lane_sum(x);
      y = lane_sum(y);
    }
    if (lane != 0) return;
    T* const out = p.grad_flow + 2 * picture * pixels + pixel * p.grid.flow_pixel;
    out[0] = moved(x, p.grid.source_width);
    out[p.grid.flow_axis] = moved(y, p.grid.source_height);
  });
}

// Cells begin one row and one column outside the source. The last number is that of no cell.
template <typename T>
__device__ __forceinline__ int64_t cells_of(const WarpGrid<T>& grid) {
  return int64_t{grid.source_height + 1} * (grid.source_width + 1);
}

// A thread owns a target pixel. Moves 9 bytes in (float) and 4 out.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    warp_cells_kernel(const WarpBackwardParams<T> p, const unsigned count) {
  for_all(p.grid.pictures, count, [&](int64_t picture, unsigned pixel) {
    const Places<T> place(p.grid, picture, pixel);
    const bool reads = place.x.first >= -1 && place.y.first >= -1 &&
                       (p.grad_layers != nullptr || code_at(p.grid, picture, pixel) < kBackground);
    const int64_t cell = int64_t{place.y.first + 1} * (p.grid.source_width + 1) + place.x.first + 1;
    p.cells[picture * pixels_of(p.grid) + pixel] = static_cast<int32_t>(
        (reads ? picture * cells_of(p.grid) + cell : p.grid.pictures * cells_of(p.grid)));
  });
}

// A thread owns a cell, and looks for it among the sorted ones: reads come from the L2. Writes 8
// bytes.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    warp_starts_kernel(const WarpBackwardParams<T> p, const int64_t targets, const int64_t count) {
  for (int64_t cell = int64_t{blockIdx.x} * kThreads + threadIdx.x; cell < count;
       cell += int64_t{gridDim.x} * kThreads) {
    int64_t begin = 0, end = targets;
    while (begin < end) {
      const int64_t middle = (begin + end) / 2;
      if (p.sorted[middle] < cell) {
        begin = middle + 1;
      } else {
        end = middle;
      }
    }
    p.starts[cell] = begin;
  }
}

// A thread owns V channels of a source pixel. Moves 4 bytes per channel out (float), and 4 in per
// channel of every target pixel that reads it, most of them from the L2; 32 bytes for the cells.
template <typename T, bool kLast, int V>
__global__ void __launch_bounds__(kThreads, 4)
    warp_gather_kernel(const WarpBackwardParams<T> p, const unsigned count) {
  using S = Slot<T, kLast, V>;
  const int C = p.grid.channels;
  const int64_t pixels = pixels_of(p.grid), sources = sources_of(p.grid);
  for_all(p.grid.pictures, count, [&](int64_t picture, unsigned index) {
    const S at(index, sources, (C + V - 1) / V);
    const int row = static_cast<int>(at.pixel / p.grid.source_width);
    const int column = static_cast<int>(at.pixel) - row * p.grid.source_width;
    T sum[V] = {};
    // In the cells of the row above the pixel is below, and to the right of the first of them.
    for (int below = 1; below >= 0; --below) {
      const int64_t cell = picture * cells_of(p.grid) +
                           int64_t{row + 1 - below} * (p.grid.source_width + 1) + column;
      for (int64_t n = p.starts[cell]; n < p.starts[cell + 2]; ++n) {
        const unsigned target = static_cast<unsigned>(p.order[n] - picture * pixels);
        const Places<T> place(p.grid, picture, target);
        const T across = place.x.first < column ? place.x.share : T(1) - place.x.share;
        const T weight = across * (below == 1 ? place.y.share : T(1) - place.y.share);
        T grad[V];
        load_gradient<S>(grad, p, picture, target, at.first, code_at(p.grid, picture, target));
        for (int i = 0; i < V; ++i) sum[i] += weight * grad[i];
      }
    }
    S::store(sum, p.grad_features, picture, C, sources, at.pixel, at.first, C - at.first);
  });
}

bool is_aligned(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer) % 16 == 0; }

// Calls f with the kind of Slot that suits the memory, as constants: kLast, V.
template <typename T, typename F>
void with_slot(const WarpGrid<T>& grid, bool aligned, const F& f) {
  constexpr int kVector = 16 / sizeof(T);
  if (!grid.channels_last) {
    f(std::false_type(), std::integral_constant<int, kPlanes>());
  } else if (aligned && grid.channels % kVector == 0) {
    f(std::true_type(), std::integral_constant<int, kVector>());
  } else {
    f(std::true_type(), std::integral_constant<int, 1>());
  }
}

// Blocks for `count` threads a picture.
dim3 blocks_for(int64_t pictures, int64_t count) {
  const unsigned high = grid_for(pictures, kBlocks);
  const unsigned wide = grid_for((count + kThreads - 1) / kThreads, kBlocks);
  return {std::max(1u, std::min(wide, wide / high + 1)), high};
}

unsigned slots_of(int64_t pixels, int channels, int width) {
  return static_cast<unsigned>(pixels * ((channels + width - 1) / width));
}

}  // namespace

template <typename T>
void warp_forward_cuda(const WarpParams<T>& p, cudaStream_t stream) {
  const bool aligned = is_aligned(p.features) && is_aligned(p.warped) && is_aligned(p.layers);
  with_slot(p.grid, aligned, [&](auto last, auto width) {
    const unsigned count = slots_of(int64_t{p.grid.height} * p.grid.width, p.grid.channels, width);
    if (p.grid.pictures == 0 || count == 0) return;
    SIMT_LAUNCH((warp_forward_kernel<T, last, width>), blocks_for(p.grid.pictures, count), kThreads,
                0, stream, p, count);
  });
  check_cuda(cudaGetLastError(), "warp");
}

template <typename T>
void warp_cells_cuda(const WarpBackwardParams<T>& p, cudaStream_t stream) {
  const int64_t count = int64_t{p.grid.height} * p.grid.width;
  if (p.grid.pictures == 0 || count == 0) return;
  if (warp_starts(p.grid) >= int64_t{1} << 31) {
    throw std::runtime_error(
        "bodyreg.warp: features: expected fewer than 2^31 pixels in a batch, for its gradient");
  }
  SIMT_LAUNCH(warp_cells_kernel<T>, blocks_for(p.grid.pictures, count), kThreads, 0, stream, p,
              static_cast<unsigned>(count));
  check_cuda(cudaGetLastError(), "warp_backward, cells");
}

template <typename T>
void warp_backward_cuda(const WarpBackwardParams<T>& p, cudaStream_t stream) {
  const WarpGrid<T>& grid = p.grid;
  const int64_t pixels = int64_t{grid.height} * grid.width;
  const int64_t sources = int64_t{grid.source_height} * grid.source_width;
  const bool aligned = is_aligned(p.features) && is_aligned(p.grad_warped) &&
                       is_aligned(p.grad_layers) && is_aligned(p.grad_features);
  if (grid.pictures == 0) return;
  if (p.grad_features != nullptr && sources * grid.channels > 0) {
    const int64_t starts = warp_starts(grid);
    SIMT_LAUNCH(warp_starts_kernel<T>, grid_for((starts + kThreads - 1) / kThreads, kBlocks),
                kThreads, 0, stream, p, grid.pictures * pixels, starts);
    with_slot(grid, aligned, [&](auto last, auto width) {
      const unsigned count = slots_of(sources, grid.channels, width);
      SIMT_LAUNCH((warp_gather_kernel<T, last, width>), blocks_for(grid.pictures, count), kThreads,
                  0, stream, p, count);
    });
    check_cuda(cudaGetLastError(), "warp_backward");
  }
  if (p.grad_flow != nullptr && pixels > 0) {
    with_slot(grid, aligned, [&](auto last, auto width) {
      SIMT_LAUNCH((warp_flow_kernel<T, last, width>),
                  blocks_for(grid.pictures, pixels * (last ? 32 : 1)), kThreads, 0, stream, p,
                  static_cast<unsigned>(pixels));
    });
    check_cuda(cudaGetLastError(), "warp_backward, flow");
  }
}

template void warp_forward_cuda(const WarpParams<float>&, cudaStream_t);
template void warp_forward_cuda(const WarpParams<double>&, cudaStream_t);
template void warp_cells_cuda(const WarpBackwardParams<float>&, cudaStream_t);
template void warp_cells_cuda(const WarpBackwardParams<double>&, cudaStream_t);
template void warp_backward_cuda(const WarpBackwardParams<float>&, cudaStream_t);
template void warp_backward_cuda(const WarpBackwardParams<double>&, cudaStream_t);

}  // namespace bodyreg
