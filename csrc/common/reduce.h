// Sums over a warp and over a block, in an order fixed by the lane numbers alone: two runs give the
// same bits, whatever the schedule. For .cu files.
#pragma once

#include "simt.h"

namespace bodyreg {

constexpr unsigned kFullWarp = 0xffffffffu;

// The sum over the warp's 32 lanes, as a butterfly: every lane ends with the same bits, because
// each step adds the same two numbers on both sides.
template <typename T>
__device__ __forceinline__ T lane_sum(T value) {
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(kFullWarp, value, step);
  return value;
}

// The sum over the lanes up to and with this one.
__device__ __forceinline__ int lane_running_sum(int value) {
  const int lane = threadIdx.x % 32;
  for (int step = 1; step < 32; step *= 2) {
    const int before = __shfl_up_sync(kFullWarp, value, step);
    value += lane >= step ? before : 0;
  }
  return value;
}

// Sums N values over the block (threads: a multiple of 32) into values[] of thread 0's warp.
// scratch: shared, N × warps of the block. Ends with a barrier, so scratch may be reused at once.
template <int N, typename T>
__device__ __forceinline__ void block_sum(T (&values)[N], T* scratch) {
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int warps = blockDim.x / 32;
  for (int i = 0; i < N; ++i) {
    values[i] = lane_sum(values[i]);
    if (lane == 0) scratch[i * warps + warp] = values[i];
  }
  __syncthreads();
  for (int i = 0; i < N; ++i) {
    T sum = 0;
    for (int w = 0; w < warps; ++w) sum += scratch[i * warps + w];
    values[i] = sum;
  }
  __syncthreads();
}

}  // namespace bodyreg
