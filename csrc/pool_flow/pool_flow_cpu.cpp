#include "pool_flow.h"
#include "pool_flow_math.h"

namespace bodyreg::BODYREG_ISA {
namespace {

// Calls f(picture, window, its number in the picture) for rows of windows.
template <typename Params, typename F>
void for_windows(const Params& p, int64_t begin, int64_t end, const F& f) {
  const int rows = windows_of(p.height, p.factor), columns = windows_of(p.width, p.factor);
  for (int64_t unit = begin; unit < end; ++unit) {
    const int row = static_cast<int>(unit % rows);
    for (int column = 0; column < columns; ++column) {
      f(unit / rows, window_at(row, column, p.height, p.width, p.factor),
        int64_t{row} * columns + column);
    }
  }
}

// Calls f(first, last) for every row of a window: its pixels before `last`.
template <typename Params, typename F>
void for_rows(const Params& p, const Window& window, const F& f) {
  for (int row = window.top; row < window.top + window.rows; ++row) {
    const int64_t first = int64_t{row} * p.width + window.left;
    f(first, first + window.columns);
  }
}

template <typename Params>
int64_t pixels_of(const Params& p) {
  return int64_t{p.height} * p.width;
}
template <typename Params>
int64_t windows_in(const Params& p) {
  return int64_t{windows_of(p.height, p.factor)} * windows_of(p.width, p.factor);
}

}  // namespace

template <typename T>
void pool_flow_forward_cpu(const PoolFlowParams<T>& p, int64_t begin, int64_t end) {
  for_windows(p, begin, end, [&](int64_t picture, const Window& window, int64_t number) {
    const uint8_t* const visibility = p.visibility + picture * pixels_of(p);
    const T* const flow = p.flow + 2 * picture * pixels_of(p);
    T x = 0, y = 0;
    int64_t flows = 0;
    int best = kNoFlow;
    for_rows(p, window, [&](int64_t first, int64_t last) {
      T row_x = 0, row_y = 0;  // one long sum would round more
      for (int64_t pixel = first; pixel < last; ++pixel) {
        const int code = visibility[pixel];
        best = least(best, code);
        if (code >= kNoFlow) continue;
        row_x += flow[pixel * p.pixel];
        row_y += flow[pixel * p.pixel + p.axis];
        ++flows;
      }
      x += row_x;
      y += row_y;
    });
    const T by = divisor<T>(flows, window, p.factor, p.masked);
    T* const out = p.out + 2 * picture * windows_in(p) + number * p.pixel;
    out[0] = x / by;
    out[p.out_axis] = y / by;
    p.out_visibility[picture * windows_in(p) + number] = static_cast<uint8_t>(best);
  });
}

template <typename T>
void pool_flow_backward_cpu(const PoolFlowBackwardParams<T>& p, int64_t begin, int64_t end) {
  for_windows(p, begin, end, [&](int64_t picture, const Window& window, int64_t number) {
    const uint8_t* const visibility = p.visibility + picture * pixels_of(p);
    int64_t flows = 0;
    for_rows(p, window, [&](int64_t first, int64_t last) {
      for (int64_t pixel = first; pixel < last; ++pixel) flows += visibility[pixel] < kNoFlow;
    });
    const T by = divisor<T>(flows, window, p.factor, p.masked);
    const T* const grad = p.grad_out + 2 * picture * windows_in(p) + number * p.pixel;
    const T x = grad[0] / by, y = grad[p.out_axis] / by;
    T* const out = p.grad_flow + 2 * picture * pixels_of(p);
    for_rows(p, window, [&](int64_t first, int64_t last) {
      for (int64_t pixel = first; pixel < last; ++pixel) {
        const bool has_flow = visibility[pixel] < kNoFlow;
        out[pixel * p.pixel] = has_flow ? x : T(0);
        out[pixel * p.pixel + p.axis] = has_flow ? y : T(0);
      }
    });
  });
}

template void pool_flow_forward_cpu(const PoolFlowParams<float>&, int64_t, int64_t);
template void pool_flow_forward_cpu(const PoolFlowParams<double>&, int64_t, int64_t);
template void pool_flow_backward_cpu(const PoolFlowBackwardParams<float>&, int64_t, int64_t);
template void pool_flow_backward_cpu(const PoolFlowBackwardParams<double>&, int64_t, int64_t);

}  // namespace bodyreg::BODYREG_ISA
