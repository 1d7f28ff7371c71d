// One person's points under given parameters: residuals and normals, what a refresh makes of them,
// and their terms' exact values. Points are lanes; sums run in the order of the points, so they do
// not depend on the lanes' width. Products are stored before they are summed: in a loop of sums of
// products the compiler fuses some operations and not others.
//
// A refresh turns terms that are not squares into squares that touch them at the current
// parameters:
//   dense        Σ w ρ(q): weights w ρ'(q) of plain squares
//   facing       Σ w relu(m − n_z)²: the points that cost something now, as Σ w (m − c·n)²
//   visibility   its tangent, a vector by c
// with c the view of the segment, C_kᵀ d. Of a person that is seen in perspective, points and
// keypoints become squares as ray_math.h says. The gradients are exact at the refresh.
#pragma once

#include "../ray_math.h"
#include "body.h"
#include "moments.h"

namespace bodyreg::BODYREG_ISA {

// Points fill the widest registers, whatever the size of the group.
template <typename T>
using PointLanes = Lanes<T, kWidest<T>>;

template <typename T>
static inline PointLanes<T> load_points(const T* p) {
  return load_lanes<T, kWidest<T>>(p);
}

// Samples of the segments' rest surfaces, padded by samples of no area to whole vectors of any
// width.
template <typename T>
class Surface {
 public:
  explicit Surface(const FitProblem<T>& p)
      : padded_((p.surface_samples + 15) / 16 * 16),
        rows_(kFitJoints * 4 * padded_),
        normals_(kFitJoints * padded_) {
    set_zero(rows_.data(), kFitJoints * 4 * padded_);
    set_zero(reinterpret_cast<T*>(normals_.data()), kFitJoints * 4 * padded_);
    for (int k = 0; k < kFitJoints; ++k) {
      for (int m = 0; m < p.surface_samples; ++m) {
        const T* const n = p.surface_normals + 3 * (k * p.surface_samples + m);
        const T area = p.surface_area[k * p.surface_samples + m];
        for (int c = 0; c < 3; ++c) rows_[(4 * k + c) * padded_ + m] = n[c];
        rows_[(4 * k + 3) * padded_ + m] = area;
        normals_[k * padded_ + m] = area * Quad<T>{n[0], n[1], n[2], T(0)};
      }
    }
  }

  // F = Σ_m area f(sharpness c·n), f = softplus, and its gradient by c: (x, y, z, F).
  Quad<T> seen(int k, const Quad<T>& c, T sharpness) const {
    using V = PointLanes<T>;
    constexpr int W = V::width;
    const T* const x = rows_.data() + 4 * k * padded_;
    Quad<T> gradient = {};
    T sum = T(0);
    for (int64_t m = 0; m < padded_; m += W) {
      const V z =
          V(sharpness) * (V(c[0]) * load_points(x + m) + V(c[1]) * load_points(x + padded_ + m) +
                          V(c[2]) * load_points(x + 2 * padded_ + m));
      const V value = softplus(z);
      T part[W], slope[W];
      store_lanes(part, value * load_points(x + 3 * padded_ + m));
      store_lanes(slope, V(sharpness) * softplus_slope(z, value));
      for (int l = 0; l < W; ++l) {
        sum += part[l];
        gradient += slope[l] * normals_[k * padded_ + m + l];
      }
    }
    gradient[3] = sum;
    return gradient;
  }

 private:
  int64_t padded_;
  Buffer<T> rows_;           // (24, 4, padded) normals and areas
  Buffer<Quad<T>> normals_;  // (24, padded) area · (normal, 0)
};

// Numbers per point, of the current person.
template <typename T>
struct PointScratch {
  explicit PointScratch(int64_t most)
      : weight(padded(most)),
        squared(padded(most)),
        normal_z(padded(most)),
        seen(padded(most)),
        first(padded(most)),
        second(padded(most)) {}
  static int64_t padded(int64_t count) { return (count + 15) / 16 * 16; }

  Buffer<T> weight;
  Buffer<T> squared;          // |x − x̂|²
  Buffer<T> normal_z;         // c·n
  Buffer<SeenPoint<T>> seen;  // in perspective
  Buffer<T> first, second;
};

// One person's [N | b], see GroupNormals.
template <typename T>
struct PersonNormals {
  Quad<T> form[kFitJoints][4];  // the fourth row has no meaning
};

template <typename T>
class Person {
 public:
  using V = PointLanes<T>;
  static constexpr int W = V::width;

  // rows: (24, 8) M_k, turns: (24, 12) C_k and P_k, sizes: (24,) s S_k, shears: (24,) u_k, of
  // person b.
  Person(const FitProblem<T>& p, const GroupPoints<T>& points, const Surface<T>& surface,
         PointScratch<T>& scratch, int64_t b, const T* rows, const T* turns, const T* sizes,
         const Shear<T>* shears)
      : p_(p),
        b_(b),
        camera_(perspective_of(p.perspective + 3 * b)),
        in_perspective_(camera_.inverse_focal != T(0)),
        begin_(p.point_start[b]),
        count_(p.point_start[b + 1] - begin_),
        points_(points),
        surface_(surface),
        scratch_(scratch),
        shears_(shears) {
    for (int k = 0; k < kFitJoints; ++k) {
      rows_[k] = load_rows(rows + 8 * k);
      const T* const c = turns + 12 * k;
      view_[k] = Quad<T>{c[6], c[7], c[8], T(0)};
      if (!in_perspective_) continue;
      depth_[k] = Quad<T>{sizes[k] * c[6], sizes[k] * c[7], sizes[k] * c[8], c[11]};
      const Vec3<T> view = transposed_times(load_mat3(c), ray_of(shears[k]));
      view_[k] = Quad<T>{view.x, view.y, view.z, T(0)};
    }
    for (int64_t i = 0; i < count_; ++i) scratch_.weight[i] = p.point_weight[begin_ + i];
    clear_padding(scratch_.weight);
  }

  // |x_i − x̂_i|² of all points.
  void find_residuals() {
    const InfluenceList<T> influences = points_.influences(begin_);
    if (in_perspective_) {
      for (int64_t i = 0; i < count_; ++i) {
        const SeenPoint<T> seen = see(influences, i, p_.point_xy + 2 * (begin_ + i));
        scratch_.seen[i] = seen;
        scratch_.squared[i] = seen.error[0] * seen.error[0] + seen.error[1] * seen.error[1];
      }
      return clear_padding(scratch_.squared);
    }
    for (int64_t i = 0; i < count_; ++i) {
      Rows<T> sum = {};
      for (int32_t e = influences.first[i]; e < influences.first[i + 1]; ++e) {
        sum += rows_[influences.joint[e]] * for_both_rows<T>(influences.anchor[e]);
      }
      const T* const target = p_.point_xy + 2 * (begin_ + i);
      const T x = (sum[0] + sum[1]) + (sum[2] + sum[3]) - target[0];
      const T y = (sum[4] + sum[5]) + (sum[6] + sum[7]) - target[1];
      scratch_.squared[i] = x * x + y * y;
    }
    clear_padding(scratch_.squared);
  }

  // c·n of all points.
  void find_normals() {
    const Quad<T>* const normals = points_.normals(begin_);
    const int32_t* const segments = points_.segments(begin_);
    for (int64_t i = 0; i < count_; ++i) {
      const Quad<T> product = view_[segments[i]] * normals[i];
      scratch_.normal_z[i] = product[0] + product[1] + product[2];
    }
    clear_padding(scratch_.normal_z);
  }

  // Adds the dense points as squares that touch the robust term.
  void add_dense(T weight, T inverse_width2, PersonMoments<T>& moments) {
    T* const twice = scratch_.first.data();
    const bool robust = inverse_width2 != T(0);
    if (robust || in_perspective_) find_residuals();
    for (int64_t i = 0; i < count_; i += W) {
      const V plain = V(T(2) * weight) * load_points(scratch_.weight.data() + i);
      const V slope = robust ? robust_at(i, inverse_width2).slope : V(T(1));
      store_lanes(twice + i, select(plain == V(T(0)), plain, plain * slope));
    }
    const InfluenceList<T> influences = points_.influences(begin_);
    for (int64_t i = 0; i < count_; ++i) {
      if (twice[i] == T(0)) continue;
      if (in_perspective_) {
        add_seen(influences, i, twice[i], scratch_.seen[i], moments);
        continue;
      }
      const T* const target = p_.point_xy + 2 * (begin_ + i);
      moments.add(influences, influences.first[i], influences.first[i + 1], twice[i], target[0],
                  target[1]);
    }
  }

  // Adds the keypoints; influences: the pelvis's first.
  void add_keypoints(T weight, const InfluenceList<T>& influences,
                     PersonMoments<T>& moments) const {
    for (int j = 0; j < p_.keypoints; ++j) {
      const T twice = T(2) * weight * p_.keypoint_weight[b_ * p_.keypoints + j];
      if (twice == T(0)) continue;
      const T* const target = p_.keypoint_xy + 2 * (b_ * p_.keypoints + j);
      if (in_perspective_) {
        add_seen(influences, j + 1, twice, see(influences, j + 1, target), moments);
        continue;
      }
      moments.add(influences, influences.first[j + 1], influences.first[j + 2], twice, target[0],
                  target[1]);
    }
  }

  // Facing and visibility as [N | b] per segment; find_normals comes first. Returns the segments.
  uint32_t add_normals(const Setting<T>& setting, PersonNormals<T>& out) {
    set_zero(reinterpret_cast<char*>(&out), sizeof(out));
    const T margin = p_.facing_margin, sharpness = p_.visibility_sharpness;
    const T visibility = setting[kVisibility];
    T* const hinge = scratch_.first.data();
    T* const pull = scratch_.second.data();
    for (int64_t i = 0; i < count_; i += W) {
      const V z = load_points(scratch_.normal_z.data() + i);
      const V w = load_points(scratch_.weight.data() + i);
      const V lack = facing_lack(z, margin);
      const V active = select(lack > V(T(0)), facing_curvature(w, setting.value), V(T(0)));
      V gain = T(0);
      if (visibility != T(0)) {
        const V x = V(sharpness) * z;
        gain = visibility_gain(x, softplus(x), w, setting.value, sharpness);
      }
      store_lanes(hinge + i, active);
      store_lanes(pull + i, -(V(margin) * active) - gain);
    }
    const Quad<T>* const normals = points_.normals(begin_);
    const int32_t* const segments = points_.segments(begin_);
    T total[kFitJoints] = {};  // Σ w of each segment
    uint32_t joints = 0;
    for (int64_t i = 0; i < count_; ++i) {
      const T w = scratch_.weight[i];
      if (w == T(0)) continue;
      const int k = segments[i];
      const Quad<T>& n = normals[i];
      Quad<T> column = hinge[i] * n;
      column[3] = pull[i];
      for (int r = 0; r < 3; ++r) out.form[k][r] += n[r] * column;
      total[k] += w;
      joints |= 1u << k;
    }
    if (visibility != T(0)) {
      for (uint32_t left = joints; left != 0; left &= left - 1) {
        const int k = __builtin_ctz(left);
        const Quad<T> seen = surface_.seen(k, view_[k], sharpness);
        if (seen[3] == T(0)) continue;  // a segment without faces
        const T factor = visibility * total[k] / seen[3];
        for (int r = 0; r < 3; ++r) out.form[k][r][3] += factor * seen[r];
      }
    }
    return joints;
  }

  // Σ w ρ(|x − x̂|²)
  T dense_term(T inverse_width2) {
    find_residuals();
    T* const value = scratch_.first.data();
    for (int64_t i = 0; i < count_; i += W) {
      store_weighted(value, i, robust_at(i, inverse_width2).value);
    }
    return sum_of(value);
  }

  // Σ w relu(m − n_z)²; find_normals comes first.
  T facing_term() {
    T* const value = scratch_.first.data();
    for (int64_t i = 0; i < count_; i += W) {
      const V z = load_points(scratch_.normal_z.data() + i);
      const V lack = facing_lack(z, p_.facing_margin);
      store_weighted(value, i, lack * lack);
    }
    return sum_of(value);
  }

  // −Σ w log(f / mean of f over the segment); find_normals comes first.
  T visibility_term() {
    const T sharpness = p_.visibility_sharpness;
    T* const value = scratch_.first.data();
    for (int64_t i = 0; i < count_; i += W) {
      const V z = load_points(scratch_.normal_z.data() + i);
      store_weighted(value, i, log(softplus(V(sharpness) * z)));
    }
    T total[kFitJoints] = {};
    uint32_t joints = 0;
    for (int64_t i = 0; i < count_; ++i) {
      const T w = scratch_.weight[i];
      if (w == T(0)) continue;
      const int k = points_.segments(begin_)[i];
      total[k] += w;
      joints |= 1u << k;
    }
    T sum = T(0);
    for (uint32_t left = joints; left != 0; left &= left - 1) {
      const int k = __builtin_ctz(left);
      const T seen = surface_.seen(k, view_[k], sharpness)[3];
      if (seen != T(0)) sum += total[k] * log(V(seen)).v[0];
    }
    return sum - sum_of(value);
  }

 private:
  // Point i of the list, which the picture has at `target`, in perspective.
  SeenPoint<T> see(const InfluenceList<T>& influences, int64_t i, const T* target) const {
    Rows<T> sum = {};
    T deep = T(0), sheared[2] = {};  // z, and Σ_k u_k z of joint k
    for (int32_t e = influences.first[i]; e < influences.first[i + 1]; ++e) {
      const int k = influences.joint[e];
      sum += rows_[k] * for_both_rows<T>(influences.anchor[e]);
      const Quad<T> products = depth_[k] * influences.anchor[e];
      const T z = (products[0] + products[1]) + (products[2] + products[3]);
      deep += z;
      sheared[0] += shears_[k].x * z;
      sheared[1] += shears_[k].y * z;
    }
    const Vec3<T> image = {(sum[0] + sum[1]) + (sum[2] + sum[3]),
                           (sum[4] + sum[5]) + (sum[6] + sum[7]), deep};
    SeenPoint<T> seen = seen_point(camera_, image, target[0], target[1]);
    seen.target[0] += sheared[0];
    seen.target[1] += sheared[1];
    return seen;
  }

  void add_seen(const InfluenceList<T>& influences, int64_t i, T twice, const SeenPoint<T>& seen,
                PersonMoments<T>& moments) const {
    const int32_t begin = influences.first[i], end = influences.first[i + 1];
    const T square = twice * seen.growth;
    moments.add(influences, begin, end, square * seen.growth, seen.target[0], seen.target[1]);
    moments.add_pull(influences, begin, end, twice * seen.pull, square * seen.error[0],
                     square * seen.error[1], shears_);
  }

  // ρ and ρ' of `width` points.
  Robust<V> robust_at(int64_t i, T inverse_width2) const {
    return geman_mcclure(load_points(scratch_.squared.data() + i), V(inverse_width2));
  }

  // The value of `width` points, weighted; 0 where the weight is zero, whatever the value is.
  void store_weighted(T* out, int64_t i, const V& value) const {
    const V w = load_points(scratch_.weight.data() + i);
    store_lanes(out + i, select(w == V(T(0)), w, w * value));
  }

  T sum_of(const T* values) const {
    T sum = T(0);
    for (int64_t i = 0; i < count_; ++i) sum += values[i];
    return sum;
  }

  void clear_padding(Buffer<T>& numbers) const {
    for (int64_t i = count_; i < PointScratch<T>::padded(count_); ++i) numbers[i] = T(0);
  }

  const FitProblem<T>& p_;
  int64_t b_;
  Perspective<T> camera_;
  bool in_perspective_;
  int64_t begin_, count_;
  const GroupPoints<T>& points_;
  const Surface<T>& surface_;
  PointScratch<T>& scratch_;
  const Shear<T>* shears_;
  Rows<T> rows_[kFitJoints];
  Quad<T> depth_[kFitJoints];  // rows z of [s S_k C_k | P_k], in perspective
  Quad<T> view_[kFitJoints];   // C_kᵀ d
};

}  // namespace bodyreg::BODYREG_ISA
