// Flow and visibility of a smaller target: parameters, CPU functions, launchers.
#pragma once

#include <cstdint>

#include "../common/isa.h"
#include "../common/stream.h"

namespace bodyreg {

// A window of factor x factor pixels, fewer at the right and lower border, becomes a pixel.
template <typename T>
struct PoolFlowParams {
  int64_t pictures;           // B
  int height, width;          // H, W of the flow
  int factor;                 // k
  bool masked;                // divide by the pixels with flow alone, not by all
  int64_t axis, pixel;        // flow: steps from x to y and from a pixel to the next
  int64_t out_axis;           // out: the first of them; the second is the same
  const T* flow;              // (B, 2, H, W)
  const uint8_t* visibility;  // (B, H, W)
  T* out;                     // (B, 2, H / k, W / k) out, rounded up
  uint8_t* out_visibility;    // (B, H / k, W / k) out
};

// grad_flow[pixel] = grad_out[window] / (k · pixels), where there is a flow
template <typename T>
struct PoolFlowBackwardParams {
  int64_t pictures;
  int height, width;
  int factor;
  bool masked;
  int64_t axis, pixel;        // of grad_flow, as above
  int64_t out_axis;           // of grad_out
  const T* grad_out;          // (B, 2, H / k, W / k)
  const uint8_t* visibility;  // (B, H, W)
  T* grad_flow;               // (B, 2, H, W) out
};

// Ranges are over rows of windows.
BODYREG_CPU_FUNCTION(pool_flow_forward_cpu, PoolFlowParams)
BODYREG_CPU_FUNCTION(pool_flow_backward_cpu, PoolFlowBackwardParams)

template <typename T>
void pool_flow_forward_cuda(const PoolFlowParams<T>& p, cudaStream_t stream);
template <typename T>
void pool_flow_backward_cuda(const PoolFlowBackwardParams<T>& p, cudaStream_t stream);

}  // namespace bodyreg
