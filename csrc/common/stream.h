// The CUDA stream a launcher runs on, named without CUDA's headers.
#pragma once

typedef struct CUstream_st* cudaStream_t;  // the same typedef as in <cuda_runtime.h>

namespace bodyreg {

// torch's current stream on a device. Throws std::runtime_error where torch has no CUDA.
cudaStream_t current_stream(int device);

}  // namespace bodyreg
