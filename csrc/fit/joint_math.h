// The algebra of a fit, one joint at a time; for numbers, for lanes of people and for a GPU's
// lanes.
//
// Forward. In the picture's axes (x, y in frame units, z toward the viewer), with Q the rotation
// that Gram–Schmidt makes of the raw nine numbers and q the parent of k,
//
//   C_0 = Q                P_0 = s Q J_0
//   C_k = C_q Rot(θ_k)     P_k = P_q + s S_q C_q (J_k − J_q)
//
// C_k turns segment k and has no scale; P_k is the place of joint k without the translation t. A
// rig point (k, h) has the image
//
//   x = Σ_k [s S_k C_k | P_k] h'_k + t        h'_k = (h_xyz − h_w J_k, h_w)
//
// Moments. The squared distances of any number of points are one quadratic form of the rows x and y
// of [s S_k C_k | P_k + t], M_k (2 × 4) for short: with x_i = Σ_k M_k h'_ik and weights c_i,
//
//   L = Σ_i c_i |x_i − x̂_i|² = ½ ⟨M Q, M⟩ + ⟨M, r⟩ + constant          Y = ∂L/∂M = M Q + r
//   Q_kl = Σ_i 2 c_i h'_ik h'_ilᵀ (4 × 4)       r_k = −Σ_i 2 c_i x̂_i h'_ikᵀ (2 × 4)
//
// Q is symmetric, the same for both rows, and sparse: two joints meet where a point hangs on both.
// So an iteration costs the same for any number of points.
//
// Backward. Let Y_k = ∂L / ∂[s S_k C_k | P_k], rows x, y and z, [A | b] by columns. It acts on
// segment k as a wrench, a force and a torque about joint k,
//
//   F_k = b of Y_k         τ_k = s S_k Σ_c C_k,c × A_c
//
// The gradient needs only their sums over the subtree of k, moved to joint k, ΣF_k and Στ_k:
//
//   ∂L/∂θ_k = det Q · J_left(θ_k)ᵀ C_qᵀ Στ_k
//   ∂L/∂S_k = s g_k,   g_k = ⟨A of Y_k, C_k⟩ + Σ_children j ΣF_j · C_k (J_j − J_k)
//   ∂L/∂s   = Σ_k S_k g_k + ΣF_0 · Q J_0
//   ∂L/∂t   = ΣF_0, x and y
//   ∂L/∂raw = the adjoint of Gram–Schmidt on ½ [Στ_0 + P_0 × ΣF_0]ₓ Q
//
// Torques are about the joint because Adam makes large steps of tiny gradients: where only a
// keypoint on the wrist itself pulls at the hand, the wrist's gradient must be zero, without
// rounding.
//
// ∂L/∂raw: a rotation changes by dQ = [ω]ₓ Q, so only the torque counts, and
// ⟨½ [τ]ₓ Q, [ω]ₓ Q⟩ = τ·ω.
//
// A normal's z reads the view v = C_kᵀ d of segment k, with d the ray to the camera (0, 0, 1 in
// weak perspective), so the terms of it are torques too: g · dv.
#pragma once

#include "../common/geometry.h"
#include "../common/scalar.h"
#include "../projection/gram_schmidt_math.h"
#include "fit.h"
#include "rotation_math.h"

namespace bodyreg {

// ---- The tree, forward

template <typename T>
struct PosedJoint {
  Mat3<T> turn;      // C_k
  Vec3<T> position;  // P_k
};

template <typename T>
BODYREG_HD PosedJoint<T> posed_root(const Mat3<T>& rotation, const T& scale, const Vec3<T>& joint) {
  return {rotation, scale * (rotation * joint)};
}

// size = s S_q, bone = J_k − J_q
template <typename T>
BODYREG_HD PosedJoint<T> posed_child(const PosedJoint<T>& parent, const T& size,
                                     const Vec3<T>& bone, const Mat3<T>& rotation) {
  return {parent.turn * rotation, parent.position + size * (parent.turn * bone)};
}

// The rows x and y of [s S_k C_k | P_k + t], size = s S_k.
template <typename T>
BODYREG_HD void image_rows(const PosedJoint<T>& joint, const T& size, const T (&translation)[2],
                           T (&rows)[8]) {
  for (int c = 0; c < 3; ++c) {
    rows[c] = size * joint.turn.m[c];
    rows[4 + c] = size * joint.turn.m[3 + c];
  }
  rows[3] = joint.position.x + translation[0];
  rows[7] = joint.position.y + translation[1];
}

// The row z of [s S_k C_k | P_k].
template <typename T>
BODYREG_HD void depth_row(const PosedJoint<T>& joint, const T& size, T (&row)[4]) {
  for (int c = 0; c < 3; ++c) row[c] = size * joint.turn.m[6 + c];
  row[3] = joint.position.z;
}

// ---- The tree, backward

// A force and a torque on a segment.
template <typename T>
struct Wrench {
  Vec3<T> force;
  Vec3<T> torque;
};

template <typename T>
BODYREG_HD Wrench<T>& operator+=(Wrench<T>& a, const Wrench<T>& b) {
  a.force = a.force + b.force;
  a.torque = a.torque + b.torque;
  return a;
}

// The same wrench about another point; lever: from that point to the wrench's own.
template <typename T>
BODYREG_HD Wrench<T> moved(const Wrench<T>& wrench, const Vec3<T>& lever) {
  return {wrench.force, wrench.torque + cross(lever, wrench.force)};
}

// Of the rows x and y of Y_k, about joint k. Adds ⟨A, C_k⟩ to stretch.
template <typename T>
BODYREG_HD Wrench<T> image_wrench(const Mat3<T>& turn, const T& size, const T (&y)[8], T& stretch) {
  const T* const c = turn.m;
  const T xx = c[0] * y[0] + c[1] * y[1] + c[2] * y[2];  // row x of C · row x of A
  const T yy = c[3] * y[4] + c[4] * y[5] + c[5] * y[6];
  const T xy = c[0] * y[4] + c[1] * y[5] + c[2] * y[6];
  const T yx = c[3] * y[0] + c[4] * y[1] + c[5] * y[2];
  const T zx = c[6] * y[0] + c[7] * y[1] + c[8] * y[2];
  const T zy = c[6] * y[4] + c[7] * y[5] + c[8] * y[6];
  stretch += xx + yy;
  return {{y[3], y[7], T(0)}, {-(size * zy), size * zx, size * (xy - yx)}};
}

// The same of the row z.
template <typename T>
BODYREG_HD Wrench<T> depth_wrench(const Mat3<T>& turn, const T& size, const T (&z)[4], T& stretch) {
  const T* const c = turn.m;
  const T xz = c[0] * z[0] + c[1] * z[1] + c[2] * z[2];  // row x of C · row z of A
  const T yz = c[3] * z[0] + c[4] * z[1] + c[5] * z[2];
  stretch += c[6] * z[0] + c[7] * z[1] + c[8] * z[2];
  return {{T(0), T(0), z[3]}, {size * yz, -(size * xz), T(0)}};
}

// The torque of a gradient g by the view C_kᵀ d.
template <typename T>
BODYREG_HD Vec3<T> normal_torque(const Mat3<T>& turn, const Vec3<T>& ray, const Vec3<T>& g) {
  return cross(turn * g, ray);
}

// ∂L/∂θ_k. torque: of the subtree of k, about joint k; mirror: det Q, which is 1 or −1.
template <typename T>
BODYREG_HD Vec3<T> pose_gradient(const Vec3<T>& theta, const AxisAngle<T>& r,
                                 const Mat3<T>& parent_turn, const T& mirror,
                                 const Vec3<T>& torque) {
  return left_jacobian_transposed(theta, r, transposed_times(parent_turn, mirror * torque));
}

// ---- The camera

// det Q: 1, or −1 where the raw rotation reflects.
template <typename T>
BODYREG_HD T handedness(const Mat3<T>& rotation) {
  return select(determinant(rotation) < T(0), T(-1), T(1));
}

// ∂L/∂raw from the torque about the origin. e, rotation: the intermediate values and the result of
// Gram–Schmidt.
template <typename T>
BODYREG_HD Mat3<T> rotation_gradient(const Orthonormal<T>& e, const Mat3<T>& raw, bool six,
                                     const Mat3<T>& rotation, const Vec3<T>& torque) {
  const Vec3<T> half = T(Scalar<T>(0.5)) * torque;
  return gram_schmidt_backward(
      e, raw, six,
      from_columns(cross(half, column(rotation, 0)), cross(half, column(rotation, 1)),
                   cross(half, column(rotation, 2))));
}

// ---- Adam (Kingma & Ba 2015)

constexpr double kAdamFirstDecay = 0.9;
constexpr double kAdamSecondDecay = 0.999;
constexpr double kAdamEpsilon = 1e-8;

// The numbers of one step: step = rate / (1 − β1ⁱ), inverse_unbias = 1 / √(1 − β2ⁱ).
template <typename S>
struct AdamStep {
  S step, inverse_unbias;
};

// β1ⁱ and β2ⁱ after i iterations of a phase; both begin at 1.
struct AdamDecay {
  double first, second;
};

template <typename S>
BODYREG_HD AdamStep<S> next_step(AdamDecay& decay, double learning_rate) {
  decay.first *= kAdamFirstDecay;
  decay.second *= kAdamSecondDecay;
  return {S(learning_rate / (1 - decay.first)), S(1 / sqrt(1 - decay.second))};
}

template <typename T>
BODYREG_HD void adam(T& parameter, T& mean, T& square, const T& gradient,
                     const AdamStep<Scalar<T>>& step) {
  using S = Scalar<T>;
  mean = mean + T(S(1 - kAdamFirstDecay)) * (gradient - mean);
  square = T(S(kAdamSecondDecay)) * square + T(S(1 - kAdamSecondDecay)) * gradient * gradient;
  parameter = parameter -
              T(step.step) * (mean / (sqrt(square) * T(step.inverse_unbias) + T(S(kAdamEpsilon))));
}

}  // namespace bodyreg
