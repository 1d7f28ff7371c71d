// The correspondence loss in projected form. With N_j = (R T_j)_xy, a 2×4 matrix per joint,
//
//   x_i = s Σ_k N[j_ik] h_ik + t
//
// so a point costs eight multiplications per influence. Backward: with e_i the gradient of x_i and
// Y_j = Σ e_i h_ikᵀ over the influences of joint j (2×4),
//
//   grad T_j = s R_xyᵀ Y_j     grad R_xy = s Σ_j Y_j T_jᵀ     grad s = Σ_j ⟨N_j, Y_j⟩
#pragma once

#include "../common/geometry.h"

namespace bodyreg {

// N_j: two rows of four.
template <typename T>
BODYREG_HD void project_transform(const T* rotation, const T* transform, T* projected) {
  for (int r = 0; r < 2; ++r) {
    for (int c = 0; c < 4; ++c) {
      projected[4 * r + c] = rotation[3 * r] * transform[c] +
                             rotation[3 * r + 1] * transform[4 + c] +
                             rotation[3 * r + 2] * transform[8 + c];
    }
  }
}

// ρ(q) and ρ'(q) of Geman–McClure; an infinite width is the identity.
template <typename T>
struct Robust {
  T value;
  T slope;
};

// q / (1 + q / width²): inverse_width2 = 1 / width² is 0 for an infinite width.
template <typename T>
BODYREG_HD Robust<T> geman_mcclure(T q, T inverse_width2) {
  const T shrink = T(1) / (T(1) + q * inverse_width2);
  return {q * shrink, shrink * shrink};
}

// grad T_j, written: s R_xyᵀ Y_j
template <typename T>
BODYREG_HD void projected_grad_to_transform(const T* rotation, T scale, const T* y,
                                            T* grad_transform) {
  for (int r = 0; r < 3; ++r) {
    for (int c = 0; c < 4; ++c) {
      grad_transform[4 * r + c] = scale * (rotation[r] * y[c] + rotation[3 + r] * y[4 + c]);
    }
  }
}

// Y_j T_jᵀ, added to the (2, 3) sum that makes grad R_xy when it is multiplied by s.
template <typename T>
BODYREG_HD void add_rotation_grad(const T* y, const T* transform, T* sum) {
  for (int r = 0; r < 2; ++r) {
    for (int c = 0; c < 3; ++c) {
      sum[3 * r + c] += y[4 * r] * transform[4 * c] + y[4 * r + 1] * transform[4 * c + 1] +
                        y[4 * r + 2] * transform[4 * c + 2] + y[4 * r + 3] * transform[4 * c + 3];
    }
  }
}

}  // namespace bodyreg
