// Linear blend skinning, forward.
#include "../common/access.h"
#include "../common/launch.h"
#include "lbs.h"
#include "lbs_math.h"

namespace bodyreg {
namespace {

constexpr int kThreads = 128;       // points per tile
constexpr int kPeopleTogether = 8;  // people who share a block's reads of shared rig points

// A tile's place: people × points, people outermost.
struct Tile {
  int64_t person, point;
};

template <typename T>
__device__ Tile tile_at(const LbsParams<T>& p, int people_together, int64_t index) {
  const int64_t tiles = (p.points + kThreads - 1) / kThreads;
  return {index / tiles * people_together, index % tiles * kThreads};
}

// A block owns a tile of 128 points of G people, a thread one point of each; a warp writes a
// person's 32 points as whole lines. Moves 20 K bytes per point and G people, 12 out per point and
// person (float), and 48 J in per person and tile, mostly from the L2.
template <typename T, int G>
__global__ void __launch_bounds__(kThreads)
    lbs_forward_kernel(const LbsParams<T> p, const int64_t tiles) {
  SIMT_SHARED(T, shared);
  T* const transforms = shared;  // (G, J, 3, 4)
  T* const staging = shared + G * p.joints * 12 + threadIdx.x / 32 * 96;
  const int K = p.influences;
  for (int64_t index = blockIdx.x; index < tiles; index += gridDim.x) {
    const Tile tile = tile_at(p, G, index);
    const int people = static_cast<int>(min(int64_t{G}, p.people - tile.person));
    block_copy(transforms, p.transforms + tile.person * p.joints * 12, people * p.joints * 12);

    const int64_t point = tile.point + threadIdx.x;
    const int32_t* __restrict__ ids = p.joint_ids + tile.person * p.joint_ids_stride;
    const T* __restrict__ anchors = p.anchors + tile.person * p.anchors_stride;
    Vec3<T> x[G] = {};
    for (int64_t e = point * K; point < p.points && e < (point + 1) * K; ++e) {
      T h[4];
      load_vector(h, anchors + 4 * e);
      const bool known = static_cast<unsigned>(ids[e]) < static_cast<unsigned>(p.joints);
      const T* joint = transforms + (known ? ids[e] : 0) * 12;
      if (!known) h[0] = quiet_nan<T>();
      if (is_padding(h)) continue;
      for (int g = 0; g < G; ++g, joint += p.joints * 12) {
        if (g >= people) break;
        T t[12];
        load_vector(t, joint);
        x[g] = x[g] + skin(t, h);
      }
    }

    const int64_t first = tile.point + threadIdx.x / 32 * 32;
    const int count = static_cast<int>(max(int64_t{0}, min(int64_t{32}, p.points - first)));
    for (int g = 0; g < G; ++g) {
      if (g >= people) break;
      store_lane_points(p.out + ((tile.person + g) * p.points + first) * 3, count, x[g], staging);
    }
    __syncthreads();
  }
}

template <typename T, int G>
void launch_forward(const LbsParams<T>& p, cudaStream_t stream) {
  const int64_t tiles = (p.people + G - 1) / G * ((p.points + kThreads - 1) / kThreads);
  const std::size_t bytes = (G * p.joints * 12 + 3 * kThreads) * sizeof(T);
  allow_shared(lbs_forward_kernel<T, G>, bytes);
  SIMT_LAUNCH((lbs_forward_kernel<T, G>), grid_for(tiles, 16), kThreads, bytes, stream, p, tiles);
  check_cuda(cudaGetLastError(), "lbs");
}

}  // namespace

template <typename T>
void lbs_forward_cuda(const LbsParams<T>& p, cudaStream_t stream) {
  check_aligned(p.anchors, "bodyreg.lbs: anchors");
  if (p.people == 0 || p.points == 0) return;
  const std::size_t together = kPeopleTogether * p.joints * 12 * sizeof(T);
  const bool shared_points = p.joint_ids_stride == 0 && p.anchors_stride == 0;
  if (shared_points && together <= kSharedBudget / 2) {
    launch_forward<T, kPeopleTogether>(p, stream);
  } else {
    launch_forward<T, 1>(p, stream);
  }
}

template void lbs_forward_cuda(const LbsParams<float>&, cudaStream_t);
template void lbs_forward_cuda(const LbsParams<double>&, cudaStream_t);

}  // namespace bodyreg
