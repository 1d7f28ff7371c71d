// Where the pixels of a target picture are in a source picture, and which of them it shows:
// parameters, CPU function, launcher.
#pragma once

#include <cstdint>

#include "../common/isa.h"
#include "../common/stream.h"

namespace bodyreg {

// What the source shows of a pixel of the target.
enum Seen : uint8_t { kVisible = 0, kHidden = 1, kBackground = 2 };

// B pairs of pictures of meshes with the same faces. Depths as those of raster.
template <typename T>
struct FlowParams {
  int64_t pairs;                    // B
  int64_t vertices;                 // V
  int64_t faces;                    // F
  int height, width;                // H, W of the targets
  int source_height, source_width;  // h, w of the sources
  bool perspective;                 // of the sources
  T least, most;                    // tolerance of a level surface; the most that a slope adds
  const int32_t* face;              // (B, H, W) of the targets
  const T* barycentric;             // (B, H, W, 3) of the targets
  const T* positions;               // (B, V, 3) in the sources, pixels and depth
  const int32_t* triangles;         // (F, 3)
  const T* depth;                   // (B, h, w) of the sources
  T* flow;                          // (B, H, W, 2) out
  uint8_t* visibility;              // (B, H, W) out
};

// Ranges are over pairs × rows of the targets.
BODYREG_CPU_FUNCTION(flow_cpu, FlowParams)

template <typename T>
void flow_cuda(const FlowParams<T>& p, cudaStream_t stream);

}  // namespace bodyreg
