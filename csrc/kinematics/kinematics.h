// Forward kinematics of a body with segment scales: parameters, CPU functions, launchers.
#pragma once

#include <cstdint>

#include "../common/isa.h"
#include "../common/limits.h"
#include "../common/stream.h"

namespace bodyreg {

// Sent to a kernel by value. parent[0] = -1, parent[k] < k.
struct Tree {
  int joints;
  int8_t parent[kMaxJoints];
};

template <typename T>
struct KinematicsParams {
  int64_t people;          // B
  Tree tree;               // J joints
  const T* rotations;      // (B, J, 3, 3) local
  const T* segment_scale;  // (B, J)
  const T* rest_joints;    // (J, 3) or (B, J, 3), metres
  int64_t rest_stride;     // elements from one person to the next: 0 or 3 J
  T* transforms;           // (B, J, 3, 4) out: [A_k | b_k]
  T* positions;            // (B, J, 3) out
};

template <typename T>
struct KinematicsBackwardParams {
  int64_t people;            // B
  Tree tree;                 // J joints
  const T* rotations;        // (B, J, 3, 3)
  const T* segment_scale;    // (B, J)
  const T* rest_joints;      // (J, 3) or (B, J, 3)
  int64_t rest_stride;       // elements from one person to the next: 0 or 3 J
  const T* grad_transforms;  // (B, J, 3, 4)
  const T* grad_positions;   // (B, J, 3)
  T* grad_rotations;         // (B, J, 3, 3) out
  T* grad_segment_scale;     // (B, J) out
  T* grad_rest_joints;       // (B, J, 3) out, per person also where the rest joints are shared
};

// Ranges are over people.
BODYREG_CPU_FUNCTION(kinematics_forward_cpu, KinematicsParams)
BODYREG_CPU_FUNCTION(kinematics_backward_cpu, KinematicsBackwardParams)

template <typename T>
void kinematics_forward_cuda(const KinematicsParams<T>& p, cudaStream_t stream);
template <typename T>
void kinematics_backward_cuda(const KinematicsBackwardParams<T>& p, cudaStream_t stream);

}  // namespace bodyreg
