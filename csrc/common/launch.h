// What every launcher needs: the device's limits, and a failed launch as an exception.
#pragma once

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "simt.h"

namespace bodyreg {

inline void check_cuda(cudaError_t error, const char* what) {
  if (error != cudaSuccess) {
    throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
  }
}

inline int device_limit(cudaDeviceAttr attribute) {
  int device = 0;
  int value = 0;
  check_cuda(cudaGetDevice(&device), "cudaGetDevice");
  check_cuda(cudaDeviceGetAttribute(&value, attribute, device), "cudaDeviceGetAttribute");
  return value;
}

// Blocks for `items` pieces of work, one piece per block and turn: enough to fill the device
// `blocks_per_multiprocessor` times over, the rest in the kernel's grid-stride loop.
inline unsigned grid_for(std::int64_t items, int blocks_per_multiprocessor) {
  const std::int64_t fill =
      std::int64_t{blocks_per_multiprocessor} * device_limit(cudaDevAttrMultiProcessorCount);
  return static_cast<unsigned>(std::min(items, fill));
}

// What a block may ask for on every device from sm_80 on. A constant, so that how a block is cut,
// and with it the order of its sums, does not depend on the device.
constexpr std::size_t kSharedBudget = 96 * 1024;

// Lets `kernel` use `bytes` of dynamic shared memory, beyond the default where it must.
template <typename Kernel>
void allow_shared(Kernel* kernel, std::size_t bytes) {
  if (bytes <= 48 * 1024) return;
  const int most = device_limit(cudaDevAttrMaxSharedMemoryPerBlockOptin);
  if (bytes > static_cast<std::size_t>(most)) {
    throw std::runtime_error("bodyreg: a kernel needs " + std::to_string(bytes) +
                             " bytes of shared memory, and this device gives a block " +
                             std::to_string(most) + "; use float32");
  }
  check_cuda(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  static_cast<int>(bytes)),
             "shared memory of a kernel");
}

}  // namespace bodyreg
