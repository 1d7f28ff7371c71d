// Backward warping: every target pixel reads its source at its own place plus the flow. Parameters,
// CPU functions, launchers.
#pragma once

#include <cstdint>

#include "../common/isa.h"
#include "../common/stream.h"

namespace bodyreg {

// Where target pixels read. The source may have another size than the target.
template <typename T>
struct WarpGrid {
  int64_t pictures;                 // B
  int channels;                     // C
  int source_height, source_width;  // h, w
  int height, width;                // H, W
  bool channels_last;               // features and results lie in memory as (B, H, W, C)
  const T* flow;                    // (B, 2, H, W) x and y, source pixels
  int64_t flow_axis, flow_pixel;    // steps from x to y and from a pixel to the next
  const uint8_t* visibility;        // (B, H, W) 0 visible, 1 hidden, from 2 on background; or null
};

template <typename T>
struct WarpParams {
  WarpGrid<T> grid;
  const T* features;  // (B, C, h, w)
  T background;       // of the result where the visibility is background; unused with layers
  T* warped;          // (B, C, H, W) out
  T* layers;          // (B, 2 C, H, W) out, visible and hidden; or null
};

template <typename T>
struct WarpBackwardParams {
  WarpGrid<T> grid;
  const T* grad_warped;  // (B, C, H, W)
  const T* grad_layers;  // (B, 2 C, H, W) or null
  const T* features;     // (B, C, h, w), for grad_flow alone
  T* grad_features;      // (B, C, h, w) out, or null
  T* grad_flow;          // (B, 2, H, W) out, steps as in flow; or null
  int slices;            // CPU, channels-last: pieces of each picture's channels
  T* partial;            // workspace: CPU, channels-first, grad_flow: (B, blocks, 2, H, W)
  // Workspace: CUDA, grad_features: the target pixels, sorted by the cell that they read.
  int32_t* cells;         // (B H W) the cell of every target pixel; the last number is none
  const int32_t* sorted;  // (B H W) the cells in order
  const int64_t* order;   // (B H W) and the target pixels they are of
  int64_t* starts;        // where a cell's target pixels begin, see warp_starts
};

// Ranges are over units: rows of target pixels (channels-last) or blocks of channels.
BODYREG_CPU_FUNCTION(warp_forward_cpu, WarpParams)
// Ranges are over slices (channels-last) or blocks of channels.
BODYREG_CPU_FUNCTION(warp_backward_cpu, WarpBackwardParams)
// Channels-first: adds up the flow's gradient over the blocks. Ranges are over pictures.
BODYREG_CPU_FUNCTION(warp_backward_sum_cpu, WarpBackwardParams)

// Channels-first, the CPU takes so many channels at a time.
constexpr int kWarpBlock = 16;

inline int64_t warp_blocks(int channels) { return (channels + kWarpBlock - 1) / kWarpBlock; }

// Cells of all pictures, and one beyond.
template <typename T>
int64_t warp_starts(const WarpGrid<T>& grid) {
  return grid.pictures * (grid.source_height + 1) * (grid.source_width + 1) + 1;
}

template <typename T>
void warp_forward_cuda(const WarpParams<T>& p, cudaStream_t stream);
// Fills `cells`; what is sorted must be there before the next call.
template <typename T>
void warp_cells_cuda(const WarpBackwardParams<T>& p, cudaStream_t stream);
template <typename T>
void warp_backward_cuda(const WarpBackwardParams<T>& p, cudaStream_t stream);

}  // namespace bodyreg
