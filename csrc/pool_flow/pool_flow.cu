// Pooling of flow and visibility, and its gradient.
#include "../common/launch.h"
#include "../common/reduce.h"
#include "pool_flow.h"
#include "pool_flow_math.h"

namespace bodyreg {
namespace {

constexpr int kThreads = 128;
constexpr int kBlocks = 16;    // on a multiprocessor
constexpr int kOwnFactor = 4;  // up to this factor a thread has a window of its own

// A window of a picture, and where its results lie.
template <typename Params>
struct Place {
  int64_t picture;
  Window window;
  int64_t number, pixels, windows;  // of the window; in a picture

  __device__ Place(const Params& p, int64_t index) {
    const int rows = windows_of(p.height, p.factor), columns = windows_of(p.width, p.factor);
    pixels = int64_t{p.height} * p.width;
    windows = int64_t{rows} * columns;
    picture = index / windows;
    number = index - picture * windows;
    const int row = static_cast<int>(number / columns);
    window = window_at(row, static_cast<int>(number - int64_t{row} * columns), p.height, p.width,
                       p.factor);
  }

  // Calls f(pixel) for every kLanes-th pixel of the window, from `lane` on.
  template <int kLanes, typename F>
  __device__ void for_pixels(int lane, int width, const F& f) const {
    const int count = window.rows * window.columns;
    for (int i = lane; i < count; i += kLanes) {
      const int row = i / window.columns;
      f(int64_t{window.top + row} * width + window.left + i - row * window.columns);
    }
  }
};

// The sum over the lanes that have a window.
template <int kLanes, typename T>
__device__ __forceinline__ T over_lanes(T value) {
  if constexpr (kLanes == 1) {
    return value;
  } else {
    return lane_sum(value);
  }
}

// kLanes threads, one or a warp, own a window. Moves 9 bytes in per pixel (float) and 9 out per
// window.
template <typename T, int kLanes>
__global__ void __launch_bounds__(kThreads)
    pool_flow_forward_kernel(const PoolFlowParams<T> p, const int64_t count) {
  const int lane = threadIdx.x % kLanes;
  const int64_t stride = int64_t{gridDim.x} * (kThreads / kLanes);
  for (int64_t index = int64_t{blockIdx.x} * (kThreads / kLanes) + threadIdx.x / kLanes;
       index < count; index += stride) {
    const Place<PoolFlowParams<T>> at(p, index);
    const uint8_t* const visibility = p.visibility + at.picture * at.pixels;
    const T* const flow = p.flow + 2 * at.picture * at.pixels;
    T x = 0, y = 0;
    int flows = 0, seen = 0;
    at.template for_pixels<kLanes>(lane, p.width, [&](int64_t pixel) {
      const int code = visibility[pixel];
      if (code >= kNoFlow) return;
      x += flow[pixel * p.pixel];
      y += flow[pixel * p.pixel + p.axis];
      ++flows;
      seen += code == 0;
    });
    x = over_lanes<kLanes>(x);
    y = over_lanes<kLanes>(y);
    flows = over_lanes<kLanes>(flows);
    seen = over_lanes<kLanes>(seen);
    if (lane != 0) continue;
    const T by = divisor<T>(flows, at.window, p.factor, p.masked);
    T* const out = p.out + 2 * at.picture * at.windows + at.number * p.pixel;
    out[0] = x / by;
    out[p.out_axis] = y / by;
    p.out_visibility[index] = static_cast<uint8_t>(seen > 0 ? 0 : flows > 0 ? 1 : kNoFlow);
  }
}

// kLanes threads, one or a warp, own a window. Moves 9 bytes in per window (float), 1 in and 8 out
// per pixel.
template <typename T, int kLanes>
__global__ void __launch_bounds__(kThreads)
    pool_flow_backward_kernel(const PoolFlowBackwardParams<T> p, const int64_t count) {
  const int lane = threadIdx.x % kLanes;
  const int64_t stride = int64_t{gridDim.x} * (kThreads / kLanes);
  for (int64_t index = int64_t{blockIdx.x} * (kThreads / kLanes) + threadIdx.x / kLanes;
       index < count; index += stride) {
    const Place<PoolFlowBackwardParams<T>> at(p, index);
    const uint8_t* const visibility = p.visibility + at.picture * at.pixels;
    int flows = 0;
    at.template for_pixels<kLanes>(lane, p.width,
                                   [&](int64_t pixel) { flows += visibility[pixel] < kNoFlow; });
    flows = over_lanes<kLanes>(flows);
    const T by = divisor<T>(flows, at.window, p.factor, p.masked);
    const T* const grad = p.grad_out + 2 * at.picture * at.windows + at.number * p.pixel;
    const T x = grad[0] / by, y = grad[p.out_axis] / by;
    T* const out = p.grad_flow + 2 * at.picture * at.pixels;
    at.template for_pixels<kLanes>(lane, p.width, [&](int64_t pixel) {
      const bool has_flow = visibility[pixel] < kNoFlow;
      out[pixel * p.pixel] = has_flow ? x : T(0);
      out[pixel * p.pixel + p.axis] = has_flow ? y : T(0);
    });
  }
}

// Calls f with how many threads own a window, and how many windows there are.
template <typename Params, typename F>
void with_lanes(const Params& p, const F& f) {
  const int64_t count = p.pictures * windows_of(p.height, p.factor) * windows_of(p.width, p.factor);
  if (count == 0) return;
  if (p.factor <= kOwnFactor) {
    f(std::integral_constant<int, 1>(), count);
  } else {
    f(std::integral_constant<int, 32>(), count);
  }
}

unsigned blocks_for(int64_t threads) {
  return grid_for((threads + kThreads - 1) / kThreads, kBlocks);
}

}  // namespace

template <typename T>
void pool_flow_forward_cuda(const PoolFlowParams<T>& p, cudaStream_t stream) {
  with_lanes(p, [&](auto lanes, int64_t count) {
    SIMT_LAUNCH((pool_flow_forward_kernel<T, lanes>), blocks_for(count * lanes), kThreads, 0,
                stream, p, count);
  });
  check_cuda(cudaGetLastError(), "pool_flow");
}

template <typename T>
void pool_flow_backward_cuda(const PoolFlowBackwardParams<T>& p, cudaStream_t stream) {
  with_lanes(p, [&](auto lanes, int64_t count) {
    SIMT_LAUNCH((pool_flow_backward_kernel<T, lanes>), blocks_for(count * lanes), kThreads, 0,
                stream, p, count);
  });
  check_cuda(cudaGetLastError(), "pool_flow_backward");
}

template void pool_flow_forward_cuda(const PoolFlowParams<float>&, cudaStream_t);
template void pool_flow_forward_cuda(const PoolFlowParams<double>&, cudaStream_t);
template void pool_flow_backward_cuda(const PoolFlowBackwardParams<float>&, cudaStream_t);
template void pool_flow_backward_cuda(const PoolFlowBackwardParams<double>&, cudaStream_t);

}  // namespace bodyreg
