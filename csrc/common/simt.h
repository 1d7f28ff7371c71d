// The one door to CUDA. Included by everything that may run on a GPU:
//   under nvcc                      the CUDA runtime itself
//   under g++, -DBODYREG_EMULATED   csrc/emulator, which runs the same .cu source on a CPU (tests)
//   under g++ otherwise             nothing: CPU files share the maths through BODYREG_HD
//
// A .cu file needs two macros beyond the language, because g++ parses neither `extern __shared__`
// arrays of a template's type nor `<<<...>>>`:
//   SIMT_SHARED(T, name);          T* name = the block's dynamic shared memory
//   SIMT_LAUNCH(kernel, grid, block, bytes, stream, args...)   <<<grid, block, bytes, stream>>>
#pragma once

#if defined(__CUDACC__)

#include <cuda_runtime.h>

#define SIMT_SHARED(T, name)                                   \
  extern __shared__ __align__(16) unsigned char simt_shared[]; \
  T* const name = reinterpret_cast<T*>(simt_shared)

#define SIMT_LAUNCH(kernel, grid, block, bytes, stream, ...) \
  kernel<<<grid, block, bytes, stream>>>(__VA_ARGS__)

// Maths shared by a CPU op and its kernel. Internal linkage, so that copies compiled for different
// instruction sets are never merged.
#define BODYREG_HD static __host__ __device__ __forceinline__

#else

#if defined(BODYREG_EMULATED)
#include "../emulator/emulator.h"
#endif

#define BODYREG_HD static inline

#endif
