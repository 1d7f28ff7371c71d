// What a source shared by host and device needs: <cuda_runtime.h> under nvcc, nothing under a
// plain C++ compiler. Cheap to include.
#pragma once

// Internal linkage, so that copies compiled for different instruction sets are never merged.
#ifdef __CUDACC__
#include <cuda_runtime.h>
#define BODYREG_HD static __host__ __device__ __forceinline__
#else
#define BODYREG_HD static inline
#endif
