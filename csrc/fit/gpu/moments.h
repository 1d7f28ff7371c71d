// The moments of a person's points (joint_math.h) in the shared memory of a warp. The warp keeps
// the 24 diagonal blocks of Q and a list, in the order of (k, l), of the blocks k < l that some
// point of the person has. One lane multiplies one joint pair of the list, 32 pairs a round. It
// sends Q_kl M_l to joint k and M_k Q_kl to joint l, through a mailbox in shared memory; the lane
// of a joint adds its mail in the order of the list. For .cu files.
#pragma once

#include "../../common/access.h"
#include "../../common/reduce.h"
#include "../ray_math.h"
#include "tree.h"

namespace bodyreg {

constexpr int kLaneParameters = 4;  // body.h
constexpr int kItems = 8;           // pieces of evidence that a warp takes at a time, a quad each
constexpr int kMostPairs = kFitJoints * (kFitJoints - 1) / 2;

BODYREG_HD int rounds_of(int pairs) { return (pairs + 31) / 32; }

// The camera of a person.
template <typename T>
struct Camera {
  Mat3<T> raw;
  Orthonormal<T> orthonormal;
  T translation[2];
  T scale;

  __device__ Mat3<T> rotation() const {  // Q
    return from_columns(orthonormal.first.unit, orthonormal.second.unit, orthonormal.third.unit);
  }
};

// What a warp keeps in shared memory, all of it indexed by joint. 14 KB float, 26 KB double, and
// after it 2 KB (4 KB) for every round of joint pairs, then the keypoints' tables (depths.h).
template <typename T>
struct alignas(16) SharedMemory {
  // Read by 16 bytes, so they come first: each is a multiple of that.
  T rows[3][kFitJoints][4];      // of M: image x and y (sheared in perspective), depth
  T constant[3][kFitJoints][4];  // r, and the constant part of row z of Y
  T diagonal[4][kFitJoints][4];  // Q_kk, row by row
  T view[kFitJoints][4];         // C_kᵀ d
  T scratch[kItems * kFitJoints *
            4];                 // the mailbox, or influences of points, or what joints hand up
  T mean[32][kLaneParameters];  // Adam's, each lane its own
  T square[32][kLaneParameters];

  T normals[kFitJoints][12];         // evidence.h
  T pose_terms[4 * kFitJoints * 3];  // of FitProblem
  T joints[kFitJoints * 3];          // of FitProblem
  T mode_bound[kFitJoints][3];       // half the diagonal that bounds the curvature of the modes
  T along_mode[kFitModes];           // m_r · (θ − μ)
  T mode_slope[kFitJoints][3];       // of what the modes add to the prior, weighted
  T setting[kFitSettings];           // of this iteration
  T ray[kFitJoints][3];              // d of ray_math.h
  Shear<T> shear[kFitJoints];        // u
  Perspective<T> perspective;
  AdamStep<T> steps[32];  // of 32 iterations
  Camera<T> camera;
  uint32_t later[kFitJoints];                    // bit l: pair (k, l) is in the list, k < l
  uint16_t first_pair[kFitJoints];               // the place of the first of them
  uint16_t pair[32 * ((kMostPairs + 31) / 32)];  // k | l << 8
  uint16_t first_mail[kFitJoints + 1];           // where a joint's own list of mail begins
  uint16_t mail[2 * kMostPairs];       // 64 round + 32 (for the later joint of the pair) + lane
  uint8_t listed[kItems][kFitJoints];  // the joints of a point
  uint8_t size[32];                    // LaneTree::size

  __device__ bool in_perspective() const { return perspective.inverse_focal != T(0); }
};

// The joint pairs of a person, once they are listed.
template <typename T>
struct Moments {
  T* blocks;  // [rounds][4][32][4]: the rows of a pair's block, 32 pairs side by side
  int pairs;

  __device__ T* block_row(int pair, int row) const {
    return blocks + ((pair / 32 * 4 + row) * 32 + pair % 32) * 4;
  }
};

// Lists the joint pairs and returns their number. neighbours: bit l of lane k says that joints k
// and l share a point. By a whole warp; the lists can be read after the next __syncwarp.
template <typename T>
__device__ __forceinline__ int count_pairs(SharedMemory<T>& memory, unsigned neighbours,
                                           int& first) {
  const int k = threadIdx.x % 32;
  const unsigned later = k < kFitJoints ? neighbours >> k >> 1 << k << 1 : 0;
  const int end = lane_running_sum(__popc(later));
  first = end - __popc(later);
  if (k < kFitJoints) memory.later[k] = later, memory.first_pair[k] = static_cast<uint16_t>(first);
  return __shfl_sync(kFullWarp, end, 31);
}

// The place of pair (k, l), k < l.
template <typename T>
__device__ __forceinline__ int place_of_pair(const SharedMemory<T>& memory, int k, int l) {
  return memory.first_pair[k] + __popc(memory.later[k] & ((1u << l) - 1));
}

template <typename T>
__device__ __forceinline__ void list_pairs(SharedMemory<T>& memory, unsigned neighbours,
                                           int first) {
  const int k = threadIdx.x % 32;
  const unsigned others = k < kFitJoints ? neighbours & ~(1u << k) : 0;
  const int end = lane_running_sum(__popc(others));
  if (k >= kFitJoints) return;
  int n = end - __popc(others);
  memory.first_mail[k] = static_cast<uint16_t>(n);
  if (k == kFitJoints - 1) memory.first_mail[kFitJoints] = static_cast<uint16_t>(end);
  for (unsigned rest = others; rest != 0; rest &= rest - 1) {
    const int l = __ffs(static_cast<int>(rest)) - 1;
    const bool later = l > k;
    const int pair = later ? first : place_of_pair(memory, l, k);
    if (later) memory.pair[first++] = static_cast<uint16_t>(k | l << 8);
    memory.mail[n++] = static_cast<uint16_t>(pair / 32 * 64 + (later ? 0 : 32) + pair % 32);
  }
}

// Fills an array of shared memory with zeros; by a whole warp.
template <typename Array>
__device__ __forceinline__ void clear(Array& array) {
  static_assert(sizeof(array) % sizeof(uint32_t) == 0);
  for (int i = threadIdx.x % 32; i < static_cast<int>(sizeof(array) / sizeof(uint32_t)); i += 32) {
    reinterpret_cast<uint32_t*>(&array)[i] = 0;
  }
}

// Empties the moments; by a whole warp.
template <typename T>
__device__ __forceinline__ void clear_moments(SharedMemory<T>& memory, const Moments<T>& moments) {
  clear(memory.constant);
  clear(memory.diagonal);
  const int blocks = 512 * rounds_of(moments.pairs);
  for (int i = threadIdx.x % 32; i < blocks; i += 32) moments.blocks[i] = T(0);
}

// Both products of one pair, into the mailbox: its block by the image rows of l and of k.
template <typename T>
__device__ __forceinline__ void multiply_pair(const SharedMemory<T>& memory,
                                              const Moments<T>& moments, int pair, T* mailbox) {
  const int lane = threadIdx.x % 32;
  const int k = memory.pair[pair] & 255, l = memory.pair[pair] >> 8;
  T block[4][4];
  for (int i = 0; i < 4; ++i) load_vector(block[i], moments.block_row(pair, i));
  for (int row = 0; row < 2; ++row) {
    T of_k[4], of_l[4], to_k[4], to_l[4];
    load_vector(of_k, memory.rows[row][k]);
    load_vector(of_l, memory.rows[row][l]);
    for (int i = 0; i < 4; ++i) {
      to_k[i] = block[i][0] * of_l[0] + block[i][1] * of_l[1] + block[i][2] * of_l[2] +
                block[i][3] * of_l[3];
      to_l[i] = block[0][i] * of_k[0] + block[1][i] * of_k[1] + block[2][i] * of_k[2] +
                block[3][i] * of_k[3];
    }
    store_vector(mailbox + (row * 64 + lane) * 4, to_k);
    store_vector(mailbox + (row * 64 + 32 + lane) * 4, to_l);
  }
}

// Y of the lane's joint; by a whole warp, with the rows of M in memory. Lanes without a joint help
// to multiply; their y has no meaning.
template <typename T>
__device__ __forceinline__ void image_gradient(const Place& place, SharedMemory<T>& memory,
                                               const Moments<T>& moments, T (&y)[8]) {
  T own[2][4], block[4];
  for (int row = 0; row < 2; ++row) {
    load_vector(own[row], memory.rows[row][place.joint]);
    load_vector(block, memory.constant[row][place.joint]);
    for (int c = 0; c < 4; ++c) y[4 * row + c] = block[c];
  }
  for (int i = 0; i < 4; ++i) {
    load_vector(block, memory.diagonal[i][place.joint]);
    for (int c = 0; c < 8; ++c) y[c] += own[c / 4][i] * block[c % 4];
  }
  int mail = place.owns ? memory.first_mail[place.joint] : 0;
  const int last = place.owns ? memory.first_mail[place.joint + 1] : 0;
#pragma unroll 1
  for (int first = 0; first < moments.pairs; first += 32) {
    const int pair = first + place.lane;
    if (pair < moments.pairs) multiply_pair(memory, moments, pair, memory.scratch);
    __syncwarp();
    for (; mail < last && memory.mail[mail] < 2 * first + 64; ++mail) {
      const T* const box = memory.scratch + memory.mail[mail] % 64 * 4;
      T part[4];
      for (int row = 0; row < 2; ++row) {
        load_vector(part, box + row * 256);
        for (int c = 0; c < 4; ++c) y[4 * row + c] += part[c];
      }
    }
    __syncwarp();
  }
}

}  // namespace bodyreg
