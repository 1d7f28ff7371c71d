// The emulated device's limits and its seed: what both engines share.
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>

#include "emulator.h"

thread_local uint3 threadIdx;
thread_local uint3 blockIdx;
thread_local dim3 blockDim;
thread_local dim3 gridDim;

namespace {

constexpr int kMultiprocessors = 1;
constexpr std::size_t kSharedDefault = 48 * 1024;
constexpr std::size_t kSharedOptIn = 227 * 1024;

std::uint64_t current_seed = 0;

// Dynamic shared memory each kernel was granted beyond the default.
std::map<const void*, std::size_t> granted;
std::mutex granted_mutex;

void require(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error("emulated launch: " + what);
}

std::string text(dim3 d) {
  return "(" + std::to_string(d.x) + ", " + std::to_string(d.y) + ", " + std::to_string(d.z) + ")";
}

}  // namespace

// Called from Python through ctypes.
extern "C" __attribute__((visibility("default"))) void bodyreg_emulator_seed(std::uint64_t value) {
  current_seed = value;
}

namespace simt {

std::uint64_t seed() { return current_seed; }

void check_launch(const void* kernel, dim3 grid, dim3 block, std::size_t shared_bytes) {
  require(block.x >= 1 && block.y >= 1 && block.z >= 1 && block.x <= 1024 && block.y <= 1024 &&
              block.z <= 64 && std::uint64_t{block.x} * block.y * block.z <= 1024,
          "block " + text(block) + " is empty or has more than 1024 threads");
  require(grid.x >= 1 && grid.y >= 1 && grid.z >= 1 && grid.x <= 2147483647u && grid.y <= 65535 &&
              grid.z <= 65535,
          "grid " + text(grid) + " is empty or exceeds (2147483647, 65535, 65535)");
  const std::lock_guard<std::mutex> lock(granted_mutex);
  const auto found = granted.find(kernel);
  const std::size_t limit = found == granted.end() ? kSharedDefault : found->second;
  require(shared_bytes <= limit, std::to_string(shared_bytes) +
                                     " bytes of shared memory exceed the kernel's limit of " +
                                     std::to_string(limit));
}

int check_source_lane(unsigned mask, int source, const Place& place) {
  if (source < 0 || source > 31 || (mask >> source & 1u) == 0) {
    throw std::runtime_error(std::string(place.what) + " at " + place.file + ":" +
                             std::to_string(place.line) + " reads lane " + std::to_string(source) +
                             ", which its mask does not name");
  }
  return source;
}

}  // namespace simt

cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  *value = attribute == cudaDevAttrMultiProcessorCount ? kMultiprocessors
                                                       : static_cast<int>(kSharedOptIn);
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute, int value) {
  require(value >= 0 && static_cast<std::size_t>(value) <= kSharedOptIn,
          std::to_string(value) + " bytes of shared memory exceed the device's limit");
  const std::lock_guard<std::mutex> lock(granted_mutex);
  granted[kernel] = static_cast<std::size_t>(value);
  return cudaSuccess;
}

cudaError_t cudaGetLastError() { return cudaSuccess; }

const char* cudaGetErrorString(cudaError_t) { return "no error"; }
