// Linear blend skinning, backward: gradients of the transforms and of the anchors, without atomics.
//
// Rig points that all people share have a fixed topology: a list of entries per joint is made once
// and each joint gathers its own, in the list's order. A person's own points are few and come in
// any order: they are summed in tables, see joint_table.h.
#include "../common/access.h"
#include "../common/joint_table.h"
#include "../common/launch.h"
#include "../common/reduce.h"
#include "lbs.h"
#include "lbs_math.h"

namespace bodyreg {
namespace {

constexpr int64_t kMostEntries = int64_t{1} << 30;  // of a list, which counts in 32 bits
constexpr int kListThreads = 256;
constexpr int kGatherThreads = 128;
constexpr int kGatherPeople = 4;  // people who share a warp's reads of a joint's list
constexpr int kAnchorThreads = 128;
constexpr int kStagedPeople = 8;  // people with their transforms in shared memory at a time

// A block owns a joint, a warp a contiguous run of the entries (point, k); the lists come out in
// rising order. Moves 4 P K bytes in per joint (twice, mostly from the L2) and each entry out once.
template <typename T>
__global__ void __launch_bounds__(kListThreads, 2)
    lbs_list_kernel(const LbsBackwardTransformsParams<T> p) {
  SIMT_SHARED(int32_t, found);  // entries of each warp
  const int warp = threadIdx.x / 32;
  const unsigned lane = threadIdx.x % 32;
  const int entries = static_cast<int>(p.points * p.influences);
  const int run = (entries + kListThreads - 1) / kListThreads * 32;
  const int begin = warp * run;
  const int end = min(begin + run, entries);
  const int joint = blockIdx.x;
  const auto belongs = [&](int e) {
    return e < end && p.joint_ids[e] == joint && !is_padding(p.anchors + 4 * int64_t{e});
  };
  int count = 0;
  for (int e = begin; e < end; e += 32) {
    count += __popc(__ballot_sync(kFullWarp, belongs(e + static_cast<int>(lane))));
  }
  if (lane == 0) found[warp] = count;
  __syncthreads();
  int64_t at = int64_t{joint} * entries;
  for (int w = 0; w < warp; ++w) at += found[w];
  for (int e = begin; e < end; e += 32) {
    const bool mine = belongs(e + static_cast<int>(lane));
    const unsigned all = __ballot_sync(kFullWarp, mine);
    if (mine) p.entries[at + __popc(all & ((1u << lane) - 1u))] = e + static_cast<int>(lane);
    at += __popc(all);
  }
  if (threadIdx.x == kListThreads - 1) {
    p.entry_count[joint] = static_cast<int32_t>(at - int64_t{joint} * entries);
  }
}

// A warp owns a joint of four people, a lane every 32nd entry of the joint's list. Moves 20 bytes
// per entry and four people and 12 per entry and person in (float; a point's gradient comes from
// the L2 from its second influence on), 48 per joint and person out.
template <typename T>
__global__ void __launch_bounds__(kGatherThreads)
    lbs_gather_kernel(const LbsBackwardTransformsParams<T> p, const int64_t groups) {
  const int lane = threadIdx.x % 32;
  const int64_t stride = int64_t{gridDim.x} * (kGatherThreads / 32);
  const int64_t first = int64_t{blockIdx.x} * (kGatherThreads / 32) + threadIdx.x / 32;
  for (int64_t work = first; work < p.joints * groups; work += stride) {
    const int64_t joint = work / groups;
    const int64_t person = work % groups * kGatherPeople;
    const int people = static_cast<int>(min(int64_t{kGatherPeople}, p.people - person));
    const int32_t* __restrict__ list = p.entries + joint * p.points * p.influences;
    const int count = p.entry_count[joint];
    T sum[kGatherPeople][12] = {};
    for (int n = lane; n < count; n += 32) {
      const int entry = list[n];
      T h[4];
      load_vector(h, p.anchors + 4 * int64_t{entry});
      const T* __restrict__ grad = p.grad_out + (person * p.points + entry / p.influences) * 3;
      for (int g = 0; g < kGatherPeople; ++g, grad += p.points * 3) {
        if (g < people) add_transform_grad(h, load_vec3(grad), sum[g]);
      }
    }
#pragma unroll
    for (int g = 0; g < kGatherPeople; ++g) {
#pragma unroll
      for (int i = 0; i < 12; ++i) sum[g][i] = lane_sum(sum[g][i]);
      if (lane == g && g < people) {
        store_vector(p.grad_transforms + ((person + g) * p.joints + joint) * 12, sum[g]);
      }
    }
  }
}

// A block owns a person, a quad of lanes every so many-th point, a lane a column of the gradients.
// Moves 12 + 20 K bytes in per point (float) and 48 per joint out.
template <typename T>
__global__ void __launch_bounds__(64, 8)
    lbs_own_points_kernel(const LbsBackwardTransformsParams<T> p, const int pitch) {
  SIMT_SHARED(T, tables);
  const int column = threadIdx.x % 4;
  const int K = p.influences;
  for (int64_t b = blockIdx.x; b < p.people; b += gridDim.x) {
    const int32_t* __restrict__ ids = p.joint_ids + b * p.joint_ids_stride;
    const T* __restrict__ anchors = p.anchors + b * p.anchors_stride;
    clear_joint_tables(tables, pitch);
    T* const table = tables + threadIdx.x / 4 * pitch;
    for (int64_t i = threadIdx.x / 4; i < p.points; i += blockDim.x / 4) {
      const T* __restrict__ grad = p.grad_out + (b * p.points + i) * 3;
      const T g[3] = {grad[0], grad[1], grad[2]};
      for (int64_t e = i * K; e < (i + 1) * K; ++e) {
        if (static_cast<unsigned>(ids[e]) >= static_cast<unsigned>(p.joints)) continue;
        if (!is_padding(anchors + 4 * e)) add_to_joint(table, ids[e], g, anchors[4 * e + column]);
      }
    }
    __syncthreads();
    for (int cell = threadIdx.x; cell < p.joints * 12; cell += blockDim.x) {
      p.grad_transforms[b * p.joints * 12 + cell] = sum_joint_tables(tables, pitch, cell);
    }
    __syncthreads();
  }
}

// A block owns 128 entries (point, k), a thread one of them, for one person or, where all people
// share the anchors, for their sum in order. Moves 12 bytes per point and person in (float), 48 J
// per person and block, mostly from the L2, and 16 per entry out.
template <typename T>
__global__ void __launch_bounds__(kAnchorThreads)
    lbs_anchors_kernel(const LbsBackwardAnchorsParams<T> p, const int64_t tiles,
                       const int64_t work) {
  SIMT_SHARED(T, transforms);  // (kStagedPeople, J, 3, 4)
  const int64_t people_at_once = p.anchors_stride == 0 ? p.people : 1;
  for (int64_t index = blockIdx.x; index < work; index += gridDim.x) {
    const int64_t begin = index / tiles * people_at_once;
    const int64_t end = begin + people_at_once;
    const int64_t e = index % tiles * kAnchorThreads + threadIdx.x;
    const int64_t point = e / p.influences;
    const bool active = point < p.points;
    T sum[4] = {};
    for (int64_t staged = begin; staged < end; staged += kStagedPeople) {
      const int people = static_cast<int>(min(int64_t{kStagedPeople}, end - staged));
      block_copy(transforms, p.transforms + staged * p.joints * 12, people * p.joints * 12);
      for (int g = 0; active && g < people; ++g) {
        const int64_t b = staged + g;
        const int joint = p.joint_ids[b * p.joint_ids_stride + e];
        T t[12];
        if (static_cast<unsigned>(joint) < static_cast<unsigned>(p.joints)) {
          load_vector(t, transforms + (g * p.joints + joint) * 12);
        } else {
          for (int i = 0; i < 12; ++i) t[i] = quiet_nan<T>();
        }
        add_anchor_grad(t, load_vec3(p.grad_out + (b * p.points + point) * 3), sum);
      }
      __syncthreads();
    }
    if (active) store_vector(p.grad_anchors + begin * p.anchors_stride + 4 * e, sum);
  }
}

template <typename T>
void launch_gather(const LbsBackwardTransformsParams<T>& p, cudaStream_t stream) {
  if (p.points * p.influences > kMostEntries) {
    throw std::runtime_error(
        "bodyreg.lbs: joint_ids: expected at most 2^30 numbers in shared rig points");
  }
  SIMT_LAUNCH(lbs_list_kernel<T>, static_cast<unsigned>(p.joints), kListThreads,
              kListThreads / 32 * sizeof(int32_t), stream, p);
  check_cuda(cudaGetLastError(), "lbs_backward_transforms, lists");
  const int64_t groups = (p.people + kGatherPeople - 1) / kGatherPeople;
  const int64_t blocks = (p.joints * groups * 32 + kGatherThreads - 1) / kGatherThreads;
  SIMT_LAUNCH(lbs_gather_kernel<T>, grid_for(blocks, 16), kGatherThreads, 0, stream, p, groups);
  check_cuda(cudaGetLastError(), "lbs_backward_transforms");
}

template <typename T>
void launch_own_points(const LbsBackwardTransformsParams<T>& p, cudaStream_t stream) {
  const int pitch = joint_table_pitch(p.joints, 3);
  const int warps = joint_table_warps<T>(p.joints, 3, 0);
  const std::size_t bytes = sizeof(T) * warps * kQuadsPerWarp * pitch;
  allow_shared(lbs_own_points_kernel<T>, bytes);
  SIMT_LAUNCH(lbs_own_points_kernel<T>, grid_for(p.people, 16), 32 * warps, bytes, stream, p,
              pitch);
  check_cuda(cudaGetLastError(), "lbs_backward_transforms");
}

}  // namespace

template <typename T>
void lbs_backward_transforms_cuda(const LbsBackwardTransformsParams<T>& p, cudaStream_t stream) {
  check_aligned(p.anchors, "bodyreg.lbs: anchors");
  if (p.people == 0) return;
  if (p.joint_ids_stride == 0 && p.anchors_stride == 0) {
    launch_gather(p, stream);
  } else {
    launch_own_points(p, stream);
  }
}

template <typename T>
void lbs_backward_anchors_cuda(const LbsBackwardAnchorsParams<T>& p, cudaStream_t stream) {
  const int64_t tiles = (p.points * p.influences + kAnchorThreads - 1) / kAnchorThreads;
  const int64_t work = p.anchors_stride == 0 ? tiles : tiles * p.people;
  if (work == 0) return;
  const std::size_t bytes = sizeof(T) * kStagedPeople * p.joints * 12;
  allow_shared(lbs_anchors_kernel<T>, bytes);
  SIMT_LAUNCH(lbs_anchors_kernel<T>, grid_for(work, 16), kAnchorThreads, bytes, stream, p, tiles,
              work);
  check_cuda(cudaGetLastError(), "lbs_backward_anchors");
}

template void lbs_backward_transforms_cuda(const LbsBackwardTransformsParams<float>&, cudaStream_t);
template void lbs_backward_transforms_cuda(const LbsBackwardTransformsParams<double>&,
                                           cudaStream_t);
template void lbs_backward_anchors_cuda(const LbsBackwardAnchorsParams<float>&, cudaStream_t);
template void lbs_backward_anchors_cuda(const LbsBackwardAnchorsParams<double>&, cudaStream_t);

}  // namespace bodyreg
