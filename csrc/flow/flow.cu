// Where every pixel of the targets is in the sources.
#include "../common/launch.h"
#include "flow.h"
#include "flow_math.h"

namespace bodyreg {
namespace {

constexpr int kThreads = 128;
constexpr int kBlocks = 16;  // on a multiprocessor

// A thread owns a pixel of a target. Reads its face, 4 bytes, and where there is one 64 (float; 48
// of them mostly from the L2); writes 9.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    flow_kernel(const FlowParams<T> p, const int64_t pixels) {
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < pixels;
       i += int64_t{gridDim.x} * kThreads) {
    const int64_t line = i / p.width;
    write_flow(p, line / p.height, static_cast<int>(line % p.height),
               static_cast<int>(i % p.width));
  }
}

}  // namespace

template <typename T>
void flow_cuda(const FlowParams<T>& p, cudaStream_t stream) {
  const int64_t pixels = p.pairs * p.height * p.width;
  if (pixels == 0) return;
  SIMT_LAUNCH(flow_kernel<T>, grid_for((pixels + kThreads - 1) / kThreads, kBlocks), kThreads, 0,
              stream, p, pixels);
  check_cuda(cudaGetLastError(), "flow");
}

template void flow_cuda(const FlowParams<float>&, cudaStream_t);
template void flow_cuda(const FlowParams<double>&, cudaStream_t);

}  // namespace bodyreg
