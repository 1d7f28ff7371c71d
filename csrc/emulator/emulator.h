// The subset of CUDA the kernels use, for g++: the .cu files compile and run unchanged on a CPU, so
// that every test of an op, and every sanitizer, reaches the real kernel where there is no GPU.
//
// Blocks run one after another. Inside a block each CUDA thread has a stack of its own and runs
// until it ends or reaches a meeting point (barrier, shuffle, ballot), where it waits for the
// threads it meets. Two engines implement this, chosen by linking one of them:
//
//   fibers.cpp   one fiber per CUDA thread, on one OS thread
//   threads.cpp  one OS thread per CUDA thread, for ThreadSanitizer
//
// With fibers, the seed decides which thread runs next and which warp goes ahead, so a forgotten
// barrier shows as a wrong result. At a divergent barrier the error says where threads wait. With
// threads, barriers order memory, and shuffles and ballots do not (as in CUDA), so the sanitizer
// names both lines of a race.
//
// Dynamic shared memory is born as bytes 0xFF: NaN as float and double, -1 as an integer. It is
// allocated at its exact size, so that AddressSanitizer sees an overrun. Static __shared__ memory
// is left out on purpose: a template's statics cannot be poisoned per block.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>

struct CUstream_st;
using cudaStream_t = CUstream_st*;

#define __host__
#define __device__
#define __global__
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)

#define SIMT_SHARED(T, name) T* const name = static_cast<T*>(simt::shared_memory())
#define SIMT_LAUNCH(kernel, grid, block, bytes, stream, ...) \
  simt::launch(kernel, grid, block, bytes, stream, __VA_ARGS__)

struct uint3 {
  unsigned x, y, z;
};

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

// Aligned as on the device, so that UndefinedBehaviorSanitizer sees a misaligned vector access.
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) double2 {
  double x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};

extern thread_local uint3 threadIdx;
extern thread_local uint3 blockIdx;
extern thread_local dim3 blockDim;
extern thread_local dim3 gridDim;
constexpr int warpSize = 32;

namespace simt {

// Where in the source a thread waits; threads can only meet at the same place.
struct Place {
  const char* what;
  const char* file;
  int line;
};

// Implemented by the engine. `meet_warp` posts a value, waits for every lane of `mask`, and returns
// the 32 values posted, valid until the calling thread's next meeting.
void meet_block(const Place& place);
const std::uint64_t* meet_warp(unsigned mask, std::uint64_t posted, bool orders_memory,
                               const Place& place);
void* shared_memory();
void run(dim3 grid, dim3 block, std::size_t shared_bytes, const std::function<void()>& thread);

// Implemented in device.cpp. Both throw std::runtime_error naming the limit that was broken.
void check_launch(const void* kernel, dim3 grid, dim3 block, std::size_t shared_bytes);
int check_source_lane(unsigned mask, int source, const Place& place);
std::uint64_t seed();

inline unsigned thread_index() {
  return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
}

template <typename T>
std::uint64_t to_bits(T value) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(std::uint64_t));
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  return bits;
}

template <typename T>
T from_bits(std::uint64_t bits) {
  T value;
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

template <typename T>
T shuffle(unsigned mask, T value, int source, const Place& place) {
  const std::uint64_t* const posted = meet_warp(mask, to_bits(value), false, place);
  return from_bits<T>(posted[check_source_lane(mask, source, place)]);
}

template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes,
            cudaStream_t, Arguments... arguments) {
  static_assert((sizeof(Parameters) + ... + 0) <= 4096, "kernel parameters exceed 4 KB");
  check_launch(reinterpret_cast<const void*>(kernel), grid, block, shared_bytes);
  run(grid, block, shared_bytes, [&] { kernel(arguments...); });
}

}  // namespace simt

#define SIMT_CALLER const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(SIMT_CALLER) { simt::meet_block({"__syncthreads", file, line}); }

inline void __syncwarp(unsigned mask = 0xffffffffu, SIMT_CALLER) {
  simt::meet_warp(mask, 0, true, {"__syncwarp", file, line});
}

template <typename T>
T __shfl_sync(unsigned mask, T value, int source, SIMT_CALLER) {
  return simt::shuffle(mask, value, source & 31, {"__shfl_sync", file, line});
}

template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, SIMT_CALLER) {
  const int source = static_cast<int>(simt::thread_index() & 31u) ^ lane_mask;
  return simt::shuffle(mask, value, source, {"__shfl_xor_sync", file, line});
}

// As in CUDA, a lane keeps its own value if its source would lie before or past the warp.
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, SIMT_CALLER) {
  const unsigned lane = simt::thread_index() & 31u;
  const int source = static_cast<int>(lane + delta < 32u ? lane + delta : lane);
  return simt::shuffle(mask, value, source, {"__shfl_down_sync", file, line});
}

template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, SIMT_CALLER) {
  const unsigned lane = simt::thread_index() & 31u;
  const int source = static_cast<int>(lane >= delta ? lane - delta : lane);
  return simt::shuffle(mask, value, source, {"__shfl_up_sync", file, line});
}

inline unsigned __ballot_sync(unsigned mask, int predicate, SIMT_CALLER) {
  const std::uint64_t* const posted =
      simt::meet_warp(mask, predicate != 0, false, {"__ballot_sync", file, line});
  unsigned ballot = 0;
  for (unsigned lane = 0; lane < 32; ++lane) {
    if ((mask >> lane & 1u) != 0 && posted[lane] != 0) ballot |= 1u << lane;
  }
  return ballot;
}

#undef SIMT_CALLER

// Integer atomics: the largest or smallest value is the same in every order of the threads.
template <typename T>
T atomicMax(T* address, T value) {
  T old = __atomic_load_n(address, __ATOMIC_RELAXED);
  while (old < value && !__atomic_compare_exchange_n(address, &old, value, true, __ATOMIC_RELAXED,
                                                     __ATOMIC_RELAXED)) {
  }
  return old;
}

template <typename T>
T atomicMin(T* address, T value) {
  T old = __atomic_load_n(address, __ATOMIC_RELAXED);
  while (value < old && !__atomic_compare_exchange_n(address, &old, value, true, __ATOMIC_RELAXED,
                                                     __ATOMIC_RELAXED)) {
  }
  return old;
}

inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }

// CUDA declares these beside the C library's functions.
template <typename T>
constexpr T min(T a, T b) {
  return b < a ? b : a;
}
template <typename T>
constexpr T max(T a, T b) {
  return a < b ? b : a;
}

// The runtime calls the launchers make. One device, with an H200's limits but a single
// multiprocessor, so that grid-stride loops really stride.
enum cudaError_t { cudaSuccess = 0 };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
enum cudaDeviceAttr { cudaDevAttrMultiProcessorCount, cudaDevAttrMaxSharedMemoryPerBlockOptin };

cudaError_t cudaGetDevice(int* device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device);
cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value);
cudaError_t cudaGetLastError();
const char* cudaGetErrorString(cudaError_t error);

template <typename... Parameters>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Parameters...), cudaFuncAttribute attribute,
                                 int value) {
  return cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), attribute, value);
}
