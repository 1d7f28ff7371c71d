// The terms of the objective: which there are, and the algebra of each, for numbers, for lanes of
// people and for a GPU's lanes.
//
// Of the terms that read one thing (an angle, a segment's scale, the camera) stand side by side
//
//   values     without their weights
//   slope      weighted; the squares w r² among them are summed as halves w r
//   curvature  weighted: what Levenberg–Marquardt takes for the second derivative; halves likewise
//   change     weighted: the value at `to` minus that at `from`, without the difference of two
//              large numbers
//
// The evidence's squares have curvature and change from the moments (joint_math.h, lm_math.h). What
// goes through the joints is in cpu/terms.h and gpu/terms.h. `weights` is a settings row; a term of
// weight 0 is not looked at.
#pragma once

#include "../common/geometry.h"
#include "../common/scalar.h"
#include "../correspondence/correspondence_math.h"
#include "parameters.h"

namespace bodyreg {

// In the order of TERMS in bodyreg/registration/losses.py, and of the columns of a settings row.
enum FitTerm : int {
  kDense,
  kKeypoint,
  kDepth,
  kFacing,
  kVisibility,
  kPrior,
  kLimit,
  kJoint,
  kExponential,
  kScaleSmoothness,
  kScaleDeviation,
  kScaleSymmetry,
  kScaleLevel,
  kScaleLimit,
  kUpright,
  kDet,
  kFitTerms,
};

// The other columns of a settings row: the width of the robust function and the learning rate.
constexpr int kDenseWidthAt = kFitTerms;
constexpr int kLearningRateAt = kFitTerms + 1;
constexpr int kFitSettings = kFitTerms + 2;

// Whether some of a row's terms read normals.
template <typename S>
BODYREG_HD bool reads_normals(const S* row) {
  return row[kFacing] != S(0) || row[kVisibility] != S(0);
}

// Whether a row makes squares that depend on the parameters, which a refresh takes anew.
BODYREG_HD bool needs_refresh(const double* row) {
  return reads_normals(row) || (row[kDense] != 0 && 1 / row[kDenseWidthAt] != 0);
}

// Whether an iteration of Adam begins with a refresh. Two more come first in perspective, where the
// slope by the depth grows with the errors, which are large at the start and shrink fast.
BODYREG_HD bool refreshes_at(int iteration, int every, bool in_perspective) {
  const bool soon = iteration == every / 3 || iteration == every / 9;
  return iteration % every == 0 || (in_perspective && soon);
}

// 1 / width² of the robust function; 0 where the dense term is plain squares.
template <typename S>
BODYREG_HD S inverse_width2(const S* row) {
  return S(1) / (row[kDenseWidthAt] * row[kDenseWidthAt]);
}

// b² − a²
template <typename T>
BODYREG_HD T change_of_square(const T& a, const T& b) {
  return (b - a) * (b + a);
}

// How far x is outside [low, high], signed, and the slope of that.
template <typename T>
BODYREG_HD T excess(const T& x, const T& low, const T& high) {
  return x - select(x < low, low, select(x > high, high, x));
}
template <typename T>
BODYREG_HD T is_outside(const T& x, const T& low, const T& high) {
  return select(x < low, T(1), select(x > high, T(1), T(0)));
}

// ---- Terms of one angle
//
//   prior        Σ ((θ − μ) / σ)², and what the modes add
//   limit        Σ excess(θ)²
//   joint        Σ θ²
//   exponential  Σ exp(x), x = how far a knee or an elbow is extended beyond straight; clamped as
//                registration/losses.py does
//
// `at` = 3 k + axis is the angle's place in each row of `table`, the (4, 24, 3) pose_terms of
// FitProblem: mean and inverse spread of the prior, lower and upper limit.

constexpr int kInverseSpreadAt = 3 * kFitJoints;
constexpr int kLowAt = 6 * kFitJoints;
constexpr int kHighAt = 9 * kFitJoints;

template <typename S>
BODYREG_HD S prior_weight(int at, const S* weights, const S* table) {
  return weights[kPrior] * table[kInverseSpreadAt + at] * table[kInverseSpreadAt + at];
}
template <typename T, typename S>
BODYREG_HD T angle_excess(const T& angle, int at, const S* table) {
  return excess(angle, T(table[kLowAt + at]), T(table[kHighAt + at]));
}

// The axis about which joint k extends beyond straight, and the direction; −1 if it has none.
BODYREG_HD int hyper_extension_axis(int k) {
  return k == 4 || k == 5 ? 0 : k == 18 || k == 19 ? 1 : -1;
}
BODYREG_HD int hyper_extension_sign(int k) { return k == 18 ? 1 : -1; }
template <typename T>
BODYREG_HD T hyper_extension(int k, const T& angle) {
  return hyper_extension_sign(k) > 0 ? angle : -angle;
}
constexpr double kMaxExponent = 10;
template <typename T>
BODYREG_HD T clamped_exp(const T& x) {
  const T most = T(Scalar<T>(kMaxExponent));
  return exp(select(x > most, most, x));
}
template <typename T, typename S>
BODYREG_HD T clamped_exp_slope(const T& x, S weight) {  // and curvature
  return select(x > T(S(kMaxExponent)), T(0), T(weight) * clamped_exp(x));
}

// Of joint k.
template <typename T, typename S>
BODYREG_HD void add_angle_values(const Vec3<T>& theta, int k, const S* table,
                                 T (&terms)[kFitTerms]) {
  const T angles[3] = {theta.x, theta.y, theta.z};
  for (int axis = 0; axis < 3; ++axis) {
    const int at = 3 * k + axis;
    const T& angle = angles[axis];
    const T deviation = T(table[kInverseSpreadAt + at]) * (angle - T(table[at]));
    const T outside = angle_excess(angle, at, table);
    terms[kPrior] += deviation * deviation;
    terms[kLimit] += outside * outside;
    terms[kJoint] += angle * angle;
  }
  const int axis = hyper_extension_axis(k);
  if (axis >= 0) {
    terms[kExponential] += clamped_exp(hyper_extension(k, axis == 0 ? theta.x : theta.y));
  }
}

template <typename T, typename S>
BODYREG_HD T angle_slope(const T& angle, int at, const S* weights, const S* table) {
  T half = T(weights[kJoint]) * angle;
  if (weights[kPrior] != S(0)) {
    half += T(prior_weight(at, weights, table)) * (angle - T(table[at]));
  }
  if (weights[kLimit] != S(0)) half += T(weights[kLimit]) * angle_excess(angle, at, table);
  return T(2) * half;
}

// ∂/∂θ_k of all three angles, because they share one exponential.
template <typename T, typename S>
BODYREG_HD Vec3<T> pose_slope(const Vec3<T>& theta, int k, const S* weights, const S* table) {
  Vec3<T> slope = {angle_slope(theta.x, 3 * k, weights, table),
                   angle_slope(theta.y, 3 * k + 1, weights, table),
                   angle_slope(theta.z, 3 * k + 2, weights, table)};
  const int axis = hyper_extension_axis(k);
  if (axis >= 0 && weights[kExponential] != S(0)) {
    const T x = hyper_extension(k, axis == 0 ? theta.x : theta.y);
    const T bent = clamped_exp_slope(x, weights[kExponential] * S(hyper_extension_sign(k)));
    if (axis == 0) {
      slope.x += bent;
    } else {
      slope.y += bent;
    }
  }
  return slope;
}

template <typename T, typename S>
BODYREG_HD T angle_curvature(const T& angle, int at, const S* weights, const S* table) {
  T half = T(weights[kJoint] + prior_weight(at, weights, table));
  if (weights[kLimit] != S(0)) {
    half += T(weights[kLimit]) * is_outside(angle, T(table[kLowAt + at]), T(table[kHighAt + at]));
  }
  T curvature = T(2) * half;
  const int k = at / 3;
  if (weights[kExponential] != S(0) && hyper_extension_axis(k) == at % 3) {
    curvature += clamped_exp_slope(hyper_extension(k, angle), weights[kExponential]);
  }
  return curvature;
}

template <typename T, typename S>
BODYREG_HD T angle_change(const T& from, const T& to, int at, const S* weights, const S* table) {
  T change = T(weights[kJoint]) * change_of_square(from, to);
  if (weights[kPrior] != S(0)) {
    const T mean = T(table[at]);
    change += T(prior_weight(at, weights, table)) * change_of_square(from - mean, to - mean);
  }
  if (weights[kLimit] != S(0)) {
    change += T(weights[kLimit]) *
              change_of_square(angle_excess(from, at, table), angle_excess(to, at, table));
  }
  const int k = at / 3;
  if (weights[kExponential] != S(0) && hyper_extension_axis(k) == at % 3) {
    change += T(weights[kExponential]) *
              (clamped_exp(hyper_extension(k, to)) - clamped_exp(hyper_extension(k, from)));
  }
  return change;
}

// ---- Joints that move together
//
//   prior        Σ_r w_r (m_r · (θ − μ))² beside the squares of single angles
//
// A mode m_r is a direction in the space of poses; w_r is negative if poses vary along it more than
// single angles say. A mode couples branches of the tree, which Levenberg–Marquardt eliminates one
// by one. So its curvature is replaced by a larger diagonal, whose halves are
// Σ_r max(w_r, 0) |m_ra| Σ_b |m_rb|.

constexpr int kFitModes = 24;

// θ_k − μ_k
template <typename T, typename S>
BODYREG_HD Vec3<T> deviation_of(const Vec3<T>& theta, int k, const S* table) {
  return {theta.x - T(table[3 * k]), theta.y - T(table[3 * k + 1]), theta.z - T(table[3 * k + 2])};
}

// ---- Terms of one segment's scale
//
//   scale_deviation  Σ (S_k − mean)²
//   scale_symmetry   Σ (S_left − S_right)²
//   scale_level      Σ (S_k − 1)²
//   scale_limit      Σ excess(S_k)²

// A segment's scale, the mean of all, and the scale on the other side (the middle's is its own).
template <typename T>
struct ScaleAndPeers {
  T own, mean, mirror;
};

// share: how much of the square of left and right the joint counts; the two together count 1.
template <typename T, typename S>
BODYREG_HD void add_scale_values(const ScaleAndPeers<T>& s, S share, S low, S high,
                                 T (&terms)[kFitTerms]) {
  const T deviation = s.own - s.mean, asymmetry = s.own - s.mirror, change = s.own - T(1);
  const T outside = excess(s.own, T(low), T(high));
  terms[kScaleDeviation] += deviation * deviation;
  terms[kScaleSymmetry] += T(share) * asymmetry * asymmetry;
  terms[kScaleLevel] += change * change;
  terms[kScaleLimit] += outside * outside;
}

template <typename T, typename S>
BODYREG_HD T scale_slope(const ScaleAndPeers<T>& s, const S* weights, S low, S high) {
  T half = T(weights[kScaleLevel]) * (s.own - T(1));
  if (weights[kScaleDeviation] != S(0)) half += T(weights[kScaleDeviation]) * (s.own - s.mean);
  if (weights[kScaleSymmetry] != S(0)) half += T(weights[kScaleSymmetry]) * (s.own - s.mirror);
  if (weights[kScaleLimit] != S(0)) {
    half += T(weights[kScaleLimit]) * excess(s.own, T(low), T(high));
  }
  return T(2) * half;
}

// The deviation's matrix 2 w (I − 11ᵀ / 24) is replaced by its larger diagonal. Symmetry couples
// two branches of the tree: lm_solve.h has it.
template <typename T, typename S>
BODYREG_HD T scale_curvature(const T& scale, const S* weights, S low, S high) {
  T half = T(weights[kScaleLevel] + weights[kScaleDeviation]);
  if (weights[kScaleLimit] != S(0)) {
    half += T(weights[kScaleLimit]) * is_outside(scale, T(low), T(high));
  }
  return T(2) * half;
}

// Here each of a pair's joints has half of the square.
template <typename T, typename S>
BODYREG_HD T scale_change(const ScaleAndPeers<T>& from, const ScaleAndPeers<T>& to,
                          const S* weights, S low, S high) {
  T change = T(weights[kScaleLevel]) * change_of_square(from.own - T(1), to.own - T(1));
  change += T(weights[kScaleDeviation]) * change_of_square(from.own - from.mean, to.own - to.mean);
  change += T(S(0.5) * weights[kScaleSymmetry]) *
            change_of_square(from.own - from.mirror, to.own - to.mirror);
  if (weights[kScaleLimit] != S(0)) {
    change += T(weights[kScaleLimit]) *
              change_of_square(excess(from.own, T(low), T(high)), excess(to.own, T(low), T(high)));
  }
  return change;
}

// ---- The term of two neighbours' scales: scale_smoothness = Σ (S_k − S_parent(k))²

template <typename T>
BODYREG_HD T smoothness_value(const T& scale, const T& parent) {
  return (scale - parent) * (scale - parent);
}
// By S_k; by the parent's scale it is the opposite.
template <typename T, typename S>
BODYREG_HD T smoothness_slope(const T& scale, const T& parent, const S* weights) {
  return T(S(2) * weights[kScaleSmoothness]) * (scale - parent);
}
// On both diagonals, and its opposite between the two.
template <typename S>
BODYREG_HD S smoothness_curvature(const S* weights) {
  return S(2) * weights[kScaleSmoothness];
}
template <typename T, typename S>
BODYREG_HD T smoothness_change(const T& from, const T& from_parent, const T& to, const T& to_parent,
                               const S* weights) {
  return T(weights[kScaleSmoothness]) * change_of_square(from - from_parent, to - to_parent);
}

// ---- Terms of the camera
//
//   upright  Q_21², the squared sine of the lean toward the viewer
//   det      exp(−det raw)

// Q_21, and how it moves as the camera turns by ω about x and y.
template <typename T>
BODYREG_HD T lean(const Mat3<T>& rotation) {
  return rotation.m[7];
}
template <typename T>
BODYREG_HD void lean_slope(const Mat3<T>& rotation, T (&by_turn)[2]) {
  by_turn[0] = rotation.m[4];
  by_turn[1] = -rotation.m[1];
}

template <typename T>
BODYREG_HD void add_camera_values(const Mat3<T>& rotation, const Mat3<T>& raw,
                                  T (&terms)[kFitTerms]) {
  terms[kUpright] += lean(rotation) * lean(rotation);
  terms[kDet] += exp(-determinant(raw));
}

// By a turn of the camera.
template <typename T, typename S>
BODYREG_HD void add_camera_torque(const Mat3<T>& rotation, const S* weights, Vec3<T>& torque) {
  if (weights[kUpright] == S(0)) return;
  T by_turn[2];
  lean_slope(rotation, by_turn);
  const T factor = T(S(2) * weights[kUpright]) * lean(rotation);
  torque = torque + Vec3<T>{factor * by_turn[0], factor * by_turn[1], T(0)};
}
// By the raw rotation: minus the determinant's exponential times its cofactors.
template <typename T, typename S>
BODYREG_HD void add_raw_slope(const Mat3<T>& raw, const S* weights, Mat3<T>& slope) {
  if (weights[kDet] == S(0)) return;
  const Vec3<T> a = column(raw, 0), b = column(raw, 1), c = column(raw, 2);
  const T factor = -(T(weights[kDet]) * exp(-determinant(raw)));
  slope += factor * from_columns(cross(b, c), cross(c, a), cross(a, b));
}

// By a turn of the camera, the first rows and columns of h. Levenberg–Marquardt leaves det out
// (kRawLength), here and in the change.
template <typename T, typename S, int N>
BODYREG_HD void add_camera_curvature(const Mat3<T>& rotation, const S* weights, T (&h)[N][N]) {
  if (weights[kUpright] == S(0)) return;
  T by_turn[2];
  lean_slope(rotation, by_turn);
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 2; ++j) h[i][j] += T(S(2) * weights[kUpright]) * by_turn[i] * by_turn[j];
  }
}
template <typename T, typename S>
BODYREG_HD T camera_change(const T& from_lean, const T& to_lean, const S* weights) {
  return T(weights[kUpright]) * change_of_square(from_lean, to_lean);
}

// ---- Terms of the evidence
//
//   dense       Σ w ρ(|x − x̂|²), ρ = geman_mcclure
//   keypoint    Σ w |x − x̂|²
//   depth       Σ w e², e = z − z_pelvis − ẑ
//   facing      Σ w lack², lack = max(m − n_z, 0)
//   visibility  −Σ w log(f(n_z) / mean of f over the segment), f(n_z) = softplus(sharpness n_z)

template <typename T>
BODYREG_HD T depth_value(const T& own_weight, const T& error) {
  return own_weight * error * error;
}
template <typename T, typename S>
BODYREG_HD T depth_curvature(const T& own_weight, const S* weights) {  // by z
  return T(S(2) * weights[kDepth]) * own_weight;
}
template <typename T, typename S>
BODYREG_HD T depth_slope(const T& own_weight, const T& error, const S* weights) {
  return depth_curvature(own_weight, weights) * error;
}

template <typename T, typename S>
BODYREG_HD T facing_lack(const T& normal_z, S margin) {
  const T lack = T(margin) - normal_z;
  return select(lack < T(0), T(0), lack);
}
// c of the square ½ c (m − n_z)² that a refresh makes of it, where it lacks something.
template <typename T, typename S>
BODYREG_HD T facing_curvature(const T& own_weight, const S* weights) {
  return T(S(2) * weights[kFacing]) * own_weight;
}

// log(1 + eˣ), without overflow, and its slope, given its value.
template <typename T>
BODYREG_HD T softplus(const T& x) {
  return maximum(x, T(0)) + log1p(exp(-maximum(x, -x)));
}
template <typename T>
BODYREG_HD T softplus_slope(const T& x, const T& value) {
  return exp(x - value);
}
// Minus the slope of visibility by the point's n_z, with x = sharpness n_z and value = f(n_z); a
// refresh takes the tangent.
template <typename T, typename S>
BODYREG_HD T visibility_gain(const T& x, const T& value, const T& own_weight, const S* weights,
                             S sharpness) {
  return T(weights[kVisibility] * sharpness) * own_weight * (softplus_slope(x, value) / value);
}

}  // namespace bodyreg
