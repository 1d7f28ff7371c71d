// The normal matrix of one person in a warp, in shared memory (lm_math.h has the algebra). A lane
// per joint and row sums the levers, level by level from the leaves; then a lane per block turns
// the levers into the block, in place. For .cu files.
#pragma once

#include <cstring>

#include "../lm_math.h"
#include "../lm_tree.h"
#include "terms.h"

namespace bodyreg {

// The kernel's argument, which is copied into shared memory.
struct TreeWords {
  uint32_t words[sizeof(Tree) / 4];
};
static_assert(sizeof(Tree) % 4 == 0);

inline TreeWords words_of(const Tree& tree) {
  TreeWords out;
  std::memcpy(out.words, &tree, sizeof(tree));
  return out;
}

// Unknowns: 4 a … 4 a + 3 are those of joint a ≥ 1, the root's seven begin at kRootAt.
constexpr int kRootAt = kJointUnknowns * kFitJoints;
constexpr int kUnknowns = kRootAt + kRootUnknowns;

// A place of 49 numbers for every block. First it holds lever moments: the seven rows of joint a by
// the seven columns of the joint above. Then it holds the block, 4 × 4 or 4 × 7.
constexpr int kHungRow = 3 * kLevers;
constexpr int kStretchRow = 4 * kLevers;
constexpr int kBlockNumbers = 7 * kLevers;

// The rows of a lane's segment and the gradient by them: ΔM · (Y + Y') is twice the change of a
// quadratic form.
template <typename T>
struct Pulled {
  T rows[12];  // of M: image x and y, depth
  T pull[12];  // Y
  Vec3<T> view, slope;
};

// A lane's part of the body when a step begins.
template <typename T>
struct Start {
  T value[kLaneParameters];
  Posed<T> body;
  Pulled<T> pulled;
  Posture<T> posture;
  T damping;
};

// What a warp keeps for the steps of Levenberg–Marquardt, besides the blocks.
template <typename T>
struct alignas(16) StepMemory {
  Tree tree;
  // By joint: C_k, P_k, S_k, and the same of the bone from the parent.
  T turn[kFitJoints][9];
  T position[kFitJoints][3];
  T scale[kFitJoints];
  T bone[kFitJoints][3];
  T step[kFitJoints][3];  // S_parent bone
  T to_angles[kFitJoints][9];
  T normals[kFitJoints][6];  // NormalMoments of the subtree
  // By unknown.
  T floor[kUnknowns];    // of the pivots
  T inverse[kUnknowns];  // 1 / L_ii
  T vector[kUnknowns];   // the gradient, then the step
  T depth[kUnknowns];    // the gradient of one depth
  T sides[kMostSides][kUnknowns];
  T coupling[kMostSides][kMostSides];
  T share[kMostSides];
  T top[kRootUnknowns][kRootUnknowns];
  Start<T> start[32];  // by lane
};

// What all lanes hold of it.
template <typename T>
struct Normal {
  StepMemory<T>* memory;
  T* blocks;

  __device__ const Tree& tree() const { return memory->tree; }
  // Rows joint a, columns the joint i steps above it.
  __device__ T* block(int a, int i) const { return blocks + (tree().first[a] + i) * kBlockNumbers; }

  static std::size_t bytes(const Tree& tree) {
    return sizeof(StepMemory<T>) + tree.blocks * kBlockNumbers * sizeof(T);
  }
};

// At the beginning of `bytes` bytes of shared memory; by a whole warp.
template <typename T>
__device__ __forceinline__ Normal<T> set_up_normal(unsigned char* shared, const TreeWords& tree) {
  const Normal<T> normal = {reinterpret_cast<StepMemory<T>*>(shared),
                            reinterpret_cast<T*>(shared + sizeof(StepMemory<T>))};
  for (int i = threadIdx.x % 32; i < static_cast<int>(sizeof(Tree) / 4); i += 32) {
    reinterpret_cast<uint32_t*>(&normal.memory->tree)[i] = tree.words[i];
  }
  __syncwarp();
  return normal;
}

// Writes the posed body into memory, by joint, for lanes that read other joints; by a whole warp.
template <typename T>
__device__ __forceinline__ void spread_body(const Place& place, const SharedMemory<T>& memory,
                                            const Posed<T>& body, const T (&value)[kLaneParameters],
                                            bool has_normals, StepMemory<T>& out) {
  const T size = memory.camera.scale;
  const Scales<T> scale = scales_of(place, value);
  const Mat3<T> parent_turn = shuffle(body.joint.turn, place.parent());
  const Vec3<T> bone = size * (parent_turn * bone_of(place, memory));
  const T mirror = handedness(memory.camera.rotation());
  const Vec3<T> zero = {T(0), T(0), T(0)};
  NormalMoments<T> normals = {zero, zero};
  if (has_normals && place.owns) {
    const T* const n = memory.normals[place.joint];
    const T form[12] = {n[0], n[1], n[2], T(0), n[1], n[3], n[4], T(0), n[2], n[4], n[5], T(0)};
    normals = normal_moments(body.joint.turn, load_vec3(memory.ray[place.joint]), form);
  }
  const Wrench<T> below = below_in_tree(place, Wrench<T>{normals.x, normals.y});
  if (!place.owns) return;
  const int k = place.joint;
  store(out.turn[k], body.joint.turn);
  store(out.position[k], body.joint.position);
  out.scale[k] = scale.own;
  store(out.bone[k], bone);
  store(out.step[k], scale.parent * bone);
  store(out.to_angles[k], by_angles(theta_of(place, value), body.angle, parent_turn, mirror));
  store(out.normals[k], normals.x + below.force);
  store(out.normals[k] + 3, normals.y + below.torque);
}

// Column j of row r of [s C_a, 1] Q_al [s C_l, 1]ᵀ, j = 0 … 3.
template <typename T>
__device__ __forceinline__ bool share_row(const SharedMemory<T>& memory, const Moments<T>& moments,
                                          const StepMemory<T>& at, int a, int l, int r,
                                          T (&share)[4]) {
  const int low = min(a, l), high = max(a, l);
  const bool own = a == l;
  if (!own && (memory.later[low] >> high & 1) == 0) return false;
  const int pair = own ? 0 : place_of_pair(memory, low, high);
  const T size = memory.camera.scale;
  T half[4] = {};
  for (int c = 0; c < 4; ++c) {
    const T factor =
        r == 3 ? (c == 3 ? T(1) : T(0)) : (c == 3 ? T(0) : size * at.turn[a][3 * r + min(c, 2)]);
    for (int j = 0; j < 4; ++j) {
      const T q = own     ? memory.diagonal[c][a][j]
                  : a < l ? moments.block_row(pair, c)[j]
                          : moments.block_row(pair, j)[c];
      half[j] += factor * q;
    }
  }
  for (int j = 0; j < 3; ++j) {
    const T* const turn = at.turn[l] + 3 * j;
    share[j] = size * (turn[0] * half[0] + turn[1] * half[1] + turn[2] * half[2]);
  }
  share[3] = half[3];
  return true;
}

// Row r of the levers of joint a (x, y, z of u and v, or w) against all joints above; by one lane.
template <typename T>
__device__ __forceinline__ void sum_row(const SharedMemory<T>& memory, const Moments<T>& moments,
                                        const Normal<T>& normal, int a, int r) {
  const Tree& tree = normal.tree();
  const StepMemory<T>& at = *normal.memory;
  const int depth = tree.depth[a];
  const int row = r < 3 ? kStretchRow + r * kLevers : kHungRow;
  for (int i = 0; i <= depth; ++i) {
    for (int c = 0; c < kLevers; ++c) normal.block(a, i)[row + c] = T(0);
  }
#pragma unroll 1
  for (int l = 0; l < kFitJoints; ++l) {
    T g[4];
    if (!share_row(memory, moments, at, a, l, r, g)) continue;
    const int up = steps_to_meet(tree, a, l);
    const int c = tree.above[a][up];
    const T scale = at.scale[l];
    const bool above = l == c;
    T levers[kLevers] = {scale * g[0], scale * g[1], scale * g[2], g[3]};
    for (int j = 0; j < 3; ++j) levers[kStretch + j] = above ? g[j] : T(0);
    T(&out)[kLevers] = *reinterpret_cast<T(*)[kLevers]>(normal.block(a, up) + row);
    if (above) {
      for (int j = 0; j < kLevers; ++j) out[j] += levers[j];
    } else {
      add_lifted(levers, load_vec3(at.position[l]) - load_vec3(at.position[c]),
                 load_vec3(at.bone[branch(tree, c, l)]), out);
    }
  }
#pragma unroll 1
  for (int i = 1; i <= depth; ++i) {
    const int child = tree.above[a][i - 1];
    T(&out)[kLevers] = *reinterpret_cast<T(*)[kLevers]>(normal.block(a, i) + row);
    T below[kLevers];
    for (int c = 0; c < kLevers; ++c) below[c] = normal.block(a, i - 1)[row + c];
    add_lifted(below, load_vec3(at.step[child]), load_vec3(at.bone[child]), out);
  }
  for (int i = 0; i <= depth; ++i) {
    T* const own = normal.block(a, i);
    T arm[kLevers] = {};
    for (unsigned rest = tree.children[a]; rest != 0; rest &= rest - 1) {
      const int j = __ffs(static_cast<int>(rest)) - 1;
      const T* const child = normal.block(j, i + 1);
      const T bone = r < 3 ? at.bone[j][min(r, 2)] : T(1);
      for (int c = 0; c < kLevers; ++c) {
        own[row + c] += bone * child[kHungRow + c];
        if (r < 3) arm[c] += child[r * kLevers + c];
      }
    }
    if (r == 3) continue;
    for (int c = 0; c < kLevers; ++c) own[r * kLevers + c] = arm[c] + at.scale[a] * own[row + c];
  }
}

template <typename T, int R, int N>
__device__ __forceinline__ void store_block(const T (&h)[R][N], T* out) {
  for (int i = 0; i < R; ++i) {
    for (int j = 0; j < N; ++j) out[i * N + j] = h[i][j];
  }
}

// The second moments of the normals of the subtree of joint a.
template <typename T>
__device__ __forceinline__ NormalMoments<T> normals_of(const StepMemory<T>& at, int a) {
  return {load_vec3(at.normals[a]), load_vec3(at.normals[a] + 3)};
}

// Turns the levers of joint a and the joint i steps above it into their block; by one lane. Not
// inlined, to save registers.
template <typename T>
__device__ __noinline__ void make_block(Normal<T> normal, int a, int i, bool has_normals, T depth) {
  StepMemory<T>& at = *normal.memory;
  T* const place = normal.block(a, i);
  LeverMoments<T> m;
  for (int c = 0; c < kLevers; ++c) {
    for (int r = 0; r < 3; ++r) {
      m.arm[r][c] = place[r * kLevers + c];
      m.stretch[r][c] = place[kStretchRow + r * kLevers + c];
    }
    m.hung[c] = place[kHungRow + c];
  }
  if (i < normal.tree().depth[a]) {
    T h[4][4];
    joint_block(m, depth, h);
    if (has_normals) add_normals(normals_of(at, a), h);
    rows_by_angles(load_mat3(at.to_angles[a]), h);
    columns_by_angles(load_mat3(at.to_angles[normal.tree().above[a][i]]), h);
    store_block(h, place);
    return;
  }
  const Vec3<T> root = load_vec3(at.position[0]);
  if (a == 0) rows_to_origin(root, m);
  columns_to_origin(root, m);
  if (a > 0) {
    T h[4][kRootUnknowns];
    root_block(m, depth, h);
    if (has_normals) add_normals(normals_of(at, a), h);
    rows_by_angles(load_mat3(at.to_angles[a]), h);
    store_block(h, place);
  } else {
    root_square(m, depth, at.top);
    if (has_normals) add_normals(normals_of(at, a), at.top);
  }
}

// The gradient of depth z_j − z_pelvis into memory.depth; `row` is j's in the table. Returns the
// joints with a gradient, as bits. By a whole warp.
template <typename T>
__device__ __forceinline__ unsigned depth_levers(const Place& place, SharedMemory<T>& memory,
                                                 const DepthTable<T>& table, const Posed<T>& body,
                                                 int row, StepMemory<T>& at) {
  const int k = place.joint;
  Vec3<T> h = {T(0), T(0), T(0)};
  T hung = T(0);
  const int last = place.owns ? table.first()[k + 1] : 0;
  for (int n = place.owns ? table.first()[k] : 0; n < last; ++n) {
    const int e = table.by_joint()[n];
    const int of_row = e / table.influences;
    if (of_row != row && of_row != 0) continue;
    const T sign = of_row == 0 ? T(-1) : T(1);
    h = h + sign * load_vec3(table.anchor(e));
    hung += sign * table.anchor(e)[3];
  }
  const Vec3<T>& position = body.joint.position;
  Vec3<T> stretch = memory.camera.scale * (body.joint.turn * h);
  const T scale = place.owns ? at.scale[k] : T(0);
  Wrench<T> sum = {scale * stretch + hung * position, {hung, T(0), T(0)}};  // x, and w
  if (!place.owns) sum = {{T(0), T(0), T(0)}, {T(0), T(0), T(0)}};
  sum += below_in_tree(place, sum);
  T* const handed = memory.scratch;
  handed[place.lane] = place.owns ? at.bone[k][2] * sum.torque.x : T(0);
  __syncwarp();
  for (int child = place.lane + 1; child < place.lane + place.size; child += memory.size[child]) {
    stretch.z += handed[child];
  }
  const Vec3<T> arm = sum.force - sum.torque.x * position;
  const bool root = place.lane == 0;
  if (root) {
    const T by_root[kRootUnknowns] = {sum.force.y, -sum.force.x, T(0),       stretch.z,
                                      T(0),        T(0),         sum.force.z};
    for (int i = 0; i < kRootUnknowns; ++i) at.depth[kRootAt + i] = by_root[i];
  } else if (place.owns) {
    const Vec3<T> by_pose = load_mat3(at.to_angles[k]) * Vec3<T>{arm.y, -arm.x, T(0)};
    store(at.depth + 4 * k, by_pose);
    at.depth[4 * k + 3] = stretch.z;
  }
  unsigned joints = 0;
  const unsigned lanes =
      __ballot_sync(kFullWarp, place.owns && (arm.x != T(0) || arm.y != T(0) || stretch.z != T(0)));
  for (unsigned rest = lanes; rest != 0; rest &= rest - 1) {
    joints |= 1u << __shfl_sync(kFullWarp, k, __ffs(static_cast<int>(rest)) - 1);
  }
  __syncwarp();
  return joints;
}

// Adds 2 w g gᵀ of every depth; by a whole warp. Not inlined, to save registers: all its data is in
// memory.
template <typename T>
__device__ __noinline__ void add_depths(Place place, SharedMemory<T>& memory, DepthTable<T> table,
                                        const Posed<T>& body, Normal<T> normal) {
  const Tree& tree = normal.tree();
  StepMemory<T>& at = *normal.memory;
#pragma unroll 1
  for (int row = 1; row < table.rows; ++row) {
    const T twice = depth_curvature(table.weight()[row], memory.setting);
    if (twice == T(0)) continue;
    const unsigned joints = depth_levers(place, memory, table, body, row, at);
    const T* const g = at.depth;
    for (int n = place.lane; n < tree.blocks; n += 32) {
      const int a = tree.joint[n], i = n - tree.first[a];
      if (a == 0 || (joints >> a & 1) == 0) continue;
      const bool joint = i < tree.depth[a];
      const T* const right = g + (joint ? 4 * tree.above[a][i] : kRootAt);
      const int columns = joint ? kJointUnknowns : kRootUnknowns;
      T* const h = normal.block(a, i);
      for (int r = 0; r < 4; ++r) {
        const T left = twice * g[4 * a + r];
        for (int c = 0; c < columns; ++c) h[r * columns + c] += left * right[c];
      }
    }
    for (int n = place.lane; n < kRootUnknowns * kRootUnknowns; n += 32) {
      at.top[n / kRootUnknowns][n % kRootUnknowns] +=
          twice * g[kRootAt + n / kRootUnknowns] * g[kRootAt + n % kRootUnknowns];
    }
    __syncwarp();
  }
}

// κ of ray_math.h.
template <typename T>
__device__ __forceinline__ T depth_share(const SharedMemory<T>& memory) {
  T depth = T(0);
  for (const Shear<T>& u : memory.shear) depth = maximum(depth, square(u));
  return depth;
}

// The matrix at the current body, in which depth counts `depth` times; by a whole warp.
template <typename T>
__device__ __forceinline__ void assemble(const Place& place, const FitProblem<T>& p,
                                         SharedMemory<T>& memory, const Person<T>& person,
                                         const Posed<T>& body, const T (&value)[kLaneParameters],
                                         T depth, const Normal<T>& normal) {
  const Tree& tree = normal.tree();
  const T* const setting = memory.setting;
  const bool has_normals = reads_normals(setting);
  spread_body(place, memory, body, value, has_normals, *normal.memory);
  __syncwarp();
#pragma unroll 1
  for (int level = tree.deepest; level >= 0; --level) {
    const bool here = place.owns && tree.depth[place.joint] == level;
    unsigned lanes = __ballot_sync(kFullWarp, here);
    for (; lanes != 0;) {  // eight joints at a time, four rows each
      unsigned rest = lanes;
      for (int n = 0; n < place.lane / 4 && rest != 0; ++n) rest &= rest - 1;
      const int a =
          __shfl_sync(kFullWarp, place.joint, rest != 0 ? __ffs(static_cast<int>(rest)) - 1 : 0);
      if (rest != 0) sum_row(memory, person.moments, normal, a, place.lane % 4);
      for (int n = 0; n < 8 && lanes != 0; ++n) lanes &= lanes - 1;
    }
    __syncwarp();
  }
#pragma unroll 1
  for (int n = place.lane; n < tree.blocks; n += 32) {
    const int a = tree.joint[n];
    make_block(normal, a, n - tree.first[a], has_normals, depth);
  }
  __syncwarp();
  if (person.has_depths && setting[kDepth] != T(0)) {
    add_depths(place, memory, person.depths, body, normal);
  }
  add_parameter_curvature(place, p, memory, value, normal);
  __syncwarp();
}

}  // namespace bodyreg
