// Linear blend skinning of rig points, x_i = Σ_k T[j_ik] h_ik: parameters, CPU functions,
// launchers.
#pragma once

#include <cstdint>

#include "../common/isa.h"
#include "../common/limits.h"
#include "../common/stream.h"

namespace bodyreg {

// Joint ids are shared by all people (P, K) or each person's own (B, P, K). So are the anchors,
// whatever the joint ids are. A stride of 0 means shared.
template <typename T>
struct LbsParams {
  int64_t people;            // B
  int64_t points;            // P
  int influences;            // K
  int joints;                // J
  const T* transforms;       // (B, J, 3, 4)
  const int32_t* joint_ids;  // (P, K) or (B, P, K)
  int64_t joint_ids_stride;  // 0 or P K
  const T* anchors;          // (P, K, 4) or (B, P, K, 4)
  int64_t anchors_stride;    // 0 or 4 P K
  T* out;                    // (B, P, 3) out
};

// grad_transforms[b, j] = Σ over (i, k) with j_ik = j of grad_out[b, i] h_ikᵀ
template <typename T>
struct LbsBackwardTransformsParams {
  int64_t people;            // B
  int64_t points;            // P
  int influences;            // K
  int joints;                // J
  const T* grad_out;         // (B, P, 3)
  const int32_t* joint_ids;  // (P, K) or (B, P, K)
  int64_t joint_ids_stride;  // 0 or P K
  const T* anchors;          // (P, K, 4) or (B, P, K, 4)
  int64_t anchors_stride;    // 0 or 4 P K
  T* grad_transforms;        // (B, J, 3, 4) out
  T* partial;                // workspace: CPU, see lbs_partial_elements; CUDA: null
  int32_t* entries;          // workspace: CUDA and shared joint ids, (J, P K) joint -> (point, k)
  int32_t* entry_count;      // workspace: CUDA and shared joint ids, (J,)
};

// grad_anchors[.., i, k] = T[j_ik]ᵀ grad_out[b, i], summed over people where the anchors are shared
template <typename T>
struct LbsBackwardAnchorsParams {
  int64_t people;            // B
  int64_t points;            // P
  int influences;            // K
  int joints;                // J
  const T* grad_out;         // (B, P, 3)
  const T* transforms;       // (B, J, 3, 4)
  const int32_t* joint_ids;  // (P, K) or (B, P, K)
  int64_t joint_ids_stride;  // 0 or P K
  T* grad_anchors;           // (P, K, 4) or (B, P, K, 4) out
  int64_t anchors_stride;    // 0 or 4 P K
};

// The CPU splits people × points into blocks of a fixed size, so that the order of sums over points
// depends neither on the batch nor on the number of threads.
constexpr int64_t kLbsPeoplePerBlock = 16;
constexpr int64_t kLbsPointsPerBlock = 1024;

inline int64_t lbs_people_blocks(int64_t people) {
  return (people + kLbsPeoplePerBlock - 1) / kLbsPeoplePerBlock;
}
// At least one, so that without points the sums are written too.
inline int64_t lbs_point_blocks(int64_t points) {
  return points == 0 ? 1 : (points + kLbsPointsPerBlock - 1) / kLbsPointsPerBlock;
}
inline int64_t lbs_blocks(int64_t people, int64_t points) {
  return lbs_people_blocks(people) * lbs_point_blocks(points);
}
// One (J, 3, 4, people of a block) sum per block.
inline int64_t lbs_partial_elements(int64_t people, int64_t points, int joints) {
  return lbs_blocks(people, points) * joints * 12 * kLbsPeoplePerBlock;
}

// Ranges are over lbs_blocks, over lbs_people_blocks for the sum, over points for the anchors.
BODYREG_CPU_FUNCTION(lbs_forward_cpu, LbsParams)
BODYREG_CPU_FUNCTION(lbs_backward_transforms_partial_cpu, LbsBackwardTransformsParams)
BODYREG_CPU_FUNCTION(lbs_backward_transforms_sum_cpu, LbsBackwardTransformsParams)
BODYREG_CPU_FUNCTION(lbs_backward_anchors_cpu, LbsBackwardAnchorsParams)

template <typename T>
void lbs_forward_cuda(const LbsParams<T>& p, cudaStream_t stream);
template <typename T>
void lbs_backward_transforms_cuda(const LbsBackwardTransformsParams<T>& p, cudaStream_t stream);
template <typename T>
void lbs_backward_anchors_cuda(const LbsBackwardAnchorsParams<T>& p, cudaStream_t stream);

}  // namespace bodyreg
