// The normal matrix of a group of people, JᵀJ of all squares that the objective is made of, by sums
// over the tree: from the moments of the points to those of their levers, joint by joint from the
// leaves. The algebra is in fit_lm_math.h.
#pragma once

#include "fit_lm_math.h"
#include "gradient.h"

namespace bodyreg::BODYREG_ISA {

// Who is above whom.
struct Tree {
  explicit Tree(const int8_t (&parent)[kFitJoints]) {
    for (int a = 0; a < kFitJoints; ++a) {
      depth[a] = 0;
      way_up[a] = 0;
      for (int b = a; b >= 0; b = parent[b]) {
        above[a][depth[a]++] = static_cast<int8_t>(b);
        way_up[a] |= 1u << b;
      }
      --depth[a];
      first[a] = blocks;
      blocks += depth[a] + 1;
    }
  }

  // Steps from a up to the first joint that is above l too, or l itself.
  int steps_to_meet(int a, int l) const {
    int i = 0;
    while (!(way_up[l] >> above[a][i] & 1)) ++i;
    return i;
  }
  // The child of c on the way down to l.
  int branch(int c, int l) const { return above[l][depth[l] - depth[c] - 1]; }

  int depth[kFitJoints];                 // steps from a up to the root
  int8_t above[kFitJoints][kFitJoints];  // the joint i steps above a; a itself at i = 0
  uint32_t way_up[kFitJoints];           // the same joints as bits
  int first[kFitJoints];                 // a's blocks are first[a] … first[a] + depth[a]
  int blocks = 0;
};

// JᵀJ for pairs of a joint and one above it, and the negative right side.
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

  NormalAssembly(const FitProblem<T>& p, const Tree& tree)
      : p_(p), tree_(tree), shares_(kJointPairs), kept_(tree.blocks) {}

  // At x, by which `body` is posed.
  void assemble(const Setting<T>& setting, const ParameterLanes<T>& x, const PosedGroup<T>& body,
                const GroupMoments<T>& moments, const GroupKeypoints<T>& keypoints,
                const GroupNormals<T>& normals, NormalMatrix<T>& h) {
    pose_bones(x, body);
    find_shares(moments);
    turn_normals(body, normals);
    for (int a = kFitJoints - 1; a >= 0; --a) {
      sum_own(a, x, body);
      sum_children(a);
      write_blocks(a, x, body, h);
    }
    if (setting[kDepth] != T(0)) add_depths(setting[kDepth], x, body, keypoints, h);
    add_parameter_terms(setting, x, body, h);
  }

 private:
  struct KeptRows {  // of LeverMoments, for the parent
    V arm[3][kLevers], hung[kLevers];
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
    for (NormalMoments<V>& n : normals_) n = {V(T(0)), V(T(0)), V(T(0))};
    for (int k = kFitJoints - 1; k >= 0; --k) {
      if (normals.joints >> k & 1) {
        normals_[k] += normal_moments(body.joint[k].turn, normals.form[k]);
      }
      if (k > 0) normals_[p_.parent[k]] += normals_[k];
    }
  }

  // Row a, before its children: own shares against whole subtrees. A share of joint l enters the
  // columns of the joint where the ways up meet; from there it is lifted to all joints above.
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
    const V(&share)[4][4] = shares_[place_[a][l]];
    const int up = tree_.steps_to_meet(a, l);
    const int c = tree_.above[a][up];
    const V& scale = x[kScalesAt + l];
    for (int r = 0; r < 4; ++r) {
      V g[4];
      for (int j = 0; j < 4; ++j) g[j] = a <= l ? share[r][j] : share[j][r];
      const V levers[kLevers] = {scale * g[0], scale * g[1], scale * g[2], g[3], g[0], g[1]};
      V(&out)[kLevers] = own_[up][r];
      if (l == c) {
        for (int j = 0; j < kLevers; ++j) out[j] += levers[j];
      } else {  // u of joint c has only the bone toward l
        const V arm[kLevers] = {levers[0], levers[1], levers[2], levers[3], V(T(0)), V(T(0))};
        add_lifted(arm, body.joint[l].position - body.joint[c].position, bone_[tree_.branch(c, l)],
                   out);
      }
    }
  }

  // Adds the rows of a's children as a sees them: own_ becomes (u, w), arms_ their v.
  void sum_children(int a) {
    const int depth = tree_.depth[a];
    for (int i = 0; i <= depth; ++i) {
      for (auto& row : arms_[i]) {
        for (V& number : row) number = T(0);
      }
    }
    for (int j = a + 1; j < kFitJoints; ++j) {
      if (p_.parent[j] != a) continue;
      const Vec3<V> bone = bone_[j];
      for (int i = 0; i <= depth; ++i) {
        const KeptRows& child = kept_[tree_.first[j] + i + 1];
        for (int c = 0; c < kLevers; ++c) {
          const V& hung = child.hung[c];
          own_[i][0][c] += bone.x * hung;
          own_[i][1][c] += bone.y * hung;
          own_[i][2][c] += bone.z * hung;
          own_[i][3][c] += hung;
          for (int r = 0; r < 3; ++r) arms_[i][r][c] += child.arm[r][c];
        }
      }
    }
  }

  void write_blocks(int a, const ParameterLanes<T>& x, const PosedGroup<T>& body,
                    NormalMatrix<T>& h) {
    const int depth = tree_.depth[a];
    const V& scale = x[kScalesAt + a];
    for (int i = 0; i <= depth; ++i) {
      LeverMoments<V> m;
      KeptRows& kept = kept_[tree_.first[a] + i];
      for (int c = 0; c < kLevers; ++c) {
        for (int r = 0; r < 3; ++r) {
          m.arm[r][c] = kept.arm[r][c] = arms_[i][r][c] + scale * own_[i][r][c];
        }
        m.hung[c] = kept.hung[c] = own_[i][3][c];
        for (int r = 0; r < 2; ++r) m.stretch[r][c] = own_[i][r][c];
      }
      if (i < depth) {
        auto& block = h.joint(a, i);
        joint_block(m, block);
        if (has_normals_) add_normals(normals_[a], block);
        rows_by_angles(to_angles_[a], block);
        columns_by_angles(to_angles_[tree_.above[a][i]], block);
      } else if (a > 0) {
        about_origin(body, m);
        root_block(m, h.root[a]);
        if (has_normals_) add_normals(normals_[a], h.root[a]);
        rows_by_angles(to_angles_[a], h.root[a]);
      } else {
        for (int c = 0; c < kLevers; ++c) {
          const Vec3<V> moved = m.hung[c] * body.joint[0].position;
          m.arm[0][c] += moved.x, m.arm[1][c] += moved.y, m.arm[2][c] += moved.z;
        }
        about_origin(body, m);
        root_square(m, h.top);
        if (has_normals_) add_normals(normals_[0], h.top);
      }
    }
  }

  static void about_origin(const PosedGroup<T>& body, LeverMoments<V>& m) {
    const Vec3<V>& root = body.joint[0].position;
    for (auto& row : m.arm) move_to_origin(root, row);
    move_to_origin(root, m.hung);
    for (auto& row : m.stretch) move_to_origin(root, row);
  }

  // Every depth z_j − z_pelvis is a square of its own: adds 2 w g gᵀ, g its gradient. Its point
  // hangs on few joints, so g has few numbers.
  void add_depths(T weight, const ParameterLanes<T>& x, const PosedGroup<T>& body,
                  const GroupKeypoints<T>& keypoints, NormalMatrix<T>& h) {
    for (int j = 0; j < p_.keypoints; ++j) {
      const uint32_t joints = find_depth_gradient(j, x, body, keypoints);
      const V twice = V(T(2) * weight) * keypoints.depth_weight(j);
      for (uint32_t left = joints & ~1u; left != 0; left &= left - 1) {
        const int a = __builtin_ctz(left);
        V scaled[4];
        for (int i = 0; i < 4; ++i) scaled[i] = twice * by_joint_[a][i];
        for (int i = 0; i < tree_.depth[a]; ++i) {
          add_outer(scaled, by_joint_[tree_.above[a][i]], h.joint(a, i));
        }
        add_outer(scaled, by_root_, h.root[a]);
      }
      V scaled[kRootUnknowns];
      for (int i = 0; i < kRootUnknowns; ++i) scaled[i] = twice * by_root_[i];
      add_outer(scaled, by_root_, h.top);
    }
  }

  template <int R, int N>
  static void add_outer(const V (&left)[R], const V (&right)[N], V (&h)[R][N]) {
    for (int i = 0; i < R; ++i) {
      for (int j = 0; j < N; ++j) h[i][j] += left[i] * right[j];
    }
  }

  // The gradient of z_j − z_pelvis, by_joint_ and by_root_; returns the joints that have one.
  uint32_t find_depth_gradient(int j, const ParameterLanes<T>& x, const PosedGroup<T>& body,
                               const GroupKeypoints<T>& keypoints) {
    const PairList<T>& pairs = keypoints.pairs();
    uint32_t joints = 1;
    for (const int i : {0, j + 1}) {
      for (int32_t e = pairs.first[i]; e < pairs.first[i + 1]; ++e) {
        joints |= tree_.way_up[pairs.joint[e]];
      }
    }
    Vec3<V> stretch[kFitJoints], arm[kFitJoints];
    V hung[kFitJoints];
    for (uint32_t left = joints; left != 0; left &= left - 1) {
      const int k = __builtin_ctz(left);
      stretch[k] = arm[k] = {V(T(0)), V(T(0)), V(T(0))};
      hung[k] = T(0);
    }
    for (const int i : {0, j + 1}) {
      const V sign = i == 0 ? T(-1) : T(1);
      for (int32_t e = pairs.first[i]; e < pairs.first[i + 1]; ++e) {
        const int k = pairs.joint[e];
        const Quad<T>& h = pairs.anchor[e];
        stretch[k] = stretch[k] + spread_[k] * (sign * Vec3<V>{V(h[0]), V(h[1]), V(h[2])});
        hung[k] += sign * V(h[3]);
      }
    }
    for (int k = kFitJoints - 1; k > 0; --k) {
      if (!(joints >> k & 1)) continue;
      const int q = p_.parent[k];
      arm[k] = arm[k] + x[kScalesAt + k] * stretch[k];
      arm[q] = arm[q] + arm[k];
      stretch[q] = stretch[q] + hung[k] * bone_[k];
      hung[q] += hung[k];
      const Vec3<V> by_pose = to_angles_[k] * Vec3<V>{arm[k].y, -arm[k].x, V(T(0))};
      V(&out)[4] = by_joint_[k];
      out[0] = by_pose.x, out[1] = by_pose.y, out[2] = by_pose.z, out[3] = stretch[k].z;
    }
    const Vec3<V> point = arm[0] + x[kScalesAt] * stretch[0] + hung[0] * body.joint[0].position;
    const V root[kRootUnknowns] = {point.y, -point.x, V(T(0)), stretch[0].z,
                                   V(T(0)), V(T(0)),  point.z};
    for (int i = 0; i < kRootUnknowns; ++i) by_root_[i] = root[i];
    return joints;
  }

  // Everything but evidence. Scale symmetry couples branches: fit_lm_solve.h has it.
  void add_parameter_terms(const Setting<T>& setting, const ParameterLanes<T>& x,
                           const PosedGroup<T>& body, NormalMatrix<T>& h) {
    const T* const weights = setting.value;
    const V smooth = T(2) * weights[kScaleSmoothness];
    h.top[3][3] += scale_curvature(x[kScalesAt], weights, p_.scale_low, p_.scale_high);
    for (int a = 1; a < kFitJoints; ++a) {
      auto& own = h.joint(a, 0);
      for (int axis = 0; axis < 3; ++axis) {
        const int at = 3 * a + axis;
        own[axis][axis] += angle_curvature(x[kPoseAt + at], at, weights, p_.pose_terms);
      }
      own[3][3] += scale_curvature(x[kScalesAt + a], weights, p_.scale_low, p_.scale_high) + smooth;
      const int q = p_.parent[a];
      V& above = q > 0 ? h.joint(q, 0)[3][3] : h.top[3][3];
      V& between = q > 0 ? h.joint(a, 1)[3][3] : h.root[a][3][3];
      above += smooth;
      between = between - smooth;
    }
    if (setting[kUpright] != T(0)) {  // Q_21 moves by ω_x Q_11 − ω_y Q_01
      const Mat3<V>& q = body.rotation();
      const V lean[2] = {q.m[4], -q.m[1]};
      for (int i = 0; i < 2; ++i) {
        for (int j = 0; j < 2; ++j) {
          h.top[i][j] += V(T(2) * setting[kUpright]) * lean[i] * lean[j];
        }
      }
    }
  }

  const FitProblem<T>& p_;
  const Tree& tree_;
  Vec3<V> bone_[kFitJoints], step_[kFitJoints];  // to joint k from its parent
  Mat3<V> spread_[kFitJoints];                   // s C_k
  Mat3<V> to_angles_[kFitJoints];
  uint32_t partners_[kFitJoints];  // bit l: points hang on both
  int16_t place_[kFitJoints][kFitJoints];
  Buffer<V[4][4]> shares_;
  bool has_normals_ = false;
  NormalMoments<V> normals_[kFitJoints];  // of subtrees
  V own_[kFitJoints][4][kLevers];         // rows u_x, u_y, u_z, w of joint a, by steps up
  V arms_[kFitJoints][3][kLevers];        // rows v of its children
  Buffer<KeptRows> kept_;
  V by_joint_[kFitJoints][4], by_root_[kRootUnknowns];
};

}  // namespace bodyreg::BODYREG_ISA
