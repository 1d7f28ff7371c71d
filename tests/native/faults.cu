// Kernels with one planted fault each, and the same kernel without it: the emulator must find the
// fault.
// Usage: faults <name> [seed]. Prints what the kernel computed, or fails as the engine decides.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <vector>

#include "../../csrc/common/access.h"
#include "../../csrc/common/launch.h"
#include "../../csrc/common/reduce.h"

extern "C" void bodyreg_emulator_seed(std::uint64_t);

namespace {

using namespace bodyreg;

constexpr int kThreads = 64;

__global__ void sum(float* out) {
  SIMT_SHARED(float, shared);
  float values[1] = {static_cast<float>(threadIdx.x)};
  block_sum(values, shared);
  out[threadIdx.x] = values[0];
}

// Reads the left neighbour's number. If threads run in order, the missing barrier does not show.
__global__ void missing_barrier(float* out) {
  SIMT_SHARED(float, shared);
  shared[threadIdx.x] = 1.0f;
  const unsigned left = threadIdx.x == 0 ? 0 : threadIdx.x - 1;
  out[threadIdx.x] = shared[left];
}

// A shuffle exchanges values and orders nothing else: shared memory needs __syncwarp as well.
__global__ void shuffle_as_barrier(float* out) {
  SIMT_SHARED(float, shared);
  shared[threadIdx.x] = 1.0f;
  out[threadIdx.x] = lane_sum(1.0f) * shared[threadIdx.x ^ 1u];
}

__global__ void warp_barrier(float* out) {
  SIMT_SHARED(float, shared);
  shared[threadIdx.x] = 1.0f;
  __syncwarp();
  out[threadIdx.x] = shared[threadIdx.x ^ 1u];
}

__global__ void divergent_barrier(float* out) {
  if (threadIdx.x < 16) return;
  __syncthreads();
  out[threadIdx.x] = 1.0f;
}

__global__ void two_barriers(float* out) {
  if (threadIdx.x % 2 == 0) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  out[threadIdx.x] = 1.0f;
}

__global__ void absent_lane(float* out) {
  if (threadIdx.x % 32 != 7) out[threadIdx.x] = lane_sum(1.0f);
}

__global__ void unwritten(float* out) {
  SIMT_SHARED(float, shared);
  if (threadIdx.x != 5) shared[threadIdx.x] = 1.0f;
  __syncthreads();
  out[threadIdx.x] = shared[threadIdx.x];
}

__global__ void overrun(float* out) {
  SIMT_SHARED(float, shared);
  shared[threadIdx.x + 1] = 1.0f;
  __syncthreads();
  out[threadIdx.x] = shared[threadIdx.x];
}

__global__ void global_overrun(float* out) { out[threadIdx.x + 1] = 1.0f; }

__global__ void misaligned(float* out) {
  SIMT_SHARED(float, shared);
  float row[4] = {1.0f, 1.0f, 1.0f, 1.0f};
  store_vector(shared + 4 * threadIdx.x + 1, row);
  out[threadIdx.x] = row[0];
}

__global__ void race(float* out) {
  if (threadIdx.x == 3 || threadIdx.x == 40) out[0] = static_cast<float>(threadIdx.x);
}

// The same thread of every block writes the same number to the same place.
__global__ void race_between_blocks(float* out) {
  if (threadIdx.x == 3) out[7] = 1.0f;
}

struct Launch {
  const char* name;
  void (*kernel)(float*);
  unsigned blocks, threads;
  std::size_t shared_bytes;
};

constexpr std::size_t kRow = kThreads * sizeof(float);

const Launch kLaunches[] = {
    {"sum", sum, 1, kThreads, 2 * sizeof(float)},
    {"missing_barrier", missing_barrier, 1, kThreads, kRow},
    {"shuffle_as_barrier", shuffle_as_barrier, 1, kThreads, kRow},
    {"warp_barrier", warp_barrier, 1, kThreads, kRow},
    {"divergent_barrier", divergent_barrier, 1, kThreads, 0},
    {"two_barriers", two_barriers, 1, kThreads, 0},
    {"absent_lane", absent_lane, 1, kThreads, 0},
    {"unwritten", unwritten, 1, kThreads, kRow},
    {"overrun", overrun, 1, kThreads, kRow},
    {"global_overrun", global_overrun, 1, kThreads, 0},
    {"misaligned", misaligned, 1, kThreads, 4 * kRow + 16},
    {"race", race, 1, kThreads, 0},
    {"race_between_blocks", race_between_blocks, 2, kThreads, 0},
    {"too_many_threads", sum, 1, 1025, 132},
    {"too_much_shared", sum, 1, kThreads, 64 * 1024},
};

int run(const Launch& launch) {
  std::vector<float> out(launch.threads, 0.0f);
  SIMT_LAUNCH(launch.kernel, launch.blocks, launch.threads, launch.shared_bytes, nullptr,
              out.data());
  for (float value : out) std::printf("%g ", static_cast<double>(value));
  std::printf("\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 2) bodyreg_emulator_seed(std::strtoull(argv[2], nullptr, 10));
  for (const Launch& launch : kLaunches) {
    if (argc < 2 || std::strcmp(argv[1], launch.name) != 0) continue;
    try {
      return run(launch);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
      return 1;
    }
  }
  std::fprintf(stderr, "usage: faults <name> [seed]\n");
  return 2;
}
