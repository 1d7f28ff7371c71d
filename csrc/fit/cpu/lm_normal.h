// The normal matrix of a group of people, JᵀJ of all squares of the refreshed objective. Sums over
// the tree, joint by joint from the leaves, make the moments of the levers from those of the
// points. The algebra is in lm_math.h.
#pragma once

#include "../lm_math.h"
#include "../lm_tree.h"
#include "terms.h"

namespace bodyreg::BODYREG_ISA {

// A vector by unknowns.
template <typename T>
struct TangentLanes {
  Lanes<T> joint[kFitJoints][kJointUnknowns];  // by θ_a, S_a; not of the root
  Lanes<T> root[kRootUnknowns];
};

// JᵀJ for each joint and those above it, and the negative right side.
template <typename T>
struct NormalMatrix {
  using V = Lanes<T>;
  using JointBlock = V[kJointUnknowns][kJointUnknowns];
  using RootBlock = V[kJointUnknowns][kRootUnknowns];

  explicit NormalMatrix(const Tree& tree) : tree(tree), joints_(tree.blocks) {}

  // Rows joint a, columns the joint i steps above it, which is not the root.
  JointBlock& joint(int a, int i) { return joints_[tree.first[a] + i]; }

  const Tree& tree;
  RootBlock root[kFitJoints];  // rows joint a ≥ 1, columns the root
  V top[kRootUnknowns][kRootUnknowns];

 private:
  Buffer<JointBlock> joints_;
};

template <typename T>
class NormalAssembly {
 public:
  using V = Lanes<T>;

  NormalAssembly(const FitProblem<T>& p, const Tree& tree, const GroupKeypoints<T>& keypoints)
      : p_(p),
        tree_(tree),
        keypoints_(keypoints),
        shares_(kJointPairs),
        kept_(tree.blocks),
        depths_(p.keypoints) {
    for (int j = 0; j < p.keypoints; ++j) depths_[j].joints = joints_of_depth(j);
  }

  // At x, by which `body` is posed.
  void assemble(const Setting<T>& setting, const ParameterLanes<T>& x, const PosedGroup<T>& body,
                const GroupMoments<T>& moments, const Shear<V> (&shear)[kFitJoints],
                const GroupNormals<T>& normals, NormalMatrix<T>& h) {
    pose_bones(x, body);
    find_shares(moments);
    depth_share_ = T(0);
    if (moments.in_perspective()) {
      for (const Shear<V>& u : shear) depth_share_ = maximum(depth_share_, square(u));
    }
    turn_normals(body, normals);
    find_depths(setting, x, body);
    for (int a = kFitJoints - 1; a >= 0; --a) {
      sum_own(a, x, body);
      for (int i = 0; i < tree_.depth[a]; ++i) write_joint_block(a, i, x, h.joint(a, i));
      if (a > 0) {
        write_root_block(a, x, body, h.root[a]);
      } else {
        write_top(x, body, h.top);
      }
    }
    add_parameter_curvature(p_, setting, x, body, h);
  }

  // The slopes of x, y and z of joint j ≥ 1 less the pelvis by all unknowns that move it: those of
  // the joints above. For the body of the last `assemble`.
  void joint_slopes(int j, const PosedGroup<T>& body, TangentLanes<T> (&slope)[3]) const {
    for (int below = j; below > 0; below = p_.parent[below]) {
      const int a = p_.parent[below];
      const Vec3<V> arm = body.joint[j].position - body.joint[a].position;
      const V stretch[3] = {bone_[below].x, bone_[below].y, bone_[below].z};
      const V grown[3] = {arm.x, arm.y, arm.z};
      for (int axis = 0; axis < 3; ++axis) {
        const Vec3<V> turn = turn_row(arm, axis);
        if (a > 0) {
          const Vec3<V> angles = to_angles_[a] * turn;
          V(&out)[kJointUnknowns] = slope[axis].joint[a];
          out[0] = angles.x, out[1] = angles.y, out[2] = angles.z, out[3] = stretch[axis];
        } else {
          const V root[kRootUnknowns] = {turn.x,  turn.y,  turn.z,     stretch[axis],
                                         V(T(0)), V(T(0)), grown[axis]};
          for (int i = 0; i < kRootUnknowns; ++i) slope[axis].root[i] = root[i];
        }
      }
    }
  }

 private:
  struct KeptRows {  // of LeverMoments, for the parent
    Vec3<V> arm[kLevers];
    V hung[kLevers];
  };

  void pose_bones(const ParameterLanes<T>& x, const PosedGroup<T>& body) {
    for (int k = 1; k < kFitJoints; ++k) {
      const int q = p_.parent[k];
      bone_[k] = body.scale * (body.joint[q].turn * PosedGroup<T>::bone(p_, k));
      step_[k] = x[kScalesAt + q] * bone_[k];
      to_angles_[k] =
          by_angles(vec3(x + kPoseAt + 3 * k), body.angle[k], body.joint[q].turn, body.mirror);
    }
    for (int k = 0; k < kFitJoints; ++k) spread_[k] = body.scale * body.joint[k].turn;
  }

  // Moments of s C_k h_k and w_k: [s C_k, 1] Q_kl [s C_l, 1]ᵀ.
  void find_shares(const GroupMoments<T>& moments) {
    for (uint32_t& partners : partners_) partners = 0;
    int16_t place = 0;
    moments.for_each_block([&](int k, int l, const V(&q)[4][4]) {
      partners_[k] |= 1u << l;
      partners_[l] |= 1u << k;
      place_[k][l] = place_[l][k] = place;
      V half[4][4];
      for (int j = 0; j < 4; ++j) {
        const Vec3<V> column = spread_[k] * Vec3<V>{q[0][j], q[1][j], q[2][j]};
        half[0][j] = column.x, half[1][j] = column.y, half[2][j] = column.z;
        half[3][j] = q[3][j];
      }
      V(&out)[4][4] = shares_[place++];
      for (int i = 0; i < 4; ++i) {
        const Vec3<V> row = spread_[l] * vec3(half[i]);
        out[i][0] = row.x, out[i][1] = row.y, out[i][2] = row.z;
        out[i][3] = half[i][3];
      }
    });
  }

  // Second moments of the normals of every subtree.
  void turn_normals(const PosedGroup<T>& body, const GroupNormals<T>& normals) {
    has_normals_ = normals.joints != 0;
    if (!has_normals_) return;
    const Vec3<V> zero = {V(T(0)), V(T(0)), V(T(0))};
    for (NormalMoments<V>& n : normals_) n = {zero, zero};
    for (int k = kFitJoints - 1; k >= 0; --k) {
      if (normals.joints >> k & 1) {
        normals_[k] += normal_moments(body.joint[k].turn, normals.ray[k], normals.form[k]);
      }
      if (k > 0) normals_[p_.parent[k]] += normals_[k];
    }
  }

  // Row a without its children: the share of joint a itself against whole subtrees. The share of
  // joint l enters the columns of the first joint above both; from there it is lifted to all joints
  // above.
  void sum_own(int a, const ParameterLanes<T>& x, const PosedGroup<T>& body) {
    const int depth = tree_.depth[a];
    for (int i = 0; i <= depth; ++i) {
      for (auto& row : own_[i]) {
        for (V& number : row) number = T(0);
      }
    }
    for (uint32_t left = partners_[a]; left != 0; left &= left - 1) {
      const int l = __builtin_ctz(left);
      add_share(a, l, x, body);
    }
    for (int i = 1; i <= depth; ++i) {
      const int child = tree_.above[a][i - 1];
      for (int r = 0; r < 4; ++r)
        add_lifted(own_[i - 1][r], step_[child], bone_[child], own_[i][r]);
    }
  }

  void add_share(int a, int l, const ParameterLanes<T>& x, const PosedGroup<T>& body) {
    const V* const share = &shares_[place_[a][l]][0][0];
    const int to_row = a <= l ? 4 : 1, to_column = a <= l ? 1 : 4;
    const int up = steps_to_meet(tree_, a, l);
    const int c = tree_.above[a][up];
    const V scale = x[kScalesAt + l];
    const bool above = l == c;
    const Vec3<V> reach = body.joint[l].position - body.joint[c].position;
    const Vec3<V> bone = above ? Vec3<V>{} : bone_[branch(tree_, c, l)];
    for (int r = 0; r < 4; ++r) {
      const V* const g = share + r * to_row;
      const V x = g[0], y = g[to_column], z = g[2 * to_column], hung = g[3 * to_column];
      V(&out)[kLevers] = own_[up][r];
      if (above) {
        const V levers[kLevers] = {scale * x, scale * y, scale * z, hung, x, y, z};
        for (int j = 0; j < kLevers; ++j) out[j] += levers[j];
      } else {  // u of joint c has only the bone toward l
        const V none = T(0);
        const V levers[kLevers] = {scale * x, scale * y, scale * z, hung, none, none, none};
        add_lifted(levers, reach, bone, out);
      }
    }
  }

  // The lever moments of joint a and the joint i steps above it: a's own and its children's. Keeps
  // what the parent needs of them.
  LeverMoments<V> sum_subtree(int a, int i, const ParameterLanes<T>& x) {
    LeverMoments<V> m;
    KeptRows& kept = kept_[tree_.first[a] + i];
    const V scale = x[kScalesAt + a];
    for (int c = 0; c < kLevers; ++c) {
      Vec3<V> stretch = {own_[i][0][c], own_[i][1][c], own_[i][2][c]};
      Vec3<V> arm = {V(T(0)), V(T(0)), V(T(0))};
      V hung = own_[i][3][c];
      for (uint32_t left = tree_.children[a]; left != 0; left &= left - 1) {
        const int j = __builtin_ctz(left);
        const KeptRows& child = kept_[tree_.first[j] + i + 1];
        stretch = stretch + child.hung[c] * bone_[j];
        arm = arm + child.arm[c];
        hung += child.hung[c];
      }
      arm = arm + scale * stretch;
      m.stretch[0][c] = stretch.x, m.stretch[1][c] = stretch.y, m.stretch[2][c] = stretch.z;
      m.arm[0][c] = arm.x, m.arm[1][c] = arm.y, m.arm[2][c] = arm.z;
      kept.arm[c] = arm;
      m.hung[c] = kept.hung[c] = hung;
    }
    return m;
  }

  void write_joint_block(int a, int i, const ParameterLanes<T>& x, V (&out)[4][4]) {
    const int b = tree_.above[a][i];
    V h[4][4];
    joint_block(sum_subtree(a, i, x), depth_share_, h);
    if (has_normals_) add_normals(normals_[a], h);
    rows_by_angles(to_angles_[a], h);
    columns_by_angles(to_angles_[b], h);
    add_depths(a, [&](const DepthGradient& g) -> const V(&)[4] { return g.by_joint[b]; }, h);
    copy(h, out);
  }

  void write_root_block(int a, const ParameterLanes<T>& x, const PosedGroup<T>& body,
                        V (&out)[4][kRootUnknowns]) {
    LeverMoments<V> m = sum_subtree(a, tree_.depth[a], x);
    columns_to_origin(body.joint[0].position, m);
    V h[4][kRootUnknowns];
    root_block(m, depth_share_, h);
    if (has_normals_) add_normals(normals_[a], h);
    rows_by_angles(to_angles_[a], h);
    add_depths(a, [](const DepthGradient& g) -> const V(&)[kRootUnknowns] { return g.by_root; }, h);
    copy(h, out);
  }

  void write_top(const ParameterLanes<T>& x, const PosedGroup<T>& body,
                 V (&out)[kRootUnknowns][kRootUnknowns]) {
    LeverMoments<V> m = sum_subtree(0, 0, x);
    rows_to_origin(body.joint[0].position, m);
    columns_to_origin(body.joint[0].position, m);
    root_square(m, depth_share_, out);
    if (has_normals_) add_normals(normals_[0], out);
    for (int j = 0; j < depth_count_; ++j) {
      const DepthGradient& g = depths_[j];
      V scaled[kRootUnknowns];
      for (int i = 0; i < kRootUnknowns; ++i) scaled[i] = g.curvature * g.by_root[i];
      add_outer(scaled, g.by_root, out);
    }
  }

  template <int R, int N>
  static void copy(const V (&from)[R][N], V (&to)[R][N]) {
    for (int i = 0; i < R; ++i) {
      for (int j = 0; j < N; ++j) to[i][j] = from[i][j];
    }
  }

  // Every depth z_j − z_pelvis is a square of its own, 2 w g gᵀ with g its gradient. Its point
  // hangs on few joints, so g has few numbers.
  struct DepthGradient {
    uint32_t joints;  // those with a gradient, as bits
    V curvature;
    V by_joint[kFitJoints][kJointUnknowns];  // the root's is in by_root
    V by_root[kRootUnknowns];
  };

  // Row a; columns(g): the part of g for the block's columns.
  template <typename F, int N>
  void add_depths(int a, const F& columns, V (&h)[4][N]) const {
    for (int j = 0; j < depth_count_; ++j) {
      const DepthGradient& g = depths_[j];
      if (!(g.joints >> a & 1)) continue;
      V scaled[4];
      for (int i = 0; i < 4; ++i) scaled[i] = g.curvature * g.by_joint[a][i];
      add_outer(scaled, columns(g), h);
    }
  }

  template <int R, int N>
  static void add_outer(const V (&left)[R], const V (&right)[N], V (&h)[R][N]) {
    for (int i = 0; i < R; ++i) {
      for (int j = 0; j < N; ++j) h[i][j] += left[i] * right[j];
    }
  }

  uint32_t joints_of_depth(int j) const {
    const InfluenceList<T>& influences = keypoints_.influences();
    uint32_t joints = 1;
    for (const int i : {0, j + 1}) {
      for (int32_t e = influences.first[i]; e < influences.first[i + 1]; ++e) {
        joints |= tree_.way_up[influences.joint[e]];
      }
    }
    return joints;
  }

  void find_depths(const Setting<T>& setting, const ParameterLanes<T>& x,
                   const PosedGroup<T>& body) {
    depth_count_ = has_depths(p_, setting) ? p_.keypoints : 0;
    for (int j = 0; j < depth_count_; ++j) {
      depths_[j].curvature = depth_curvature(keypoints_.depth_weight(j), setting.value);
      find_depth(j, x, body, depths_[j]);
    }
  }

  void find_depth(int j, const ParameterLanes<T>& x, const PosedGroup<T>& body, DepthGradient& g) {
    const InfluenceList<T>& influences = keypoints_.influences();
    Vec3<V> stretch[kFitJoints], arm[kFitJoints];  // levers of the keypoint less the pelvis's
    V hung[kFitJoints];
    for (uint32_t left = g.joints; left != 0; left &= left - 1) {
      const int k = __builtin_ctz(left);
      stretch[k] = arm[k] = {V(T(0)), V(T(0)), V(T(0))};
      hung[k] = T(0);
    }
    for (const int i : {0, j + 1}) {
      const T sign = i == 0 ? T(-1) : T(1);
      for (int32_t e = influences.first[i]; e < influences.first[i + 1]; ++e) {
        const int k = influences.joint[e];
        const Quad<T> h = sign * influences.anchor[e];
        stretch[k] = stretch[k] + spread_[k] * Vec3<V>{V(h[0]), V(h[1]), V(h[2])};
        hung[k] += V(h[3]);
      }
    }
    for (int k = kFitJoints - 1; k > 0; --k) {
      if (!(g.joints >> k & 1)) continue;
      const int q = p_.parent[k];
      arm[k] = arm[k] + x[kScalesAt + k] * stretch[k];
      arm[q] = arm[q] + arm[k];
      stretch[q] = stretch[q] + hung[k] * bone_[k];
      hung[q] += hung[k];
      const Vec3<V> by_pose = to_angles_[k] * Vec3<V>{arm[k].y, -arm[k].x, V(T(0))};
      V(&out)[4] = g.by_joint[k];
      out[0] = by_pose.x, out[1] = by_pose.y, out[2] = by_pose.z, out[3] = stretch[k].z;
    }
    const Vec3<V> point = arm[0] + x[kScalesAt] * stretch[0] + hung[0] * body.joint[0].position;
    const V root[kRootUnknowns] = {point.y, -point.x, V(T(0)), stretch[0].z,
                                   V(T(0)), V(T(0)),  point.z};
    for (int i = 0; i < kRootUnknowns; ++i) g.by_root[i] = root[i];
  }

  const FitProblem<T>& p_;
  const Tree& tree_;
  const GroupKeypoints<T>& keypoints_;
  Vec3<V> bone_[kFitJoints], step_[kFitJoints];  // to joint k from its parent
  Mat3<V> spread_[kFitJoints];                   // s C_k
  Mat3<V> to_angles_[kFitJoints];
  uint32_t partners_[kFitJoints];  // bit l: some point hangs on this joint and on l
  int16_t place_[kFitJoints][kFitJoints];
  Buffer<V[4][4]> shares_;
  V depth_share_;  // κ of ray_math.h
  bool has_normals_ = false;
  NormalMoments<V> normals_[kFitJoints];  // of subtrees
  V own_[kFitJoints][4][kLevers];         // rows u_x, u_y, u_z, w of joint a, by steps up
  Buffer<KeptRows> kept_;
  int depth_count_ = 0;
  Buffer<DepthGradient> depths_;
};

}  // namespace bodyreg::BODYREG_ISA
