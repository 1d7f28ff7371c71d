// Which face of a mesh is seen at every pixel: parameters, CPU functions, launcher.
#pragma once

#include <cstdint>

#include "../common/isa.h"
#include "../common/stream.h"

namespace bodyreg {

// All pictures show meshes of the same faces. Outputs hold -1, 0 and -inf where nothing is seen.
template <typename T>
struct RasterParams {
  int64_t people;    // B pictures
  int64_t vertices;  // V
  int64_t faces;     // F
  int height, width;
  bool perspective;
  bool cull;                 // leave out back faces
  const T* positions;        // (B, V, 3) pixels and depth
  const int32_t* triangles;  // (F, 3)
  int32_t* face;             // (B, H, W) out
  T* barycentric;            // (B, H, W, 3) out
  T* depth;                  // (B, H, W) out
  int bands;                 // CPU: pieces of each picture that are drawn on their own
  uint64_t* keys;            // workspace: CUDA, (B, H, W)
};

// Ranges are over people × bands.
BODYREG_CPU_FUNCTION(raster_cpu, RasterParams)

template <typename T>
void raster_cuda(const RasterParams<T>& p, cudaStream_t stream);

}  // namespace bodyreg
