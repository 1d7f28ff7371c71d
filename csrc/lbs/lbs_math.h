// One influence of linear blend skinning. An anchor h is a 4-vector Σ weight · [v; 1].
#pragma once

#include "../common/geometry.h"

namespace bodyreg {

// An influence with an anchor of zeros is padding: it adds nothing and is skipped.
template <typename T>
BODYREG_HD bool is_padding(const T* anchor) {
  return anchor[0] == T(0) && anchor[1] == T(0) && anchor[2] == T(0) && anchor[3] == T(0);
}

// T h
template <typename T>
BODYREG_HD Vec3<T> skin(const T* transform, const T* anchor) {
  const T* t = transform;
  const T* h = anchor;
  return {t[0] * h[0] + t[1] * h[1] + t[2] * h[2] + t[3] * h[3],
          t[4] * h[0] + t[5] * h[1] + t[6] * h[2] + t[7] * h[3],
          t[8] * h[0] + t[9] * h[1] + t[10] * h[2] + t[11] * h[3]};
}

// Tᵀ g, added to grad_anchor.
template <typename T>
BODYREG_HD void add_anchor_grad(const T* transform, const Vec3<T>& g, T* grad_anchor) {
  for (int c = 0; c < 4; ++c) {
    grad_anchor[c] += transform[c] * g.x + transform[4 + c] * g.y + transform[8 + c] * g.z;
  }
}

// g hᵀ, added to grad_transform.
template <typename T>
BODYREG_HD void add_transform_grad(const T* anchor, const Vec3<T>& g, T* grad_transform) {
  for (int c = 0; c < 4; ++c) {
    grad_transform[c] += g.x * anchor[c];
    grad_transform[4 + c] += g.y * anchor[c];
    grad_transform[8 + c] += g.z * anchor[c];
  }
}

}  // namespace bodyreg
