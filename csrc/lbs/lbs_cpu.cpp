#include <algorithm>

#include "../common/buffer.h"
#include "../common/simd.h"
#include "lbs.h"
#include "lbs_math.h"

namespace bodyreg::BODYREG_ISA {
namespace {

constexpr int kGroup = kLbsPeoplePerBlock;  // people of a block, as lanes
constexpr int kTile = 16;                   // points skinned before their layout is changed back
// Gradients of shared anchors are summed over blocks of people: one long sum would round more.
constexpr int64_t kPeoplePerSum = 16;

// A block of people × points.
struct Block {
  int64_t index;  // of the block
  int64_t person, point_begin;
  int people;
  int64_t point_end;
};

template <typename Params>
Block block_at(const Params& p, int64_t index) {
  const int64_t point_blocks = lbs_point_blocks(p.points);
  const int64_t person = index / point_blocks * kGroup;
  const int64_t point = index % point_blocks * kLbsPointsPerBlock;
  return {index, person, point, static_cast<int>(std::min<int64_t>(kGroup, p.people - person)),
          std::min(point + kLbsPointsPerBlock, p.points)};
}

// Rows of kGroup people <-> people in memory, a register's width of people at a time.
template <typename T>
void group_to_lanes(const T* in, int64_t stride, int people, int64_t count, T* out) {
  constexpr int W = Lanes<T>::width;
  for (int l = 0; l < kGroup; l += W) {
    to_lanes(in + l * stride, stride, std::clamp(people - l, 0, W), count, out + l, kGroup);
  }
}

template <typename T>
void group_from_lanes(const T* in, int64_t count, int people, T* out, int64_t stride) {
  constexpr int W = Lanes<T>::width;
  for (int l = 0; l < people; l += W) {
    from_lanes(in + l, kGroup, std::min(people - l, W), count, out + l * stride, stride);
  }
}

template <typename Params>
bool shared_topology(const Params& p) {
  return p.joint_ids_stride == 0 && p.anchors_stride == 0;
}

// Σ T h over the influences [begin, end) of one point, for all people of the group, to out (3,
// kGroup). transforms: (J, 12, kGroup)
template <typename T>
inline void skin_group(const LbsParams<T>& p, const T* transforms, int64_t begin, int64_t end,
                       T* out) {
  constexpr int W = Lanes<T>::width;
  for (int l = 0; l < kGroup; l += W) {
    Lanes<T> x[3] = {0, 0, 0};
    for (int64_t e = begin; e < end; ++e) {
      const T* h = p.anchors + 4 * e;
      if (is_padding(h)) continue;
      const T* t = transforms + p.joint_ids[e] * 12 * kGroup + l;
      for (int r = 0; r < 3; ++r) {
        for (int c = 0; c < 4; ++c) x[r] += load_lanes(t + (4 * r + c) * kGroup) * Lanes<T>(h[c]);
      }
    }
    for (int r = 0; r < 3; ++r) store_lanes(out + r * kGroup + l, x[r]);
  }
}

template <typename T>
void forward_shared(const LbsParams<T>& p, const Block& block) {
  const int64_t J = p.joints;
  alignas(64) T transforms[kMaxJoints * 12 * kGroup];  // (J, 12, kGroup)
  alignas(64) T tile[kTile * 3 * kGroup];              // (kTile, 3, kGroup)
  group_to_lanes(p.transforms + block.person * J * 12, J * 12, block.people, J * 12, transforms);
  for (int64_t first = block.point_begin; first < block.point_end; first += kTile) {
    const int64_t last = std::min(first + kTile, block.point_end);
    for (int64_t i = first; i < last; ++i) {
      skin_group(p, transforms, i * p.influences, (i + 1) * p.influences,
                 tile + (i - first) * 3 * kGroup);
    }
    group_from_lanes(tile, (last - first) * 3, block.people,
                     p.out + (block.person * p.points + first) * 3, p.points * 3);
  }
}

template <typename T>
void forward_own(const LbsParams<T>& p, const Block& block) {
  for (int64_t b = block.person; b < block.person + block.people; ++b) {
    const T* transforms = p.transforms + b * p.joints * 12;
    const int32_t* joint_ids = p.joint_ids + b * p.joint_ids_stride;
    const T* anchors = p.anchors + b * p.anchors_stride;
    for (int64_t i = block.point_begin; i < block.point_end; ++i) {
      Vec3<T> x = {0, 0, 0};
      for (int64_t e = i * p.influences; e < (i + 1) * p.influences; ++e) {
        if (is_padding(anchors + 4 * e)) continue;
        x = x + skin(transforms + joint_ids[e] * 12, anchors + 4 * e);
      }
      store(p.out + (b * p.points + i) * 3, x);
    }
  }
}

// g hᵀ of one influence for all people of the group, added to transform (12, kGroup).
// grad: (3, kGroup)
template <typename T>
inline void add_outer(const T* grad, const T* anchor, T* transform) {
  constexpr int W = Lanes<T>::width;
  const Lanes<T> h[4] = {anchor[0], anchor[1], anchor[2], anchor[3]};
  for (int l = 0; l < kGroup; l += W) {
    for (int r = 0; r < 3; ++r) {
      const Lanes<T> g = load_lanes(grad + r * kGroup + l);
      for (int c = 0; c < 4; ++c) {
        T* t = transform + (4 * r + c) * kGroup + l;
        store_lanes(t, load_lanes(t) + g * h[c]);
      }
    }
  }
}

template <typename T>
void partial_shared(const LbsBackwardTransformsParams<T>& p, const Block& block, T* sums) {
  alignas(64) T tile[kTile * 3 * kGroup];  // (kTile, 3, kGroup) gradients
  for (int64_t first = block.point_begin; first < block.point_end; first += kTile) {
    const int64_t last = std::min(first + kTile, block.point_end);
    group_to_lanes(p.grad_out + (block.person * p.points + first) * 3, p.points * 3, block.people,
                   (last - first) * 3, tile);
    for (int64_t i = first; i < last; ++i) {
      for (int64_t e = i * p.influences; e < (i + 1) * p.influences; ++e) {
        const T* anchor = p.anchors + 4 * e;
        if (is_padding(anchor)) continue;
        add_outer(tile + (i - first) * 3 * kGroup, anchor, sums + p.joint_ids[e] * 12 * kGroup);
      }
    }
  }
}

template <typename T>
void partial_own(const LbsBackwardTransformsParams<T>& p, const Block& block, T* sums) {
  T own[kMaxJoints * 12];
  for (int l = 0; l < block.people; ++l) {
    const int64_t b = block.person + l;
    const int32_t* joint_ids = p.joint_ids + b * p.joint_ids_stride;
    const T* anchors = p.anchors + b * p.anchors_stride;
    set_zero(own, p.joints * 12);
    for (int64_t i = block.point_begin; i < block.point_end; ++i) {
      const Vec3<T> g = load_vec3(p.grad_out + (b * p.points + i) * 3);
      for (int64_t e = i * p.influences; e < (i + 1) * p.influences; ++e) {
        if (is_padding(anchors + 4 * e)) continue;
        add_transform_grad(anchors + 4 * e, g, own + joint_ids[e] * 12);
      }
    }
    for (int c = 0; c < p.joints * 12; ++c) sums[c * kGroup + l] = own[c];
  }
}

}  // namespace

template <typename T>
void lbs_forward_cpu(const LbsParams<T>& p, int64_t begin, int64_t end) {
  for (int64_t index = begin; index < end; ++index) {
    const Block block = block_at(p, index);
    if (shared_topology(p)) {
      forward_shared(p, block);
    } else {
      forward_own(p, block);
    }
  }
}

template <typename T>
void lbs_backward_transforms_partial_cpu(const LbsBackwardTransformsParams<T>& p, int64_t begin,
                                         int64_t end) {
  const int64_t elements = int64_t{p.joints} * 12 * kGroup;
  for (int64_t index = begin; index < end; ++index) {
    const Block block = block_at(p, index);
    T* sums = p.partial + index * elements;
    set_zero(sums, elements);
    if (shared_topology(p)) {
      partial_shared(p, block, sums);
    } else {
      partial_own(p, block, sums);
    }
  }
}

template <typename T>
void lbs_backward_transforms_sum_cpu(const LbsBackwardTransformsParams<T>& p, int64_t begin,
                                     int64_t end) {
  const int64_t J = p.joints, elements = J * 12 * kGroup, parts = lbs_point_blocks(p.points);
  for (int64_t group = begin; group < end; ++group) {
    T* sums = p.partial + group * parts * elements;  // of the first part; the rest is added to it
    for (int64_t part = 1; part < parts; ++part) {
      for (int64_t c = 0; c < elements; ++c) sums[c] += sums[part * elements + c];
    }
    const int64_t person = group * kGroup;
    const int people = static_cast<int>(std::min<int64_t>(kGroup, p.people - person));
    group_from_lanes(sums, J * 12, people, p.grad_transforms + person * J * 12, J * 12);
  }
}

template <typename T>
void lbs_backward_anchors_cpu(const LbsBackwardAnchorsParams<T>& p, int64_t begin, int64_t end) {
  const int K = p.influences;
  const int64_t count = (end - begin) * K * 4;
  const bool shared = p.anchors_stride == 0;
  Buffer<T> block(shared ? count : 0);  // the sum of some people
  if (shared) set_zero(p.grad_anchors + begin * K * 4, count);
  for (int64_t b = 0; b < p.people; ++b) {
    const T* transforms = p.transforms + b * p.joints * 12;
    const int32_t* joint_ids = p.joint_ids + b * p.joint_ids_stride;
    T* const grad_anchors = p.grad_anchors + b * p.anchors_stride + begin * K * 4;
    T* const sums = shared ? block.data() : grad_anchors;
    if (!shared || b % kPeoplePerSum == 0) set_zero(sums, count);
    for (int64_t i = begin; i < end; ++i) {
      const Vec3<T> g = load_vec3(p.grad_out + (b * p.points + i) * 3);
      for (int64_t e = i * K; e < (i + 1) * K; ++e) {
        add_anchor_grad(transforms + joint_ids[e] * 12, g, sums + 4 * (e - begin * K));
      }
    }
    if (shared && (b % kPeoplePerSum == kPeoplePerSum - 1 || b + 1 == p.people)) {
      for (int64_t c = 0; c < count; ++c) grad_anchors[c] += sums[c];
    }
  }
}

template void lbs_forward_cpu(const LbsParams<float>&, int64_t, int64_t);
template void lbs_forward_cpu(const LbsParams<double>&, int64_t, int64_t);
template void lbs_backward_transforms_partial_cpu(const LbsBackwardTransformsParams<float>&,
                                                  int64_t, int64_t);
template void lbs_backward_transforms_partial_cpu(const LbsBackwardTransformsParams<double>&,
                                                  int64_t, int64_t);
template void lbs_backward_transforms_sum_cpu(const LbsBackwardTransformsParams<float>&, int64_t,
                                              int64_t);
template void lbs_backward_transforms_sum_cpu(const LbsBackwardTransformsParams<double>&, int64_t,
                                              int64_t);
template void lbs_backward_anchors_cpu(const LbsBackwardAnchorsParams<float>&, int64_t, int64_t);
template void lbs_backward_anchors_cpu(const LbsBackwardAnchorsParams<double>&, int64_t, int64_t);

}  // namespace bodyreg::BODYREG_ISA
