// Projection and Gram–Schmidt: parameters, CPU functions, launchers.
#pragma once

#include <cstdint>

#include "../common/isa.h"
#include "../common/stream.h"

namespace bodyreg {

// The camera of every person.
template <typename T>
struct CameraParams {
  const T* rotation;     // (B, 3, 3)
  const T* scale;        // (B,) frame units per metre
  const T* translation;  // (B, 2) frame units
  const T* perspective;  // (B, 3) inverse focal length, principal point
};

// Points to frame coordinates and depths. projection_math.h has the formulas.
template <typename T>
struct ProjectionParams {
  int64_t people;  // B
  int64_t points;  // P
  const T* model;  // (B, P, 3) points, metres
  CameraParams<T> camera;
  T* xy;     // (B, P, 2) out
  T* depth;  // (B, P) out
};

template <typename T>
struct ProjectionBackwardParams {
  int64_t people;  // B
  int64_t points;  // P
  const T* model;  // (B, P, 3)
  CameraParams<T> camera;
  const T* grad_xy;     // (B, P, 2)
  const T* grad_depth;  // (B, P)
  T* grad_model;        // (B, P, 3) out
  T* grad_rotation;     // (B, 3, 3) out
  T* grad_scale;        // (B,) out
  T* grad_translation;  // (B, 2) out
  T* grad_perspective;  // (B, 3) out
};

template <typename T>
struct GramSchmidtParams {
  int64_t people;   // B
  bool six;         // third column from a cross product, the third input column ignored
  const T* matrix;  // (B, 3, 3)
  T* rotation;      // (B, 3, 3) out
};

template <typename T>
struct GramSchmidtBackwardParams {
  int64_t people;          // B
  bool six;                // as in the forward
  const T* matrix;         // (B, 3, 3)
  const T* grad_rotation;  // (B, 3, 3)
  T* grad_matrix;          // (B, 3, 3) out
};

// Ranges are over people.
BODYREG_CPU_FUNCTION(projection_forward_cpu, ProjectionParams)
BODYREG_CPU_FUNCTION(projection_backward_cpu, ProjectionBackwardParams)
BODYREG_CPU_FUNCTION(gram_schmidt_forward_cpu, GramSchmidtParams)
BODYREG_CPU_FUNCTION(gram_schmidt_backward_cpu, GramSchmidtBackwardParams)

template <typename T>
void projection_forward_cuda(const ProjectionParams<T>& p, cudaStream_t stream);
template <typename T>
void projection_backward_cuda(const ProjectionBackwardParams<T>& p, cudaStream_t stream);
template <typename T>
void gram_schmidt_forward_cuda(const GramSchmidtParams<T>& p, cudaStream_t stream);
template <typename T>
void gram_schmidt_backward_cuda(const GramSchmidtBackwardParams<T>& p, cudaStream_t stream);

}  // namespace bodyreg
