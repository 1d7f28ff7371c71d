// Projection, weak or perspective.
#include "../common/access.h"
#include "../common/launch.h"
#include "../common/reduce.h"
#include "projection.h"
#include "projection_math.h"

namespace bodyreg {
namespace {

constexpr int kThreads = 128;
constexpr int64_t kRun = 1024;  // points that share one reading of the camera
constexpr int kTotals = 14;     // numbers of a camera's gradient that are sums over its points

// A block owns a run of 1024 points of one person, a thread every 128th of them.
// Moves 12 bytes in and 12 out per point (float).
template <typename T>
__global__ void __launch_bounds__(kThreads)
    projection_forward_kernel(const ProjectionParams<T> p, const int64_t runs,
                              const int64_t runs_per_person) {
  for (int64_t run = blockIdx.x; run < runs; run += gridDim.x) {
    const int64_t b = run / runs_per_person;
    const int64_t begin = run % runs_per_person * kRun;
    const int64_t end = min(begin + kRun, p.points);
    const auto camera = load_camera<T>(p.camera, b);
    for (int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
      const int64_t at = b * p.points + i;
      const Vec3<T> x = project(camera, load_vec3(p.model + 3 * at));
      p.xy[2 * at] = x.x;
      p.xy[2 * at + 1] = x.y;
      p.depth[at] = x.z;
    }
  }
}

// A block owns a person, a thread every 128th point; the camera's gradients are summed over the
// block. Moves 24 bytes in and 12 out per point (float).
template <typename T>
__global__ void __launch_bounds__(kThreads)
    projection_backward_kernel(const ProjectionBackwardParams<T> p) {
  SIMT_SHARED(T, scratch);
  for (int64_t b = blockIdx.x; b < p.people; b += gridDim.x) {
    const auto camera = load_camera<T>(p.camera, b);
    CameraSums<T> sums = {};
    for (int64_t i = threadIdx.x; i < p.points; i += kThreads) {
      const int64_t at = b * p.points + i;
      const Vec3<T> g = {p.grad_xy[2 * at], p.grad_xy[2 * at + 1], p.grad_depth[at]};
      const Vec3<T> v = load_vec3(p.model + 3 * at);
      store(p.grad_model + 3 * at, project_backward(camera, v, g, sums));
    }
    T totals[kTotals];
    for (int i = 0; i < 9; ++i) totals[i] = sums.gv.m[i];
    totals[9] = sums.g.x;
    totals[10] = sums.g.y;
    store(totals + 11, sums.perspective);
    block_sum(totals, scratch);
    if (threadIdx.x == 0) {
      for (int i = 0; i < 9; ++i) sums.gv.m[i] = totals[i];
      store(p.grad_rotation + 9 * b, rotation_grad(camera.scale, sums));
      p.grad_scale[b] = scale_grad(camera.rotation, sums);
      p.grad_translation[2 * b] = totals[9];
      p.grad_translation[2 * b + 1] = totals[10];
      store(p.grad_perspective + 3 * b, load_vec3(totals + 11));
    }
  }
}

}  // namespace

template <typename T>
void projection_forward_cuda(const ProjectionParams<T>& p, cudaStream_t stream) {
  const int64_t runs_per_person = (p.points + kRun - 1) / kRun;
  const int64_t runs = p.people * runs_per_person;
  if (runs == 0) return;
  SIMT_LAUNCH(projection_forward_kernel<T>, grid_for(runs, 16), kThreads, 0, stream, p, runs,
              runs_per_person);
  check_cuda(cudaGetLastError(), "projection");
}

template <typename T>
void projection_backward_cuda(const ProjectionBackwardParams<T>& p, cudaStream_t stream) {
  if (p.people == 0) return;
  SIMT_LAUNCH(projection_backward_kernel<T>, grid_for(p.people, 16), kThreads,
              kTotals * kThreads / 32 * sizeof(T), stream, p);
  check_cuda(cudaGetLastError(), "projection_backward");
}

template void projection_forward_cuda(const ProjectionParams<float>&, cudaStream_t);
template void projection_forward_cuda(const ProjectionParams<double>&, cudaStream_t);
template void projection_backward_cuda(const ProjectionBackwardParams<float>&, cudaStream_t);
template void projection_backward_cuda(const ProjectionBackwardParams<double>&, cudaStream_t);

}  // namespace bodyreg
