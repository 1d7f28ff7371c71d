// The points and keypoints of a person, streamed by a warp: eight pieces of evidence at a time, a
// quad of four lanes each, lane c of a quad with column c of the influences. No memory grows with
// the number of points, so every pass contracts them anew from global memory; it moves three ids
// and six numbers a point (float: 36 bytes) and three vertices of the body's tables, which all
// people share (60 n bytes, and 36 for normals). For .cu files.
#pragma once

#include "../../correspondence/correspondence_math.h"
#include "moments.h"

namespace bodyreg {

// One piece of evidence; the same in the four lanes of its quad.
template <typename T>
struct Item {
  bool point;       // and not a keypoint
  unsigned joints;  // bit k: influence (k, h'), h' at memory.scratch[quad][k]
  T weight;         // 0: absent
  T x, y;           // where it was seen
  int64_t index;    // of the point
};

// Sums the four lanes of a quad; every lane ends with the same bits. For whole warps.
template <typename T>
__device__ __forceinline__ T quad_sum(T value) {
  value += __shfl_xor_sync(kFullWarp, value, 1);
  return value + __shfl_xor_sync(kFullWarp, value, 2);
}

// What a pass reads of a person.
template <typename T>
struct Evidence {
  int64_t begin, points;  // points begin … begin + points
  int64_t person;

  __device__ int64_t count(const FitProblem<T>& p) const { return points + p.keypoints; }
};

// Contracts piece `i` of the person (the points first, then the keypoints), if there is one: writes
// h' of its joints into the quad's table, where each lane touches its own column only. fit: turns
// false if an id of a vertex or a joint is out of range.
template <typename T>
__device__ __forceinline__ Item<T> contract(const FitProblem<T>& p, const Evidence<T>& evidence,
                                            int64_t i, SharedMemory<T>& memory, bool& fit) {
  const int lane = threadIdx.x % 32;
  const int column = lane % 4;
  T* const table = memory.scratch + lane / 4 * (kFitJoints * 4) + column;
  Item<T> item = {i < evidence.points, 0, T(0), T(0), T(0), evidence.begin + i};
  const int64_t keypoint = evidence.person * p.keypoints + i - evidence.points;
  const bool there = i < evidence.count(p);
  if (there) {
    item.weight = item.point ? p.point_weight[item.index] : p.keypoint_weight[keypoint];
    const T* const xy = item.point ? p.point_xy + 2 * item.index : p.keypoint_xy + 2 * keypoint;
    item.x = xy[0], item.y = xy[1];
  }
  const int32_t* const ids = item.point ? p.vertex_ids : p.keypoint_ids;
  const T* const anchors = item.point ? p.vertex_anchors : p.keypoint_anchors;
  const int influences = item.point ? p.vertex_influences : p.keypoint_influences;
  const int most = max(p.vertex_influences, p.keypoint_influences);
#pragma unroll 1
  for (int corner = 0; corner < 3; ++corner) {
    const bool used = there && (item.point || corner == 0);
    T share = T(1);
    int64_t row = i - evidence.points + 1;
    if (used && item.point) {
      share = p.point_barycentric[3 * item.index + corner];
      row = p.point_vertex[3 * item.index + corner];
    }
    const bool known = used && (!item.point || (row >= 0 && row < p.vertices));
    fit = fit && known == used;
#pragma unroll 2  // two loads on their way at a time
    for (int e = 0; e < most; ++e) {
      T h = T(0);
      int joint = 0;
      if (known && e < influences) {
        joint = ids[row * influences + e];
        h = share * anchors[(row * influences + e) * 4 + column];
      }
      if (static_cast<unsigned>(joint) >= static_cast<unsigned>(kFitJoints)) {
        fit = false;
        joint = 0;
        h = T(0);
      }
      const unsigned filled = __ballot_sync(kFullWarp, h != T(0)) >> (lane & ~3) & 15u;
      const T weight = __shfl_sync(kFullWarp, h, lane | 3);
      if (filled == 0 || item.weight == T(0)) continue;
      if (column < 3) h -= weight * memory.joints[3 * joint + column];
      T* const cell = table + 4 * joint;
      *cell = (item.joints >> joint & 1) != 0 ? *cell + h : h;
      item.joints |= 1u << joint;
    }
  }
  return item;
}

// The neighbours of joint `lane`: bit l says that it shares a piece of evidence with joint l. fit:
// whether all ids are in range. By a whole warp.
template <typename T>
__device__ __forceinline__ unsigned neighbours(const FitProblem<T>& p, const Evidence<T>& evidence,
                                               SharedMemory<T>& memory, bool& fit) {
  const int lane = threadIdx.x % 32;
  unsigned together = 0;
  for (int64_t first = 0; first < evidence.count(p); first += kItems) {
    const Item<T> item = contract(p, evidence, first + lane / 4, memory, fit);
    for (int n = 0; n < kItems; ++n) {
      const unsigned joints = __shfl_sync(kFullWarp, item.joints, 4 * n);
      if ((joints >> lane & 1) != 0) together |= joints;
    }
  }
  fit = __ballot_sync(kFullWarp, fit) == kFullWarp;
  return together;
}

// Unit rest normal of a point, its component of this lane (0 in column 3); for whole warps.
template <typename T>
__device__ __forceinline__ T rest_normal(const FitProblem<T>& p, const Item<T>& item, bool there) {
  const int column = threadIdx.x % 4;
  T n = T(0);
  for (int corner = 0; there && column < 3 && corner < 3; ++corner) {
    n += p.point_barycentric[3 * item.index + corner] *
         p.vertex_normals[int64_t{p.point_vertex[3 * item.index + corner]} * 3 + column];
  }
  return n / maximum(sqrt(quad_sum(n * n)), T(1e-12));
}

// The joint that moves a point most, the first of equals. The quad's table is complete.
template <typename T>
__device__ __forceinline__ int segment_of(const SharedMemory<T>& memory, const Item<T>& item) {
  const T* const table = memory.scratch + threadIdx.x % 32 / 4 * (kFitJoints * 4);
  int segment = 0;
  T most = T(0);
  bool none = true;
  for (unsigned rest = item.joints; rest != 0; rest &= rest - 1) {
    const int k = __ffs(static_cast<int>(rest)) - 1;
    if (none || table[4 * k + 3] > most) segment = k, most = table[4 * k + 3];
    none = false;
  }
  return segment;
}

// What one pass returns besides the moments: unweighted sums, each lane its share.
template <typename T>
struct EvidenceTerms {
  T dense, keypoint, facing, visibility;
};

// The shears and rays of a person's segments, through the middle of its points or, without points,
// of its keypoints; by a whole warp. Other lanes can read them after the next __syncwarp.
template <typename T>
__device__ __forceinline__ void find_rays(const FitProblem<T>& p, const Evidence<T>& evidence,
                                          SharedMemory<T>& memory) {
  const int lane = threadIdx.x % 32;
  // Σ w x̂ and Σ w: 0 … 2 of points, 3 … 5 of keypoints
  clear(memory.normals);
  const int64_t count = memory.in_perspective() ? evidence.count(p) : 0;
  bool fit = true;
#pragma unroll 1
  for (int64_t first = 0; first < count; first += kItems) {
    __syncwarp();
    const Item<T> item = contract(p, evidence, first + lane / 4, memory, fit);
    __syncwarp();
    const int segment = segment_of(memory, item);
    const T weight = item.joints != 0 && item.weight > T(0) ? item.weight : T(0);
#pragma unroll 1
    for (int n = 0; n < kItems; ++n) {
      const int k = __shfl_sync(kFullWarp, segment, 4 * n);
      const T w = __shfl_sync(kFullWarp, weight, 4 * n);
      const T x = __shfl_sync(kFullWarp, item.x, 4 * n), y = __shfl_sync(kFullWarp, item.y, 4 * n);
      const int at = first + n < evidence.points ? lane : lane - 3;
      if (w == T(0) || at < 0 || at > 2) continue;
      memory.normals[k][lane] += w * (at == 0 ? x : at == 1 ? y : T(1));
    }
  }
  __syncwarp();
  if (lane >= kFitJoints) return;
  const T* const sums = memory.normals[lane];
  const T* const sum = sums[2] > T(0) ? sums : sums + 3;
  const Shear<T> u = segment_shear(memory.perspective, sum[2], sum[0], sum[1]);
  memory.shear[lane] = u;
  store(memory.ray[lane], ray_of(u));
}

// What the squares lack of a point's slope by its depth, in perspective. depth: all of it; x, y:
// the slope of the square by the place on the picture.
template <typename T>
struct Lack {
  T depth, x, y;
};

// Adds 2c h' h'ᵀ and −2c x̂ h'ᵀ of one piece of evidence, the same in all lanes; in perspective also
// the constant part of the rows z. For whole warps. The work of a lane is a row of a block.
template <typename T>
__device__ __forceinline__ void add_moments(SharedMemory<T>& memory, const Moments<T>& moments,
                                            int n, unsigned joints, T twice, T x, T y,
                                            const Lack<T>& lack) {
  const int lane = threadIdx.x % 32;
  const int count = __popc(joints);
  const T* const table = memory.scratch + n * (kFitJoints * 4);
  for (int e = lane; e < 2 * count * (count + 1); e += 32) {
    const int q = e / 4, i = e % 4;  // q = b (b + 1) / 2 + a, a ≤ b
    const int b = static_cast<int>((sqrtf(static_cast<float>(8 * q + 1)) - 1.0f) * 0.5f);
    const int k = memory.listed[n][q - b * (b + 1) / 2], l = memory.listed[n][b];
    T* const cell =
        k == l ? memory.diagonal[i][k] : moments.block_row(place_of_pair(memory, k, l), i);
    T row[4], h[4];
    load_vector(row, cell);
    load_vector(h, table + 4 * l);
    const T factor = twice * table[4 * k + i];
    for (int j = 0; j < 4; ++j) row[j] += factor * h[j];
    store_vector(cell, row);
  }
  for (int e = lane; e < 8 * count; e += 32) {
    const int k = memory.listed[n][e / 8];
    const T seen = e / 4 % 2 == 0 ? x : y;
    memory.constant[e / 4 % 2][k][e % 4] -= twice * seen * table[4 * k + e % 4];
  }
  for (int e = lane; e < 4 * count && memory.in_perspective(); e += 32) {
    const int k = memory.listed[n][e / 4];
    const Shear<T> u = memory.shear[k];
    memory.constant[2][k][e % 4] +=
        (lack.depth - (lack.x * u.x + lack.y * u.y)) * table[4 * k + e % 4];
  }
}

// Adds one point's share to its segment's normals. Numbers 0 … 5 are the upper half of
// 2 w_facing Σ w n nᵀ over the points that face away, 6 … 8 the part that is linear in the
// segment's view, 9 the sum of weights. For whole warps; n: the component in the lane of the
// point's quad. Not inlined, to save registers.
template <typename T>
__device__ __noinline__ void add_normal(SharedMemory<T>& memory, int quad, int segment, T weight,
                                        T quadratic, T linear, T n) {
  const int lane = threadIdx.x % 32;
  const int i = lane < 3 ? 0 : lane < 5 ? 1 : lane < 6 ? 2 : lane - 6;
  const int j = lane < 3 ? lane : lane < 5 ? lane - 2 : 2;
  const T n_i = __shfl_sync(kFullWarp, n, 4 * quad + (i & 3));
  const T n_j = __shfl_sync(kFullWarp, n, 4 * quad + j);
  const T share = lane < 6 ? quadratic * n_i * n_j : lane < 9 ? linear * n_i : weight;
  if (lane < 10) memory.normals[segment][lane] += share;
}

// The seen surface of segment k, k the lane's number: adds its slope to the linear part, and
// returns log Σ area f(n_z) times the weight of the segment's points.
template <typename T>
__device__ __forceinline__ T see_surface(const FitProblem<T>& p, SharedMemory<T>& memory,
                                         T weight) {
  const int k = threadIdx.x % 32;
  const T segment_weight = memory.normals[k][9];
  if (segment_weight == T(0)) return T(0);
  const T* const view = memory.view[k];
  T seen = T(0), slope[3] = {};
  for (int m = 0; m < p.surface_samples; ++m) {
    const T* const normal = p.surface_normals + (k * p.surface_samples + m) * 3;
    const T area = p.surface_area[k * p.surface_samples + m];
    const T x =
        p.visibility_sharpness * (view[0] * normal[0] + view[1] * normal[1] + view[2] * normal[2]);
    const T value = softplus(x);
    const T rise = area * softplus_slope(x, value);
    seen += area * value;
    for (int c = 0; c < 3; ++c) slope[c] += rise * normal[c];
  }
  if (seen == T(0)) return T(0);  // a segment without faces
  const T factor = weight * segment_weight * p.visibility_sharpness / seen;
  for (int c = 0; c < 3; ++c) memory.normals[k][6 + c] += factor * slope[c];
  return segment_weight * log(seen);
}

// One pass over the evidence at the current parameters; their rows of M and views are in memory.
// With `refresh`, makes the moments and the normals anew under the weights of memory.setting.
// Returns the lane's share of the unweighted terms. By a whole warp.
template <typename T>
__device__ __forceinline__ EvidenceTerms<T> pass_evidence(const FitProblem<T>& p,
                                                          const Evidence<T>& evidence,
                                                          SharedMemory<T>& memory,
                                                          const Moments<T>& moments, bool refresh) {
  const T* const setting = memory.setting;
  const int lane = threadIdx.x % 32;
  const int quad = lane / 4, column = lane % 4;
  const bool first_column = column == 0;
  const bool normals = reads_normals(setting);
  const T dense_width2 = inverse_width2(setting);
  EvidenceTerms<T> terms = {};
  bool fit = true;
  if (refresh) clear_moments(memory, moments);
  clear(memory.normals);
  for (int64_t first = 0; first < evidence.count(p); first += kItems) {
    __syncwarp();
    Item<T> item = contract(p, evidence, first + quad, memory, fit);
    T x = T(0), y = T(0), z = T(0), sheared_x = T(0), sheared_y = T(0);
    int rank = 0;
    for (unsigned rest = item.joints; rest != 0; rest &= rest - 1, ++rank) {
      const int k = __ffs(static_cast<int>(rest)) - 1;
      const T h = memory.scratch[(quad * kFitJoints + k) * 4 + column];
      x += memory.rows[0][k][column] * h;
      y += memory.rows[1][k][column] * h;
      if (memory.in_perspective()) {
        const T own = memory.rows[2][k][column] * h;
        z += own;
        sheared_x += memory.shear[k].x * own;
        sheared_y += memory.shear[k].y * own;
      }
      if (first_column) memory.listed[quad][rank] = static_cast<uint8_t>(k);
    }
    x = quad_sum(x);
    y = quad_sum(y);
    T growth = T(1), pull = T(0);
    if (memory.in_perspective()) {
      sheared_x = quad_sum(sheared_x);
      sheared_y = quad_sum(sheared_y);
      const SeenPoint<T> seen = seen_point(
          memory.perspective, Vec3<T>{x - sheared_x, y - sheared_y, quad_sum(z)}, item.x, item.y);
      x = seen.error[0], y = seen.error[1];
      item.x = seen.target[0] + sheared_x, item.y = seen.target[1] + sheared_y;
      growth = seen.growth, pull = seen.pull;
    } else {
      x -= item.x, y -= item.y;
    }
    const bool there = item.weight != T(0);
    const Robust<T> robust = geman_mcclure(x * x + y * y, item.point ? dense_width2 : T(0));
    if (there && first_column) {
      (item.point ? terms.dense : terms.keypoint) += item.weight * robust.value;
    }
    T twice =
        there ? T(2) * setting[item.point ? kDense : kKeypoint] * item.weight * robust.slope : T(0);
    const Lack<T> deep = {twice * pull, twice * growth * x, twice * growth * y};
    twice *= growth * growth;
    __syncwarp();
    if (refresh) {
#pragma unroll 1
      for (int n = 0; n < kItems; ++n) {
        add_moments(
            memory, moments, n, __shfl_sync(kFullWarp, item.joints, 4 * n),
            __shfl_sync(kFullWarp, twice, 4 * n), __shfl_sync(kFullWarp, item.x, 4 * n),
            __shfl_sync(kFullWarp, item.y, 4 * n),
            Lack<T>{__shfl_sync(kFullWarp, deep.depth, 4 * n),
                    __shfl_sync(kFullWarp, deep.x, 4 * n), __shfl_sync(kFullWarp, deep.y, 4 * n)});
        __syncwarp();
      }
    }
    if (!normals) continue;
    const bool turned = there && item.point;
    const T n = rest_normal(p, item, turned);
    const int segment = segment_of(memory, item);
    const T normal_z = quad_sum(column < 3 ? memory.view[segment][column] * n : T(0));
    const T lack = facing_lack(normal_z, p.facing_margin);
    const T sharp = p.visibility_sharpness * normal_z;
    const T value = softplus(sharp);
    if (turned && first_column) {
      terms.facing += item.weight * lack * lack;
      terms.visibility -= item.weight * log(value);
    }
    const T weight = turned ? item.weight : T(0);
    const T quadratic = lack > T(0) ? facing_curvature(weight, setting) : T(0);
    T linear = -(p.facing_margin * quadratic);
    if (setting[kVisibility] != T(0)) {
      linear -= visibility_gain(sharp, value, weight, setting, p.visibility_sharpness);
    }
#pragma unroll 1
    for (int m = 0; m < kItems; ++m) {
      add_normal(memory, m, __shfl_sync(kFullWarp, segment, 4 * m),
                 __shfl_sync(kFullWarp, weight, 4 * m), __shfl_sync(kFullWarp, quadratic, 4 * m),
                 __shfl_sync(kFullWarp, linear, 4 * m), n);
    }
  }
  __syncwarp();
  if (normals && lane < kFitJoints)
    terms.visibility += see_surface(p, memory, setting[kVisibility]);
  __syncwarp();
  return terms;
}

// Moments that need no refresh are made under the weights of the first row of the whole fit, in
// every launch; by a whole warp.
template <typename T>
__device__ __forceinline__ void take_first_weights(const FitParams<T>& p, SharedMemory<T>& memory) {
  const int lane = threadIdx.x % 32;
  if (lane == kDense || lane == kKeypoint) memory.setting[lane] = static_cast<T>(p.settings[lane]);
  __syncwarp();
}

}  // namespace bodyreg
