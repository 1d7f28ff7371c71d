// The damped normal equations of a group of people, solved from the leaves to the root. Eliminating
// a joint changes only blocks of the joints above it, so the tree's blocks are enough.
//
// One term does not follow the tree: symmetry couples the scales of left and right. With
// U = the columns e_S(left) − e_S(right) it adds 2 w U Uᵀ, and as H = L Lᵀ (Woodbury)
//
//   (L Lᵀ + 2 w U Uᵀ)⁻¹ = L⁻ᵀ (I − Z (I / 2w + Zᵀ Z)⁻¹ Zᵀ) L⁻¹        Z = L⁻¹ U
#pragma once

#include "lm_normal.h"

namespace bodyreg::BODYREG_ISA {

template <typename T>
class TreeSolver {
 public:
  using V = Lanes<T>;

  explicit TreeSolver(const Tree& tree) : tree_(tree), columns_(tree.sides) {}

  // x ← (H + λ D + 2 w U Uᵀ)⁻¹ x with D the diagonal of H. Overwrites h.
  void solve(const V& damping, T symmetry, NormalMatrix<T>& h, TangentLanes<T>& x) {
    damp(damping, h);
    factor(h);
    lower(kEverything, h, x);
    if (symmetry != T(0)) couple_sides(symmetry, h, x);
    upper(h, x);
  }

  // Prepares `variance`. Overwrites h.
  void decompose(const V& damping, T symmetry, NormalMatrix<T>& h) {
    damp(damping, h);
    factor(h);
    coupled_ = symmetry != T(0);
    if (coupled_) find_columns(symmetry, h);
  }

  // gᵀ (H + λ D + 2 w U Uᵀ)⁻¹ g of the matrix that was decomposed. g is zero except at the joints
  // `some` and at those above them; it is overwritten.
  V variance(uint32_t some, NormalMatrix<T>& h, TangentLanes<T>& g) {
    lower(some, h, g);
    V sum = inner(some, g, g);
    if (!coupled_) return sum;
    V share[kMostSides];
    for (int p = 0; p < tree_.sides; ++p) share[p] = inner(touched(p) & some, columns_[p], g);
    lower_dense(tree_.sides, coupling_, share);
    for (int p = 0; p < tree_.sides; ++p) sum = sum - share[p] * share[p];
    return sum;
  }

 private:
  static constexpr uint32_t kEverything = (1u << kFitJoints) - 1;

  void damp(const V& damping, NormalMatrix<T>& h) {
    for (int a = 1; a < kFitJoints; ++a) damp(damping, h.joint(a, 0), floor_.joint[a]);
    damp(damping, h.top, floor_.root);
  }
  template <int N>
  static void damp(const V& damping, V (&h)[N][N], V (&floor)[N]) {
    for (int i = 0; i < N; ++i) {
      floor[i] = bodyreg::damp(damping, h[i][i]);
    }
  }

  // H = L Lᵀ with the leaves first: L_aa in the place of H_aa, W_ab = L_aa⁻¹ H_ab in that of H_ab.
  void factor(NormalMatrix<T>& h) {
    for (int a = kFitJoints - 1; a > 0; --a) {
      const int depth = tree_.depth[a];
      const V* const l = &h.joint(a, 0)[0][0];
      cholesky<4>(&h.joint(a, 0)[0][0], floor_.joint[a], inverse_.joint[a]);
      for (int i = 1; i < depth; ++i) lower_columns(l, inverse_.joint[a], h.joint(a, i));
      lower_columns(l, inverse_.joint[a], h.root[a]);
      for (int i = 1; i < depth; ++i) {  // H_bc −= W_abᵀ W_ac
        const int b = tree_.above[a][i];
        subtract_square(h.joint(a, i), h.joint(b, 0));
        for (int j = i + 1; j < depth; ++j) {
          subtract_product(h.joint(a, i), h.joint(a, j), h.joint(b, j - i));
        }
        subtract_product(h.joint(a, i), h.root[a], h.root[b]);
      }
      subtract_square(h.root[a], h.top);
    }
    cholesky<kRootUnknowns>(&h.top[0][0], floor_.root, inverse_.root);
  }

  template <int N>
  static void lower_columns(const V* l, const V* inverse, V (&h)[4][N]) {
    for (int j = 0; j < N; ++j) {
      V column[4] = {h[0][j], h[1][j], h[2][j], h[3][j]};
      solve_lower<4>(l, inverse, column);
      for (int i = 0; i < 4; ++i) h[i][j] = column[i];
    }
  }

  // out −= leftᵀ right
  template <int M, int N>
  static void subtract_product(const V (&left)[4][M], const V (&right)[4][N],
                               V (&__restrict out)[M][N]) {
    for (int i = 0; i < M; ++i) {
      const V l[4] = {left[0][i], left[1][i], left[2][i], left[3][i]};
      for (int j = 0; j < N; ++j) {
        V sum = out[i][j];
        for (int k = 0; k < 4; ++k) sum = sum - l[k] * right[k][j];
        out[i][j] = sum;
      }
    }
  }
  // The lower half of out −= wᵀ w.
  template <int N>
  static void subtract_square(const V (&w)[4][N], V (&__restrict out)[N][N]) {
    for (int i = 0; i < N; ++i) {
      const V l[4] = {w[0][i], w[1][i], w[2][i], w[3][i]};
      for (int j = 0; j <= i; ++j) {
        V sum = out[i][j];
        for (int k = 0; k < 4; ++k) sum = sum - l[k] * w[k][j];
        out[i][j] = sum;
      }
    }
  }

  // x ← L⁻¹ x for an x that is zero except at the joints `some`, and at those above them.
  void lower(uint32_t some, NormalMatrix<T>& h, TangentLanes<T>& x) {
    for (int a = kFitJoints - 1; a > 0; --a) {
      if (!(some >> a & 1)) continue;
      const int depth = tree_.depth[a];
      V(&y)[4] = x.joint[a];
      solve_lower<4>(&h.joint(a, 0)[0][0], inverse_.joint[a], y);
      for (int i = 1; i < depth; ++i)
        subtract_transposed(h.joint(a, i), y, x.joint[tree_.above[a][i]]);
      subtract_transposed(h.root[a], y, x.root);
    }
    solve_lower<kRootUnknowns>(&h.top[0][0], inverse_.root, x.root);
  }

  // x ← L⁻ᵀ x
  void upper(NormalMatrix<T>& h, TangentLanes<T>& x) {
    solve_upper<kRootUnknowns>(&h.top[0][0], inverse_.root, x.root);
    for (int a = 1; a < kFitJoints; ++a) {
      const int depth = tree_.depth[a];
      V(&y)[4] = x.joint[a];
      for (int i = 1; i < depth; ++i) subtract(h.joint(a, i), x.joint[tree_.above[a][i]], y);
      subtract(h.root[a], x.root, y);
      solve_upper<4>(&h.joint(a, 0)[0][0], inverse_.joint[a], y);
    }
  }

  // out −= wᵀ y
  template <int N>
  static void subtract_transposed(const V (&w)[4][N], const V (&y)[4], V (&out)[N]) {
    for (int j = 0; j < N; ++j) {
      V sum = out[j];
      for (int k = 0; k < 4; ++k) sum = sum - w[k][j] * y[k];
      out[j] = sum;
    }
  }
  // out −= w x
  template <int N>
  static void subtract(const V (&w)[4][N], const V (&x)[N], V (&out)[4]) {
    for (int i = 0; i < 4; ++i) {
      V sum = out[i];
      for (int j = 0; j < N; ++j) sum = sum - w[i][j] * x[j];
      out[i] = sum;
    }
  }

  // x ← (I − Z (I / 2w + Zᵀ Z)⁻¹ Zᵀ) x
  void couple_sides(T symmetry, NormalMatrix<T>& h, TangentLanes<T>& x) {
    find_columns(symmetry, h);
    V share[kMostSides];
    for (int p = 0; p < tree_.sides; ++p) share[p] = inner(touched(p), columns_[p], x);
    lower_dense(tree_.sides, coupling_, share);
    upper_dense(tree_.sides, coupling_, share);
    for (int p = 0; p < tree_.sides; ++p) {
      for (uint32_t left = touched(p) & ~1u; left != 0; left &= left - 1) {
        const int a = __builtin_ctz(left);
        for (int i = 0; i < 4; ++i)
          x.joint[a][i] = x.joint[a][i] - share[p] * columns_[p].joint[a][i];
      }
      for (int i = 0; i < kRootUnknowns; ++i)
        x.root[i] = x.root[i] - share[p] * columns_[p].root[i];
    }
  }

  // Z, and the factor of I / 2w + Zᵀ Z.
  void find_columns(T symmetry, NormalMatrix<T>& h) {
    for (int p = 0; p < tree_.sides; ++p) {
      TangentLanes<T>& z = columns_[p];
      set_zero(reinterpret_cast<T*>(&z), sizeof(z) / sizeof(T));
      scale_of(tree_.left[p], z) = T(1);
      scale_of(tree_.right[p], z) = T(-1);
      lower(touched(p), h, z);
      for (int q = 0; q <= p; ++q) {
        coupling_[p][q] = inner(touched(p) & touched(q), z, columns_[q]);
      }
      coupling_[p][p] += V(T(1) / (T(2) * symmetry));
    }
    factor_dense(tree_.sides, coupling_);
  }

  // The joints where column p of Z is not zero.
  uint32_t touched(int p) const {
    return tree_.way_up[tree_.left[p]] | tree_.way_up[tree_.right[p]];
  }

  static V& scale_of(int k, TangentLanes<T>& x) { return k == 0 ? x.root[3] : x.joint[k][3]; }

  static V inner(uint32_t joints, const TangentLanes<T>& a, const TangentLanes<T>& b) {
    V sum = T(0);
    for (int i = 0; i < kRootUnknowns; ++i) sum += a.root[i] * b.root[i];
    for (uint32_t left = joints & ~1u; left != 0; left &= left - 1) {
      const int k = __builtin_ctz(left);
      for (int i = 0; i < 4; ++i) sum += a.joint[k][i] * b.joint[k][i];
    }
    return sum;
  }

  const Tree& tree_;
  Buffer<TangentLanes<T>> columns_;  // Z
  V coupling_[kMostSides][kMostSides];
  bool coupled_ = false;
  TangentLanes<T> floor_, inverse_;  // of the pivots; 1 / L_ii
};

}  // namespace bodyreg::BODYREG_ISA
