// The moments of the points (joint_math.h) of a group of people. They are summed person by person,
// in the order of the points, and then laid out as lanes. If some people of a group lack a block
// that others have, theirs is zero, which changes no bit of their sums.
#pragma once

#include "../ray_math.h"
#include "lone_moments.h"

namespace bodyreg::BODYREG_ISA {

constexpr int kJointPairs = kFitJoints * (kFitJoints + 1) / 2;

// The place of the block of joints k ≤ l.
static inline int block_at(int k, int l) { return k * (2 * kFitJoints - k - 1) / 2 + l; }

template <typename T>
using Block = typename VectorOf<T, 16>::type;  // 4 × 4, row-major

// The four numbers four times over. By doubling: one step from 4 to 16 would go through memory.
template <typename T>
static inline Block<T> repeated(const Quad<T>& a) {
  const auto twice = __builtin_shufflevector(a, a, 0, 1, 2, 3, 0, 1, 2, 3);
  return __builtin_shufflevector(twice, twice, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7);
}

// Each of four numbers four times in a row.
template <typename T>
static inline Block<T> stretched(const Quad<T>& a) {
  const Block<T> b = repeated<T>(a);
  return __builtin_shufflevector(b, b, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
}

// One person's moments.
template <typename T>
struct PersonMoments {
  Block<T> q[kJointPairs];       // Q_kl for k ≤ l
  Quad<T> r[kFitJoints][2];      // r_k
  Quad<T> depth[kFitJoints];     // the constant part of row z of Y, see ray_math.h
  uint32_t columns[kFitJoints];  // bit l: the block (k, l) is in use

  void clear() { set_zero(reinterpret_cast<char*>(this), sizeof(*this)); }

  // A point of weight 2 c with the influences begin … end.
  void add(const InfluenceList<T>& influences, int32_t begin, int32_t end, T twice, T x, T y) {
    for (int32_t a = begin; a < end; ++a) {
      const int k = influences.joint[a];
      const Quad<T> weighted = twice * influences.anchor[a];
      r[k][0] -= x * weighted;
      r[k][1] -= y * weighted;
      const Block<T> rows = stretched<T>(weighted);
      for (int32_t b = a; b < end; ++b) {
        const int l = influences.joint[b];
        q[block_at(k, l)] += rows * repeated<T>(influences.anchor[b]);
        columns[k] |= 1u << l;
      }
    }
  }

  // What the squares lack of a point's slope by its depth. slope: all of it; x, y: the slope of the
  // square by the place on the picture.
  void add_pull(const InfluenceList<T>& influences, int32_t begin, int32_t end, T slope, T x, T y,
                const Shear<T>* shear) {
    for (int32_t e = begin; e < end; ++e) {
      const int k = influences.joint[e];
      depth[k] += (slope - (x * shear[k].x + y * shear[k].y)) * influences.anchor[e];
    }
  }
};

// The moments of a group of people as lanes.
template <typename T>
class GroupMoments {
 public:
  using V = Lanes<T>;
  static constexpr int W = V::width;

  GroupMoments()
      : lone_(W == 1 ? kJointPairs : 0),
        stream_(10 * kFitJoints + 16 * (kJointPairs - kFitJoints)) {}

  // Bit k: some evidence hangs on joint k.
  uint32_t joints() const { return joints_; }

  // Whether some person is seen in perspective. Then Y has rows z, with this constant part.
  bool in_perspective() const { return in_perspective_; }
  const V (&depth_pull(int k) const)[4] { return depth_[k]; }

  void gather(const PersonMoments<T>* person, int people, bool in_perspective) {
    joints_ = 0;
    in_perspective_ = in_perspective;
    if (in_perspective) gather_rows(person->depth, people, 4 * kFitJoints, depth_[0]);
    lone_.clear();
    gather_rows(person->r, people, 8 * kFitJoints, r_[0]);
    V* out = stream_.data();
    for (int k = 0; k < kFitJoints; ++k) {
      columns_[k] = 0;
      for (int b = 0; b < people; ++b) columns_[k] |= person[b].columns[k];
      joints_ |= columns_[k];
      for (uint32_t left = columns_[k]; left != 0; left &= left - 1) {
        const int l = __builtin_ctz(left);
        V block[16];
        gather_rows(person->q + block_at(k, l), people, 16, block);
        if constexpr (W == 1) lone_.add(reinterpret_cast<const T*>(block), l == k);
        for (int a = 0; a < 4; ++a) {
          for (int b = l == k ? a : 0; b < 4; ++b) *out++ = block[4 * a + b];
        }
      }
    }
  }

  // Calls f(k, l, Q_kl) for the blocks k ≤ l in use.
  template <typename F>
  void for_each_block(const F& f) const {
    const V* q = stream_.data();
    V block[4][4];
    for (int k = 0; k < kFitJoints; ++k) {
      for (uint32_t left = columns_[k]; left != 0; left &= left - 1) {
        const int l = __builtin_ctz(left);
        for (int a = 0; a < 4; ++a) {
          for (int b = l == k ? a : 0; b < 4; ++b) {
            block[a][b] = *q++;
            if (l == k) block[b][a] = block[a][b];
          }
        }
        f(k, l, block);
      }
    }
  }

  // Y_k = Σ_l M_l Q_lk + r_k for the joints in use; M (sheared in perspective), Y: (24, 8), rows x
  // and y.
  void times(const V (&m)[kFitJoints][8], V (&y)[kFitJoints][8]) const {
    if constexpr (W == 1) {
      return lone_.times(columns_, numbers(m), numbers(r_), numbers(y));
    }
    const V* q = stream_.data();
    uint32_t begun = 0;  // joints that y holds a sum of already
    for (int k = 0; k < kFitJoints; ++k) {
      if (columns_[k] == 0) continue;
      V mk[8], yk[8];
      const V* const from = begun >> k & 1 ? y[k] : r_[k];
      for (int c = 0; c < 8; ++c) mk[c] = m[k][c], yk[c] = from[c];
      uint32_t left = columns_[k];
      if (left >> k & 1) {
        add_own(q, mk, yk);
        q += 10;
        left &= left - 1;
      }
      for (; left != 0; left &= left - 1, q += 16) {
        const int l = __builtin_ctz(left);
        add_both(q, mk, m[l], yk, begun >> l & 1 ? y[l] : r_[l], y[l]);
        begun |= 1u << l;
      }
      for (int c = 0; c < 8; ++c) y[k][c] = yk[c];
    }
  }

 private:
  static const T (*numbers(const V (&rows)[kFitJoints][8]))[8] {
    return reinterpret_cast<const T(*)[8]>(rows);
  }
  static T (*numbers(V (&rows)[kFitJoints][8]))[8] { return reinterpret_cast<T(*)[8]>(rows); }

  // Rows of `count` numbers at the same place of every person's moments.
  template <typename Rows>
  static void gather_rows(const Rows* first, int people, int count, V* out) {
    constexpr int64_t stride = sizeof(PersonMoments<T>) / sizeof(T);
    static_assert(sizeof(PersonMoments<T>) % sizeof(T) == 0);
    to_lanes(reinterpret_cast<const T*>(first), stride, people, count, reinterpret_cast<T*>(out),
             W);
  }

  // The symmetric block of joint k and itself: ten numbers.
  static void add_own(const V* q, const V (&m)[8], V (&y)[8]) {
#pragma GCC unroll 4
    for (int a = 0; a < 4; ++a) {
      const V diagonal = *q++;
      y[a] += m[a] * diagonal;
      y[4 + a] += m[4 + a] * diagonal;
#pragma GCC unroll 4
      for (int b = a + 1; b < 4; ++b) {
        const V shared = *q++;
        y[a] += m[b] * shared;
        y[4 + a] += m[4 + b] * shared;
        y[b] += m[a] * shared;
        y[4 + b] += m[4 + a] * shared;
      }
    }
  }

  // The block of joints k < l: y_l += m_k Q, y_k += m_l Qᵀ.
  static void add_both(const V* q, const V (&mk)[8], const V (&ml)[8], V (&yk)[8], const V* from,
                       V* yl) {
#pragma GCC unroll 4
    for (int b = 0; b < 4; ++b) {
      V x = from[b], y = from[4 + b];
#pragma GCC unroll 4
      for (int a = 0; a < 4; ++a) {
        const V shared = q[4 * a + b];
        x += mk[a] * shared;
        y += mk[4 + a] * shared;
        yk[a] += ml[b] * shared;
        yk[4 + a] += ml[4 + b] * shared;
      }
      yl[b] = x;
      yl[4 + b] = y;
    }
  }

  uint32_t joints_ = 0;
  uint32_t columns_[kFitJoints];
  bool in_perspective_ = false;
  V r_[kFitJoints][8];
  V depth_[kFitJoints][4];
  LoneMoments<T> lone_;
  Buffer<V> stream_;
};

}  // namespace bodyreg::BODYREG_ISA
