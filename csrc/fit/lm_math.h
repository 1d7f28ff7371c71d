// The algebra of a Levenberg–Marquardt step, two joints at a time; for numbers and for lanes of
// people.
//
// A joint has four unknowns, θ_a and S_a. The root's pose is frozen: its unknowns turn the camera
// by ω instead (raw ← exp([ω]ₓ) raw), and it also has t and σ = ds / s. With S_0 these are seven.
//
// Levers. A point hangs on joints k by influences (h_k, w_k), relative to the joint. With
// bone_j = s C_a (J_j − J_a) for a child j of a, let
//
//   w_a = Σ w_k over the subtree of a             how much of the point hangs on joint a
//   u_a = s C_a h_a + Σ_children j w_j bone_j     how the point moves with S_a
//   v_a = S_a u_a + Σ_children j v_j              the arm from joint a to its share of the point
//
// Then the point's image moves by φ × v_a when joint a turns by φ, by u_a dS_a, and by
// ω × X + w_0 (t_x, t_y, 0) + σ X, X = v_0 + w_0 P_0, with the camera. So the normal matrix JᵀJ
// needs nothing of the points but sums of products of two joints' levers. x and y count once; z
// counts κ times in perspective (ray_math.h), and not at all without.
//
// The matrix has a block for joints a and b where b = a or b is above a in the tree. The block of
// two joints on different branches is left out: few points hang on both, and without it the matrix
// has the tree's pattern, for which elimination from the leaves makes no fill (lm_solve.h).
#pragma once

#include "joint_math.h"

namespace bodyreg {

constexpr int kJointUnknowns = 4;  // θ_a, S_a
constexpr int kRootUnknowns = 7;   // ω, S_0, t, σ

// λ at the start, its bounds, and its factor: a step that is rejected multiplies λ by it, one that
// is accepted divides λ by it.
constexpr double kFirstDamping = 1e-2;
constexpr double kLeastDamping = 1e-6;
constexpr double kMostDamping = 1e6;
constexpr double kDampingFactor = 4;

// λ of variances: pivots of the incomplete matrix stay positive.
constexpr double kVarianceDamping = 1e-3;

// Added to the diagonal before it is multiplied by λ, for unknowns that no term reads.
constexpr double kLeastCurvature = 1e-4;

// Gram–Schmidt removes the length of the raw rotation's columns, but exp(−det raw) reads it. At
// this length the term is below 1e-27, and steps only turn, so they can ignore the term.
constexpr double kRawLength = 4;

// λ after a step.
template <typename T, typename Condition>
BODYREG_HD T next_damping(const Condition& accepted, const T& damping) {
  using S = Scalar<T>;
  return select(accepted, maximum(damping / T(S(kDampingFactor)), T(S(kLeastDamping))),
                minimum(damping * T(S(kDampingFactor)), T(S(kMostDamping))));
}

// Adds λ D to a number of the diagonal; returns it, the pivot's floor.
template <typename T>
BODYREG_HD T damp(const T& damping, T& diagonal) {
  const T floor = damping * (diagonal + T(Scalar<T>(kLeastCurvature)));
  diagonal += floor;
  return floor;
}

// ---- The camera: raw rotation, t and s, which the root's unknowns ω, t and σ move

// Gives the raw rotation kRawLength. A reflection keeps its length: no turn can undo it.
template <typename T>
BODYREG_HD Mat3<T> stretched_rotation(const Mat3<T>& raw, bool six) {
  const Mat3<T> rotation = rotation_of(orthonormalize(raw, six));
  const auto proper = determinant(rotation) > T(0);
  Mat3<T> out;
  for (int i = 0; i < 9; ++i) {
    out.m[i] = select(proper, T(Scalar<T>(kRawLength)) * rotation.m[i], raw.m[i]);
  }
  return out;
}

// From the gradient by raw to the gradient by ω: d raw = [ω]ₓ raw, so Σ_columns raw_c × by_raw_c.
template <typename T>
BODYREG_HD Vec3<T> turn_slope(const Mat3<T>& raw, const Mat3<T>& by_raw) {
  Vec3<T> sum = cross(column(raw, 0), column(by_raw, 0));
  for (int c = 1; c < 3; ++c) sum = sum + cross(column(raw, c), column(by_raw, c));
  return sum;
}

// The camera's twelve numbers after the root's step −d, in the order of the parameters.
template <typename T>
BODYREG_HD void step_camera(const Mat3<T>& raw, const T (&translation)[2], const T& scale,
                            const T* d, T (&camera)[kParameters - kRotationAt]) {
  const Vec3<T> turn = {-d[0], -d[1], -d[2]};
  const Mat3<T> turned = rotation_matrix(turn, axis_angle(turn)) * raw;
  for (int i = 0; i < 9; ++i) camera[i] = turned.m[i];
  for (int i = 0; i < 2; ++i) camera[9 + i] = translation[i] - d[4 + i];
  camera[11] = scale - d[6] * scale;
}

// ---- Levers

// A row of lever moments has seven columns, the levers of one joint: v_x, v_y, v_z, w, u_x, u_y,
// u_z.
constexpr int kLevers = 7;
constexpr int kHung = 3;
constexpr int kStretch = 4;

// The sums for joints a (rows) and b (columns).
template <typename T>
struct LeverMoments {
  T arm[3][kLevers];      // v_a
  T hung[kLevers];        // w_a
  T stretch[3][kLevers];  // u_a
};

// A row's columns are joint j's; adds them as its parent sees them. step = S_parent bone.
template <typename T>
BODYREG_HD void add_lifted(const T (&row)[kLevers], const Vec3<T>& step, const Vec3<T>& bone,
                           T (&out)[kLevers]) {
  const T& hung = row[kHung];
  out[0] += row[0] + step.x * hung;
  out[1] += row[1] + step.y * hung;
  out[2] += row[2] + step.z * hung;
  out[kHung] += hung;
  out[kStretch] += bone.x * hung;
  out[kStretch + 1] += bone.y * hung;
  out[kStretch + 2] += bone.z * hung;
}

// v of joint 0 becomes X.
template <typename T>
BODYREG_HD void move_to_origin(const Vec3<T>& root, T (&row)[kLevers]) {
  row[0] += root.x * row[kHung];
  row[1] += root.y * row[kHung];
  row[2] += root.z * row[kHung];
}

// Moves the columns, joint 0's, to the origin.
template <typename T>
BODYREG_HD void columns_to_origin(const Vec3<T>& root, LeverMoments<T>& m) {
  for (auto& row : m.arm) move_to_origin(root, row);
  move_to_origin(root, m.hung);
  for (auto& row : m.stretch) move_to_origin(root, row);
}

// Moves the rows, joint 0's, to the origin.
template <typename T>
BODYREG_HD void rows_to_origin(const Vec3<T>& root, LeverMoments<T>& m) {
  for (int c = 0; c < kLevers; ++c) {
    m.arm[0][c] += root.x * m.hung[c];
    m.arm[1][c] += root.y * m.hung[c];
    m.arm[2][c] += root.z * m.hung[c];
  }
}

// JᵀJ by (φ_a, S_a) and the turn of b. The rows x and y of φ × v are φ_y v_z − φ_z v_y and
// φ_z v_x − φ_x v_z.
template <typename T, int N>
BODYREG_HD void turn_columns(const LeverMoments<T>& m, T (&h)[4][N]) {
  h[0][0] = m.arm[2][2];
  h[0][1] = T(0);
  h[0][2] = -m.arm[2][0];
  h[1][0] = T(0);
  h[1][1] = m.arm[2][2];
  h[1][2] = -m.arm[2][1];
  h[2][0] = -m.arm[0][2];
  h[2][1] = -m.arm[1][2];
  h[2][2] = m.arm[0][0] + m.arm[1][1];
  h[3][0] = -m.stretch[1][2];
  h[3][1] = m.stretch[0][2];
  h[3][2] = m.stretch[1][0] - m.stretch[0][1];
}

// Adds what the rows z share, φ_x v_y − φ_y v_x and u_z dS, times κ.
template <typename T, int N>
BODYREG_HD void add_depth_columns(const LeverMoments<T>& m, const T& depth, T (&h)[4][N]) {
  h[0][0] += depth * m.arm[1][1];
  h[0][1] = h[0][1] - depth * m.arm[1][0];
  h[1][0] = h[1][0] - depth * m.arm[0][1];
  h[1][1] += depth * m.arm[0][0];
  h[3][0] += depth * m.stretch[2][1];
  h[3][1] = h[3][1] - depth * m.stretch[2][0];
}

// The same by an unknown of b that moves points by the lever z.
template <typename T, int N>
BODYREG_HD void add_depth_column(const LeverMoments<T>& m, const T& depth, int z, int at,
                                 T (&h)[4][N]) {
  h[0][at] += depth * m.arm[1][z];
  h[1][at] = h[1][at] - depth * m.arm[0][z];
  h[3][at] += depth * m.stretch[2][z];
}

// JᵀJ by (φ_a, S_a) and an unknown of b that moves points by the levers x and y.
template <typename T, int N>
BODYREG_HD void shift_column(const LeverMoments<T>& m, int x, int y, int at, T (&h)[4][N]) {
  h[0][at] = -m.arm[2][y];
  h[1][at] = m.arm[2][x];
  h[2][at] = m.arm[0][y] - m.arm[1][x];
  h[3][at] = m.stretch[0][x] + m.stretch[1][y];
}

template <typename T>
BODYREG_HD void joint_block(const LeverMoments<T>& m, const T& depth, T (&h)[4][4]) {
  turn_columns(m, h);
  shift_column(m, kStretch, kStretch + 1, 3, h);
  add_depth_columns(m, depth, h);
  add_depth_column(m, depth, kStretch + 2, 3, h);
}

// JᵀJ by (φ_a, S_a) and the root's seven; m's columns are about the origin.
template <typename T>
BODYREG_HD void root_block(const LeverMoments<T>& m, const T& depth, T (&h)[4][kRootUnknowns]) {
  turn_columns(m, h);
  shift_column(m, kStretch, kStretch + 1, 3, h);
  h[0][4] = T(0);  // t_x and t_y move by w_0
  h[1][4] = m.arm[2][kHung];
  h[2][4] = -m.arm[1][kHung];
  h[3][4] = m.stretch[0][kHung];
  h[0][5] = -m.arm[2][kHung];
  h[1][5] = T(0);
  h[2][5] = m.arm[0][kHung];
  h[3][5] = m.stretch[1][kHung];
  shift_column(m, 0, 1, 6, h);
  add_depth_columns(m, depth, h);
  add_depth_column(m, depth, kStretch + 2, 3, h);
  add_depth_column(m, depth, 2, 6, h);
}

// JᵀJ by the root's seven; m's rows and columns are about the origin.
template <typename T>
BODYREG_HD void root_square(const LeverMoments<T>& m, const T& depth,
                            T (&h)[kRootUnknowns][kRootUnknowns]) {
  T top[4][kRootUnknowns];
  root_block(m, depth, top);
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < kRootUnknowns; ++j) h[i][j] = h[j][i] = top[i][j];
  }
  h[4][4] = h[5][5] = m.hung[kHung];
  h[4][5] = h[5][4] = T(0);
  h[4][6] = h[6][4] = m.hung[0];
  h[5][6] = h[6][5] = m.hung[1];
  h[6][6] = m.arm[0][0] + m.arm[1][1] + depth * m.arm[2][2];
}

// A normal's z, d · n, changes by φ · (n × d) as its segment turns by φ: the second moments of n ×
// d in the picture's axes.
template <typename T>
struct NormalMoments {
  Vec3<T> x;  // xx, xy, xz
  Vec3<T> y;  // yy, yz, zz
};

// form: rows of [N | b], N the second moments at rest.
template <typename T>
BODYREG_HD NormalMoments<T> normal_moments(const Mat3<T>& turn, const Vec3<T>& ray,
                                           const T (&form)[12]) {
  const Mat3<T> n = {
      {form[0], form[1], form[2], form[4], form[5], form[6], form[8], form[9], form[10]}};
  const Vec3<T> x = {turn.m[0], turn.m[1], turn.m[2]};
  const Vec3<T> y = {turn.m[3], turn.m[4], turn.m[5]};
  const Vec3<T> z = {turn.m[6], turn.m[7], turn.m[8]};
  const Vec3<T> by_x = ray.z * y - ray.y * z, by_y = ray.x * z - ray.z * x,
                by_z = ray.y * x - ray.x * y;
  const Vec3<T> nx = n * by_x, ny = n * by_y, nz = n * by_z;
  return {{dot(by_x, nx), dot(by_y, nx), dot(by_z, nx)},
          {dot(by_y, ny), dot(by_y, nz), dot(by_z, nz)}};
}

template <typename T>
BODYREG_HD NormalMoments<T>& operator+=(NormalMoments<T>& a, const NormalMoments<T>& b) {
  a.x = a.x + b.x;
  a.y = a.y + b.y;
  return a;
}

template <typename T, int R, int N>
BODYREG_HD void add_normals(const NormalMoments<T>& m, T (&h)[R][N]) {
  const T square[3][3] = {{m.x.x, m.x.y, m.x.z}, {m.x.y, m.y.x, m.y.y}, {m.x.z, m.y.y, m.y.z}};
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) h[i][j] += square[i][j];
  }
}

// Joint a turns by φ = det Q · C_q J_left(θ_a) dθ_a when θ_a changes. The transposed matrix makes
// derivatives by θ of derivatives by φ.
template <typename T>
BODYREG_HD Mat3<T> by_angles(const Vec3<T>& theta, const AxisAngle<T>& r,
                             const Mat3<T>& parent_turn, const T& mirror) {
  const T* const c = parent_turn.m;
  return from_columns(left_jacobian_transposed(theta, r, mirror * Vec3<T>{c[0], c[1], c[2]}),
                      left_jacobian_transposed(theta, r, mirror * Vec3<T>{c[3], c[4], c[5]}),
                      left_jacobian_transposed(theta, r, mirror * Vec3<T>{c[6], c[7], c[8]}));
}

// Rows φ become rows θ.
template <typename T, int N>
BODYREG_HD void rows_by_angles(const Mat3<T>& to_angles, T (&h)[4][N]) {
  for (int j = 0; j < N; ++j) {
    const Vec3<T> column = to_angles * Vec3<T>{h[0][j], h[1][j], h[2][j]};
    h[0][j] = column.x, h[1][j] = column.y, h[2][j] = column.z;
  }
}

// Columns φ become columns θ.
template <typename T>
BODYREG_HD void columns_by_angles(const Mat3<T>& to_angles, T (&h)[4][4]) {
  for (int i = 0; i < 4; ++i) {
    const Vec3<T> row = to_angles * Vec3<T>{h[i][0], h[i][1], h[i][2]};
    h[i][0] = row.x, h[i][1] = row.y, h[i][2] = row.z;
  }
}

// How x, y or z (axis 0, 1, 2) of an arm changes as it turns by φ: a row of φ × v.
template <typename T>
BODYREG_HD Vec3<T> turn_row(const Vec3<T>& arm, int axis) {
  const T none = T(0);
  if (axis == 0) return {none, arm.z, -arm.y};
  if (axis == 1) return {-arm.z, none, arm.x};
  return {arm.y, -arm.x, none};
}

// ---- Small dense systems

// Cholesky of the lower half of h (N × N) in place, L Lᵀ; inverse: 1 / L_ii. A pivot below its
// floor is lifted to it: with damping λ D no pivot of a positive matrix is below λ D_i, but
// rounding, and the blocks that were left out, can take one there.
template <int N, typename T>
BODYREG_HD void cholesky(T* h, const T* floor, T* inverse) {
  for (int j = 0; j < N; ++j) {
    T pivot = h[N * j + j];
    for (int k = 0; k < j; ++k) pivot = pivot - h[N * j + k] * h[N * j + k];
    inverse[j] = T(1) / sqrt(maximum(pivot, floor[j]));
    for (int i = j + 1; i < N; ++i) {
      T sum = h[N * i + j];
      for (int k = 0; k < j; ++k) sum = sum - h[N * i + k] * h[N * j + k];
      h[N * i + j] = sum * inverse[j];
    }
  }
}

// x ← L⁻¹ x
template <int N, typename T>
BODYREG_HD void solve_lower(const T* l, const T* inverse, T* x) {
  for (int i = 0; i < N; ++i) {
    T sum = x[i];
    for (int k = 0; k < i; ++k) sum = sum - l[N * i + k] * x[k];
    x[i] = sum * inverse[i];
  }
}

// x ← L⁻ᵀ x
template <int N, typename T>
BODYREG_HD void solve_upper(const T* l, const T* inverse, T* x) {
  for (int i = N - 1; i >= 0; --i) {
    T sum = x[i];
    for (int k = i + 1; k < N; ++k) sum = sum - l[N * k + i] * x[k];
    x[i] = sum * inverse[i];
  }
}

// For the leading `count` unknowns of a positive matrix K. Its lower half becomes L of K = L Lᵀ,
// with 1 / L_jj on the diagonal.
template <int N, typename T>
BODYREG_HD void factor_dense(int count, T (&k)[N][N]) {
  for (int j = 0; j < count; ++j) {
    for (int i = 0; i < j; ++i) k[j][j] = k[j][j] - k[j][i] * k[j][i];
    k[j][j] = T(1) / sqrt(k[j][j]);
    for (int i = j + 1; i < count; ++i) {
      for (int m = 0; m < j; ++m) k[i][j] = k[i][j] - k[i][m] * k[j][m];
      k[i][j] = k[i][j] * k[j][j];
    }
  }
}

// x ← L⁻¹ x
template <int N, typename T>
BODYREG_HD void lower_dense(int count, const T (&k)[N][N], T (&x)[N]) {
  for (int j = 0; j < count; ++j) {
    for (int i = 0; i < j; ++i) x[j] = x[j] - k[j][i] * x[i];
    x[j] = x[j] * k[j][j];
  }
}

// x ← L⁻ᵀ x
template <int N, typename T>
BODYREG_HD void upper_dense(int count, const T (&k)[N][N], T (&x)[N]) {
  for (int j = count - 1; j >= 0; --j) {
    for (int i = j + 1; i < count; ++i) x[j] = x[j] - k[i][j] * x[i];
    x[j] = x[j] * k[j][j];
  }
}

}  // namespace bodyreg
