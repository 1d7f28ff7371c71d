// The dense correspondence loss: skin, project and compare in one pass, a person per block.
//
// A quad of four lanes owns a point and lane c column c of its anchors, so that a point's anchors
// are read as whole 16-byte rows and, in the backward, its outer products fall into the quad's own
// table (joint_table.h). The points of a quad are q, q + quads, …, for a number of quads that does
// not depend on how many points there are: appended points of weight 0 change no bit.
#include "../common/access.h"
#include "../common/joint_table.h"
#include "../common/launch.h"
#include "../common/reduce.h"
#include "correspondence.h"
#include "correspondence_math.h"

namespace bodyreg {
namespace {

constexpr int kForwardThreads = 128;
constexpr int kMostBackwardThreads = 64;

// One person's inputs.
template <typename T>
struct Person {
  const T* __restrict__ transforms;       // (J, 3, 4)
  const T* __restrict__ rotation;         // (3, 3)
  const int32_t* __restrict__ joint_ids;  // (P, K)
  const T* __restrict__ anchors;          // (P, K, 4)
  const T* __restrict__ targets;          // (P, 2)
  const T* __restrict__ weights;          // (P,)
  T scale;
  T translation[2];
};

template <typename T>
__device__ Person<T> person_at(const CorrespondenceParams<T>& p, int64_t b) {
  const int64_t entries = p.points * p.influences;
  return {p.transforms + b * p.joints * 12,
          p.rotation + b * 9,
          p.joint_ids + b * entries,
          p.anchors + b * entries * 4,
          p.targets + b * p.points * 2,
          p.weights + b * p.points,
          p.scale[b],
          {p.translation[2 * b], p.translation[2 * b + 1]}};
}

// N_j = (R T_j)_xy of every joint into shared memory, projected[J][8]; ends with a barrier.
template <typename T>
__device__ void project_joints(const CorrespondenceParams<T>& p, const Person<T>& person,
                               T* projected) {
  for (int j = threadIdx.x; j < p.joints; j += blockDim.x) {
    project_transform(person.rotation, person.transforms + 12 * j, projected + 8 * j);
  }
  __syncthreads();
}

// Sums the four lanes of a quad; every lane ends with the same bits. For whole warps.
template <typename T>
__device__ T quad_sum(T value) {
  value += __shfl_xor_sync(kFullWarp, value, 1);
  return value + __shfl_xor_sync(kFullWarp, value, 2);
}

// x_i − target_i of the quad's point, for whole warps: the same in its four lanes, and 0 where the
// point is not active.
template <typename T>
struct Residual {
  T x, y;
};

template <typename T>
__device__ Residual<T> residual(const CorrespondenceParams<T>& p, const Person<T>& person,
                                const T* projected, int64_t i, bool active) {
  const int column = threadIdx.x % 4;
  const int K = p.influences;
  T x = 0, y = 0;
  for (int64_t e = i * K; active && e < (i + 1) * K; ++e) {
    const int joint = person.joint_ids[e];
    const T h = person.anchors[4 * e + column];
    const bool known = static_cast<unsigned>(joint) < static_cast<unsigned>(p.joints);
    const T* const n = projected + (known ? joint : 0) * 8 + column;
    x += known ? n[0] * h : quiet_nan<T>();
    y += known ? n[4] * h : quiet_nan<T>();
  }
  x = quad_sum(x);
  y = quad_sum(y);
  if (!active) return {T(0), T(0)};
  return {person.scale * x + person.translation[0] - person.targets[2 * i],
          person.scale * y + person.translation[1] - person.targets[2 * i + 1]};
}

// A block owns a person, a quad every 32nd point. Moves 12 + 20 K bytes in per point (float) and
// 48 J per person; 4 bytes out.
template <typename T>
__global__ void __launch_bounds__(kForwardThreads, 8)
    correspondence_forward_kernel(const CorrespondenceParams<T> p, const T inverse_width2) {
  SIMT_SHARED(T, projected);                    // (J, 2, 4)
  T* const scratch = projected + 8 * p.joints;  // one number per warp
  const int quads = kForwardThreads / 4;
  for (int64_t b = blockIdx.x; b < p.people; b += gridDim.x) {
    const Person<T> person = person_at(p, b);
    project_joints(p, person, projected);
    T loss[1] = {};
    for (int64_t first = 0; first < p.points; first += quads) {
      const int64_t i = first + threadIdx.x / 4;
      const bool active = i < p.points && person.weights[i] != T(0);
      const Residual<T> e = residual(p, person, projected, i, active);
      if (!active || threadIdx.x % 4 != 0) continue;
      loss[0] += person.weights[i] * geman_mcclure(e.x * e.x + e.y * e.y, inverse_width2).value;
    }
    block_sum(loss, scratch);
    if (threadIdx.x == 0) p.loss[b] = loss[0];
  }
}

// What a person's points leave behind for the gradients: Σ g per quad in registers, Σ g hᵀ per
// joint in the tables. Ends with a barrier.
template <typename T>
__device__ void accumulate_points(const CorrespondenceParams<T>& p, const Person<T>& person,
                                  T grad_loss, T inverse_width2, const T* projected, T* table,
                                  T (&sum)[2]) {
  const int column = threadIdx.x % 4;
  const int K = p.influences;
  for (int64_t first = 0; first < p.points; first += blockDim.x / 4) {
    const int64_t i = first + threadIdx.x / 4;
    const bool active = i < p.points && person.weights[i] != T(0);
    const Residual<T> e = residual(p, person, projected, i, active);
    if (!active) continue;
    const T slope = geman_mcclure(e.x * e.x + e.y * e.y, inverse_width2).slope;
    const T factor = T(2) * grad_loss * person.weights[i] * slope;
    const T g[2] = {factor * e.x, factor * e.y};
    if (column == 0) sum[0] += g[0], sum[1] += g[1];
    for (int64_t n = i * K; n < (i + 1) * K; ++n) {
      const int joint = person.joint_ids[n];
      if (static_cast<unsigned>(joint) >= static_cast<unsigned>(p.joints)) continue;
      add_to_joint(table, joint, g, person.anchors[4 * n + column]);
    }
  }
  __syncthreads();
}

// A block owns a person, a quad every 8th or 16th point, later a thread every so many-th joint.
// Moves 12 + 20 K bytes in per point (float), 48 J in and 48 J out per person.
template <typename T>
__global__ void __launch_bounds__(kMostBackwardThreads, 8)
    correspondence_backward_kernel(const CorrespondenceBackwardParams<T> p, const T inverse_width2,
                                   const int pitch) {
  SIMT_SHARED(T, projected);                           // (J, 2, 4)
  T* const tables = projected + 8 * p.forward.joints;  // [quads][pitch]
  T* const scratch = tables + blockDim.x / 4 * pitch;  // [9][warps]
  const int joints = p.forward.joints;
  for (int64_t b = blockIdx.x; b < p.forward.people; b += gridDim.x) {
    const Person<T> person = person_at(p.forward, b);
    project_joints(p.forward, person, projected);
    clear_joint_tables(tables, pitch);
    T sums[9] = {};  // grad R_xy / s (6), grad s (1), grad t (2)
    T translation[2] = {};
    accumulate_points(p.forward, person, p.grad_loss[b], inverse_width2, projected,
                      tables + threadIdx.x / 4 * pitch, translation);
    sums[7] = translation[0];
    sums[8] = translation[1];
    for (int j = threadIdx.x; j < joints; j += blockDim.x) {
      T y[8];
      for (int c = 0; c < 8; ++c) {
        y[c] = sum_joint_tables(tables, pitch, 8 * j + c);
        sums[6] += projected[8 * j + c] * y[c];
      }
      T rotation_sum[6] = {};
      add_rotation_grad(y, person.transforms + 12 * j, rotation_sum);
      for (int i = 0; i < 6; ++i) sums[i] += rotation_sum[i];
      T grad_transform[12];
      projected_grad_to_transform(person.rotation, person.scale, y, grad_transform);
      store_vector(p.grad_transforms + (b * joints + j) * 12, grad_transform);
    }
    block_sum(sums, scratch);
    if (threadIdx.x == 0) {
      for (int i = 0; i < 6; ++i) p.grad_rotation[9 * b + i] = person.scale * sums[i];
      for (int i = 6; i < 9; ++i) p.grad_rotation[9 * b + i] = T(0);
      p.grad_scale[b] = sums[6];
      p.grad_translation[2 * b] = sums[7];
      p.grad_translation[2 * b + 1] = sums[8];
    }
  }
}

template <typename T>
T inverse_square(T width) {
  return T(1) / (width * width);
}

}  // namespace

template <typename T>
void correspondence_forward_cuda(const CorrespondenceParams<T>& p, cudaStream_t stream) {
  if (p.people == 0) return;
  const std::size_t bytes = sizeof(T) * (8 * p.joints + kForwardThreads / 32);
  SIMT_LAUNCH(correspondence_forward_kernel<T>, grid_for(p.people, 16), kForwardThreads, bytes,
              stream, p, inverse_square(p.width));
  check_cuda(cudaGetLastError(), "correspondence");
}

template <typename T>
void correspondence_backward_cuda(const CorrespondenceBackwardParams<T>& p, cudaStream_t stream) {
  if (p.forward.people == 0) return;
  const int joints = p.forward.joints;
  const int pitch = joint_table_pitch(joints, 2);
  const int others = 8 * joints + 9 * kMostBackwardThreads / 32;
  const int warps = joint_table_warps<T>(joints, 2, others);
  const std::size_t bytes = sizeof(T) * (others + warps * kQuadsPerWarp * pitch);
  allow_shared(correspondence_backward_kernel<T>, bytes);
  SIMT_LAUNCH(correspondence_backward_kernel<T>, grid_for(p.forward.people, 16), 32 * warps, bytes,
              stream, p, inverse_square(p.forward.width), pitch);
  check_cuda(cudaGetLastError(), "correspondence_backward");
}

template void correspondence_forward_cuda(const CorrespondenceParams<float>&, cudaStream_t);
template void correspondence_forward_cuda(const CorrespondenceParams<double>&, cudaStream_t);
template void correspondence_backward_cuda(const CorrespondenceBackwardParams<float>&,
                                           cudaStream_t);
template void correspondence_backward_cuda(const CorrespondenceBackwardParams<double>&,
                                           cudaStream_t);

}  // namespace bodyreg
