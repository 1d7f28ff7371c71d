#include "../common/anchor.h"
#include "correspondence.h"
#include "correspondence_math.h"

namespace bodyreg::BODYREG_ISA {
namespace {

template <typename T>
struct Xy {
  T x, y;
};

template <typename T>
inline Xy<T> sum_rows(const Rows<T>& a) {
  const Rows<T> b = a + __builtin_shufflevector(a, a, 1, 0, 3, 2, 5, 4, 7, 6);
  const Rows<T> c = b + __builtin_shufflevector(b, b, 2, 3, 0, 1, 6, 7, 4, 5);
  return {c[0], c[4]};
}

// One person: where the points are seen, relative to their targets.
template <typename T>
struct Person {
  Person(const CorrespondenceParams<T>& p, int64_t b)
      : p(p),
        transforms(p.transforms + b * p.joints * 12),
        rotation(p.rotation + b * 9),
        scale(p.scale[b]),
        translation{p.translation[2 * b], p.translation[2 * b + 1]},
        joint_ids(p.joint_ids + b * p.points * p.influences),
        anchors(p.anchors + b * p.points * p.influences * 4),
        targets(p.targets + b * p.points * 2),
        weights(p.weights + b * p.points),
        inverse_width2(T(1) / (p.width * p.width)) {
    for (int j = 0; j < p.joints; ++j) {
      T row[8];
      project_transform(rotation, transforms + j * 12, row);
      projected[j] = load_rows(row);
    }
  }

  Xy<T> residual(int64_t i) const {
    Rows<T> rows = {};
    for (int64_t e = i * p.influences; e < (i + 1) * p.influences; ++e) {
      rows += projected[joint_ids[e]] * for_both_rows<T>(load_quad(anchors + 4 * e));
    }
    const Xy<T> x = sum_rows<T>(rows);
    return {scale * x.x + translation.x - targets[2 * i],
            scale * x.y + translation.y - targets[2 * i + 1]};
  }

  const CorrespondenceParams<T>& p;
  const T* transforms;
  const T* rotation;
  T scale;
  Xy<T> translation;
  const int32_t* joint_ids;
  const T* anchors;
  const T* targets;
  const T* weights;
  T inverse_width2;
  Rows<T> projected[kMaxJoints];  // N_j
};

// Sums Y_j over the pairs that are not padding. They are listed first and summed later, because a
// branch per pair would be predicted wrong about once a point.
template <typename T>
class PairsInUse {
 public:
  PairsInUse(const Person<T>& person, Rows<T>* y) : person_(person), y_(y) {}

  // The pairs of point i, which has the gradient e.
  void add(int64_t i, const Xy<T>& e) {
    if (points_ == kPointsAtOnce) sum();
    gradient_[points_] = Rows<T>{e.x, e.x, e.x, e.x, e.y, e.y, e.y, e.y};
    for (int64_t k = i * person_.p.influences; k < (i + 1) * person_.p.influences; ++k) {
      if (pairs_ == kPairsAtOnce) sum_pairs();
      pair_[pairs_] = k;
      point_[pairs_] = points_;
      pairs_ += !is_empty(person_.anchors + 4 * k);
    }
    ++points_;
  }

  void sum() {
    sum_pairs();
    points_ = 0;
  }

 private:
  void sum_pairs() {
    for (int n = 0; n < pairs_; ++n) {
      y_[person_.joint_ids[pair_[n]]] +=
          gradient_[point_[n]] * for_both_rows<T>(load_quad(person_.anchors + 4 * pair_[n]));
    }
    pairs_ = 0;
  }

  static constexpr int kPointsAtOnce = 32;
  static constexpr int kPairsAtOnce = 128;
  const Person<T>& person_;
  Rows<T>* y_;
  int points_ = 0;
  int pairs_ = 0;
  Rows<T> gradient_[kPointsAtOnce];
  int64_t pair_[kPairsAtOnce];
  int point_[kPairsAtOnce];
};

}  // namespace

template <typename T>
void correspondence_forward_cpu(const CorrespondenceParams<T>& p, int64_t begin, int64_t end) {
  for (int64_t b = begin; b < end; ++b) {
    const Person<T> person(p, b);
    T loss = 0;
    for (int64_t i = 0; i < p.points; ++i) {
      const T weight = person.weights[i];
      if (weight == T(0)) continue;
      const Xy<T> r = person.residual(i);
      loss += weight * geman_mcclure(r.x * r.x + r.y * r.y, person.inverse_width2).value;
    }
    p.loss[b] = loss;
  }
}

template <typename T>
void correspondence_backward_cpu(const CorrespondenceBackwardParams<T>& p, int64_t begin,
                                 int64_t end) {
  const int J = p.forward.joints;
  for (int64_t b = begin; b < end; ++b) {
    const Person<T> person(p.forward, b);
    Rows<T> y[kMaxJoints];  // Y_j
    for (int j = 0; j < J; ++j) y[j] = Rows<T>{};
    Xy<T> force = {0, 0};  // Σ e_i
    PairsInUse<T> pairs(person, y);
    for (int64_t i = 0; i < p.forward.points; ++i) {
      const T weight = person.weights[i];
      if (weight == T(0)) continue;
      const Xy<T> r = person.residual(i);
      const T slope = geman_mcclure(r.x * r.x + r.y * r.y, person.inverse_width2).slope;
      const T factor = 2 * p.grad_loss[b] * weight * slope;
      const Xy<T> e = {factor * r.x, factor * r.y};
      pairs.add(i, e);
      force.x += e.x;
      force.y += e.y;
    }
    pairs.sum();
    T rotation_sum[6] = {};
    Rows<T> scale_sum = {};
    for (int j = 0; j < J; ++j) {
      T rows[8];
      __builtin_memcpy(rows, &y[j], sizeof(rows));
      projected_grad_to_transform(person.rotation, person.scale, rows,
                                  p.grad_transforms + (b * J + j) * 12);
      add_rotation_grad(rows, person.transforms + j * 12, rotation_sum);
      scale_sum += person.projected[j] * y[j];
    }
    for (int c = 0; c < 6; ++c) p.grad_rotation[b * 9 + c] = person.scale * rotation_sum[c];
    for (int c = 6; c < 9; ++c) p.grad_rotation[b * 9 + c] = 0;
    const Xy<T> along = sum_rows<T>(scale_sum);
    p.grad_scale[b] = along.x + along.y;
    p.grad_translation[2 * b] = force.x;
    p.grad_translation[2 * b + 1] = force.y;
  }
}

template void correspondence_forward_cpu(const CorrespondenceParams<float>&, int64_t, int64_t);
template void correspondence_forward_cpu(const CorrespondenceParams<double>&, int64_t, int64_t);
template void correspondence_backward_cpu(const CorrespondenceBackwardParams<float>&, int64_t,
                                          int64_t);
template void correspondence_backward_cpu(const CorrespondenceBackwardParams<double>&, int64_t,
                                          int64_t);

}  // namespace bodyreg::BODYREG_ISA
