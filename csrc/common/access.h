// How kernels touch memory: 16-byte loads and stores, and a warp's points written as whole lines.
// For .cu files.
#pragma once

#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "geometry.h"
#include "simt.h"

namespace bodyreg {

// N consecutive numbers from an address that is a multiple of 16 bytes, 16 bytes at a time.
template <int N>
__device__ __forceinline__ void load_vector(float (&out)[N], const float* p) {
  static_assert(N % 4 == 0);
  for (int i = 0; i < N; i += 4) {
    const float4 v = *reinterpret_cast<const float4*>(p + i);
    out[i] = v.x, out[i + 1] = v.y, out[i + 2] = v.z, out[i + 3] = v.w;
  }
}

template <int N>
__device__ __forceinline__ void load_vector(double (&out)[N], const double* p) {
  static_assert(N % 2 == 0);
  for (int i = 0; i < N; i += 2) {
    const double2 v = *reinterpret_cast<const double2*>(p + i);
    out[i] = v.x, out[i + 1] = v.y;
  }
}

template <int N>
__device__ __forceinline__ void store_vector(float* p, const float (&in)[N]) {
  static_assert(N % 4 == 0);
  for (int i = 0; i < N; i += 4) {
    *reinterpret_cast<float4*>(p + i) = float4{in[i], in[i + 1], in[i + 2], in[i + 3]};
  }
}

template <int N>
__device__ __forceinline__ void store_vector(double* p, const double (&in)[N]) {
  static_assert(N % 2 == 0);
  for (int i = 0; i < N; i += 2) {
    *reinterpret_cast<double2*>(p + i) = double2{in[i], in[i + 1]};
  }
}

template <typename T>
__device__ __forceinline__ T quiet_nan() {
  return static_cast<T>(NAN);
}

// What an argument must satisfy for load_vector: a contiguous view can begin anywhere.
inline void check_aligned(const void* pointer, const char* name) {
  if (reinterpret_cast<std::uintptr_t>(pointer) % 16 != 0) {
    throw std::runtime_error(std::string(name) +
                             ": expected memory aligned to 16 bytes, got a view that begins in "
                             "between; pass a clone()");
  }
}

// Copies `count` numbers into shared memory, all threads of the block together; ends with a
// barrier.
template <typename T>
__device__ __forceinline__ void block_copy(T* shared, const T* __restrict__ source, int count) {
  for (int i = threadIdx.x; i < count; i += blockDim.x) shared[i] = source[i];
  __syncthreads();
}

// Writes one point per lane to out (count, 3), count ≤ 32, as whole lines instead of a stride of
// three. staging: shared, 96 numbers of this warp's own.
template <typename T>
__device__ __forceinline__ void store_lane_points(T* __restrict__ out, int count,
                                                  const Vec3<T>& point, T* staging) {
  const int lane = threadIdx.x % 32;
  store(staging + 3 * lane, point);
  __syncwarp();
  for (int i = lane; i < 3 * count; i += 32) out[i] = staging[i];
  __syncwarp();
}

}  // namespace bodyreg
