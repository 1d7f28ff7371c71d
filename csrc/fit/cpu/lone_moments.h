// The moments of a group of one person. The lanes are the eight numbers of M_k, rows x and y, so a
// joint pair takes 8 multiply-adds instead of 64: Y_l += M_k Q row by row of Q, Y_k += M_l Qᵀ
// column by column. Every number of Y is summed in the order of GroupMoments::times, so it has the
// same bits.
#pragma once

#include "points.h"

namespace bodyreg::BODYREG_ISA {

template <typename T>
class LoneMoments {
 public:
  explicit LoneMoments(int pairs) : rows_(8 * pairs) {}

  // Removes all joint pairs. Then add() takes the pairs k ≤ l, in the order of times().
  void clear() { end_ = rows_.data(); }

  // q: Q_kl, row-major; of a joint with itself (own) only the upper triangle is read.
  void add(const T* q, bool own) {
    for (int a = 0; a < 4; ++a) {
      for (int b = 0; b < 4; ++b) {
        const T number = q[own && b < a ? 4 * b + a : 4 * a + b];
        end_[a][b] = end_[a][4 + b] = number;
        if (!own) end_[4 + b][a] = end_[4 + b][4 + a] = number;
      }
    }
    end_ += own ? 4 : 8;
  }

  // Y_k = Σ_l M_l Q_lk + r_k for the joints in use; columns: bit l of k, the pair (k, l) is in use.
  void times(const uint32_t* columns, const T (*m)[8], const T (*r)[8], T (*y)[8]) const {
    const Rows<T>* q = rows_.data();
    uint32_t begun = 0;  // joints that y holds a sum of already
    for (int k = 0; k < kFitJoints; ++k) {
      uint32_t left = columns[k];
      if (left == 0) continue;
      const Rows<T> mk = load_rows(m[k]);
      Rows<T> yk = load_rows(begun >> k & 1 ? y[k] : r[k]);
      if (left >> k & 1) {
        add_product(mk, q, yk);
        q += 4;
        left &= left - 1;
      }
      for (; left != 0; left &= left - 1, q += 8) {
        const int l = __builtin_ctz(left);
        Rows<T> yl = load_rows(begun >> l & 1 ? y[l] : r[l]);
        add_product(mk, q, yl);
        add_product(load_rows(m[l]), q + 4, yk);
        store_rows(y[l], yl);
        begun |= 1u << l;
      }
      store_rows(y[k], yk);
    }
  }

 private:
  // y += m q, column by column of m.
  static void add_product(const Rows<T>& m, const Rows<T>* q, Rows<T>& y) {
    y += __builtin_shufflevector(m, m, 0, 0, 0, 0, 4, 4, 4, 4) * q[0];
    y += __builtin_shufflevector(m, m, 1, 1, 1, 1, 5, 5, 5, 5) * q[1];
    y += __builtin_shufflevector(m, m, 2, 2, 2, 2, 6, 6, 6, 6) * q[2];
    y += __builtin_shufflevector(m, m, 3, 3, 3, 3, 7, 7, 7, 7) * q[3];
  }

  Buffer<Rows<T>> rows_;  // of Q_kl, then of its transpose; twice side by side, for x and for y
  Rows<T>* end_ = nullptr;
};

}  // namespace bodyreg::BODYREG_ISA
