// Dense correspondence loss: skin, project and compare matched rig points in one pass; no vertex
// reaches memory. Parameters, CPU functions, launchers.
#pragma once

#include <cstdint>

#include "../common/isa.h"
#include "../common/limits.h"
#include "../common/stream.h"

namespace bodyreg {

// loss[b] = Σ_i w_i ρ(|s (R Σ_k T[j_ik] h_ik)_xy + t − target_i|²). A point of weight 0 is skipped.
template <typename T>
struct CorrespondenceParams {
  int64_t people;            // B
  int64_t points;            // P
  int influences;            // K
  int joints;                // J
  T width;                   // of Geman–McClure, frame units; infinity: plain squares
  const T* transforms;       // (B, J, 3, 4)
  const T* rotation;         // (B, 3, 3)
  const T* scale;            // (B,)
  const T* translation;      // (B, 2)
  const int32_t* joint_ids;  // (B, P, K)
  const T* anchors;          // (B, P, K, 4)
  const T* targets;          // (B, P, 2)
  const T* weights;          // (B, P)
  T* loss;                   // (B,) out
};

template <typename T>
struct CorrespondenceBackwardParams {
  CorrespondenceParams<T> forward;  // its inputs; loss is null
  const T* grad_loss;               // (B,)
  T* grad_transforms;               // (B, J, 3, 4) out
  T* grad_rotation;                 // (B, 3, 3) out; the third row is zero
  T* grad_scale;                    // (B,) out
  T* grad_translation;              // (B, 2) out
};

// Ranges are over people.
BODYREG_CPU_FUNCTION(correspondence_forward_cpu, CorrespondenceParams)
BODYREG_CPU_FUNCTION(correspondence_backward_cpu, CorrespondenceBackwardParams)

template <typename T>
void correspondence_forward_cuda(const CorrespondenceParams<T>& p, cudaStream_t stream);
template <typename T>
void correspondence_backward_cuda(const CorrespondenceBackwardParams<T>& p, cudaStream_t stream);

}  // namespace bodyreg
