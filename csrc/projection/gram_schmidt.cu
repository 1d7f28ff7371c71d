// Gram–Schmidt on the columns of 3×3 matrices.
#include "../common/launch.h"
#include "gram_schmidt_math.h"
#include "projection.h"

namespace bodyreg {
namespace {

constexpr int kThreads = 128;

// A thread owns a matrix. Moves 36 bytes in and 36 out (float).
template <typename T>
__global__ void __launch_bounds__(kThreads)
    gram_schmidt_forward_kernel(const GramSchmidtParams<T> p) {
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  for (int64_t b = int64_t{blockIdx.x} * kThreads + threadIdx.x; b < p.people; b += stride) {
    store(p.rotation + 9 * b, gram_schmidt(load_mat3(p.matrix + 9 * b), p.six));
  }
}

// A thread owns a matrix. Moves 72 bytes in and 36 out (float).
template <typename T>
__global__ void __launch_bounds__(kThreads)
    gram_schmidt_backward_kernel(const GramSchmidtBackwardParams<T> p) {
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  for (int64_t b = int64_t{blockIdx.x} * kThreads + threadIdx.x; b < p.people; b += stride) {
    store(p.grad_matrix + 9 * b, gram_schmidt_backward(load_mat3(p.matrix + 9 * b), p.six,
                                                       load_mat3(p.grad_rotation + 9 * b)));
  }
}

template <typename Kernel, typename Params>
void launch(Kernel* kernel, const Params& p, cudaStream_t stream) {
  if (p.people == 0) return;
  const unsigned grid = grid_for((p.people + kThreads - 1) / kThreads, 16);
  SIMT_LAUNCH(kernel, grid, kThreads, 0, stream, p);
  check_cuda(cudaGetLastError(), "gram_schmidt");
}

}  // namespace

template <typename T>
void gram_schmidt_forward_cuda(const GramSchmidtParams<T>& p, cudaStream_t stream) {
  launch(gram_schmidt_forward_kernel<T>, p, stream);
}

template <typename T>
void gram_schmidt_backward_cuda(const GramSchmidtBackwardParams<T>& p, cudaStream_t stream) {
  launch(gram_schmidt_backward_kernel<T>, p, stream);
}

template void gram_schmidt_forward_cuda(const GramSchmidtParams<float>&, cudaStream_t);
template void gram_schmidt_forward_cuda(const GramSchmidtParams<double>&, cudaStream_t);
template void gram_schmidt_backward_cuda(const GramSchmidtBackwardParams<float>&, cudaStream_t);
template void gram_schmidt_backward_cuda(const GramSchmidtBackwardParams<double>&, cudaStream_t);

}  // namespace bodyreg
