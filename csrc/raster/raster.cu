// Which face is seen at every pixel. First every face offers its key to its pixels, and each pixel
// keeps the largest; then every pixel reads the face of its key. Keys are integers, so every order
// of the threads gives the same bits.
#include "../common/launch.h"
#include "../common/reduce.h"
#include "raster.h"
#include "raster_math.h"

namespace bodyreg {
namespace {

constexpr int kThreads = 128;
constexpr int kOwnPixels = 32;  // in the bounds of a face that a thread draws by itself
constexpr int kBlocks = 16;     // on a multiprocessor

// A face of a picture: its corners in steps of 1/256 pixel, its bounds in pixels.
template <typename T>
struct Face {
  int64_t x[3], y[3];
  T near[3];
  int left, right, top, bottom;  // empty if there is nothing to draw

  __device__ int64_t pixels() const { return int64_t{right - left} * (bottom - top); }
  __device__ bool is_narrow() const {
    return least_of(x) >= -kNarrow && most_of(x) <= kNarrow && least_of(y) >= -kNarrow &&
           most_of(y) <= kNarrow;
  }
};

template <typename T>
__device__ bool is_finite(T x) {
  return x - x == T(0);
}

__device__ __forceinline__ int within(int64_t pixel, int size) {
  return static_cast<int>(max(int64_t{0}, min(pixel, int64_t{size})));
}

// A face has no pixels if one of its vertices does not exist or is not finite.
template <typename T>
__device__ Face<T> load_face(const RasterParams<T>& p, int64_t picture, int64_t index) {
  Face<T> face;
  bool drawn = true;
  for (int i = 0; i < 3; ++i) {
    const int64_t vertex = p.triangles[3 * index + i];
    const bool known = vertex >= 0 && vertex < p.vertices;
    const T* position = p.positions + (picture * p.vertices + (known ? vertex : 0)) * 3;
    drawn = drawn && known && is_finite(position[0]) && is_finite(position[1]) &&
            is_finite(position[2]);
    face.x[i] = drawn ? to_fixed(position[0]) : 0;
    face.y[i] = drawn ? to_fixed(position[1]) : 0;
    face.near[i] = drawn ? nearness(position[2], p.perspective) : T(0);
    drawn = drawn && !(p.perspective && face.near[i] == T(0));
  }
  face.left = within(first_centre(least_of(face.x)), p.width);
  face.right = within(behind_centre(most_of(face.x)), p.width);
  face.top = within(first_centre(least_of(face.y)), p.height);
  face.bottom = within(behind_centre(most_of(face.y)), p.height);
  if (!drawn || face.right <= face.left || face.bottom <= face.top) {
    face.right = face.left;
    face.bottom = face.top;
  }
  return face;
}

// A face's edges, ready for pixels. I: int64_t, or Wide where products need more.
template <typename I, typename T>
struct Edges {
  Edge<I> edge[3];
  T inverse;  // of twice the area; 0 if there is nothing to draw

  __device__ Edges(const Face<T>& face, bool cull) {
    const I x[3] = {face.x[0], face.x[1], face.x[2]}, y[3] = {face.y[0], face.y[1], face.y[2]};
    const I area = signed_area(x, y);
    make_edges(x, y, area, edge);
    const bool seen = area != 0 && !(cull && area > 0);
    inverse = seen ? T(1) / T(area < 0 ? -area : area) : T(0);
  }

  // Whether the pixel is covered, and its barycentrics.
  __device__ bool at(int column, int row, T (&barycentric)[3]) const {
    const I x = centre(int64_t{column}), y = centre(int64_t{row});
    bool covered = inverse != T(0);
    for (int i = 0; i < 3; ++i) {
      const I value = value_at(edge[i], x, y);
      covered = covered && value >= edge[i].least;
      barycentric[i] = product(T(value), inverse);
    }
    return covered;
  }
};

// Finite numbers as integers in the same order, none of them 0.
__device__ __forceinline__ uint64_t in_order(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof(x));
  return bits ^ (bits >> 31 != 0 ? 0xffffffffu : 0x80000000u);
}
__device__ __forceinline__ uint64_t in_order(double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof(x));
  return bits ^ (bits >> 63 != 0 ? ~uint64_t{0} : uint64_t{1} << 63);
}

// Offers a face's key to a pixel. Nearer faces have larger keys; of two equally near faces the one
// of lower number has the larger key. A float and a face's number fit one key. In float64 nearness
// fills the key: once all faces have made their offer, the nearest offer their numbers.
template <typename T, bool kAgain>
__device__ void ask(const RasterParams<T>& p, int64_t pixel, int64_t face, T near) {
  if (!is_finite(near)) return;
  const uint64_t key = in_order(near + T(0));  // -0 is as near as 0
  auto* const largest = reinterpret_cast<unsigned long long*>(p.keys) + pixel;
  if constexpr (sizeof(T) == 4) {
    atomicMax(largest, static_cast<unsigned long long>(key << 32 | (0xffffffffu - face)));
  } else if constexpr (!kAgain) {
    atomicMax(largest, static_cast<unsigned long long>(key));
  } else if (*largest == key) {
    atomicMin(reinterpret_cast<unsigned*>(p.face) + pixel, static_cast<unsigned>(face));
  }
}

// The pixels of a face's bounds that one thread looks at: all of them if it draws alone, one of
// every 8 x 4 if its warp draws.
struct Share {
  int column, row, columns, rows;
};

template <typename I, bool kAgain, typename T>
__device__ void draw_pixels(const RasterParams<T>& p, int64_t picture, int64_t index,
                            const Face<T>& face, const Share& share) {
  const Edges<I, T> edges(face, p.cull);
  for (int r = face.top + share.row; r < face.bottom; r += share.rows) {
    for (int c = face.left + share.column; c < face.right; c += share.columns) {
      T b[3];
      if (!edges.at(c, r, b)) continue;
      ask<T, kAgain>(p, (picture * p.height + r) * p.width + c, index,
                     nearness_at(face.near, b[1], b[2]));
    }
  }
}

template <typename T, bool kAgain>
__device__ void draw(const RasterParams<T>& p, int64_t picture, int64_t index, const Face<T>& face,
                     const Share& share) {
  if (face.is_narrow()) {
    draw_pixels<int64_t, kAgain>(p, picture, index, face, share);
  } else {
    draw_pixels<Wide, kAgain>(p, picture, index, face, share);
  }
}

// A thread owns a face of a picture, and its pixels if they are few; its warp draws large ones
// together. Moves 12 bytes per face, 36 per face and picture in (float; mostly from the L2), and 8
// there and back per pixel that a face covers.
template <typename T, bool kAgain>
__global__ void __launch_bounds__(kThreads) raster_draw_kernel(const RasterParams<T> p) {
  const int lane = threadIdx.x % 32;
  const int64_t faces = p.people * p.faces;
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  for (int64_t first = int64_t{blockIdx.x} * kThreads + threadIdx.x / 32 * 32; first < faces;
       first += stride) {
    const int64_t own = first + lane;
    int64_t pixels = 0;
    if (own < faces) {
      const Face<T> face = load_face(p, own / p.faces, own % p.faces);
      pixels = face.pixels();
      if (pixels > 0 && pixels <= kOwnPixels) {
        draw<T, kAgain>(p, own / p.faces, own % p.faces, face, {0, 0, 1, 1});
      }
    }
    for (unsigned large = __ballot_sync(kFullWarp, pixels > kOwnPixels); large != 0;
         large &= large - 1) {
      const int64_t index = first + __ffs(static_cast<int>(large)) - 1;
      const Face<T> face = load_face(p, index / p.faces, index % p.faces);
      draw<T, kAgain>(p, index / p.faces, index % p.faces, face, {lane % 8, lane / 8, 8, 4});
    }
  }
}

// A thread owns a pixel. Writes 8 bytes (float) or 12 (double).
template <typename T>
__global__ void __launch_bounds__(kThreads)
    raster_clear_kernel(const RasterParams<T> p, const int64_t pixels) {
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < pixels;
       i += int64_t{gridDim.x} * kThreads) {
    p.keys[i] = 0;
    if constexpr (sizeof(T) == 8) p.face[i] = -1;
  }
}

template <typename I, typename T>
__device__ void show(const RasterParams<T>& p, const Face<T>& face, int column, int row,
                     T (&barycentric)[3], T& depth) {
  Edges<I, T>(face, false).at(column, row, barycentric);
  depth = nearness_at(face.near, barycentric[1], barycentric[2]);
  if (p.perspective) to_space(face.near, barycentric, depth);
}

// A thread owns a pixel. Reads its key, 8 bytes, and where a face is seen, 48 (float; mostly from
// the L2); writes 20.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    raster_show_kernel(const RasterParams<T> p, const int64_t pixels) {
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < pixels;
       i += int64_t{gridDim.x} * kThreads) {
    int32_t index = -1;
    if constexpr (sizeof(T) == 8) {
      index = p.face[i];
    } else if (p.keys[i] != 0) {
      index = static_cast<int32_t>(0xffffffffu - static_cast<uint32_t>(p.keys[i]));
    }
    T barycentric[3] = {}, depth = -static_cast<T>(INFINITY);
    if (index >= 0) {
      const int64_t size = int64_t{p.height} * p.width;
      const int column = static_cast<int>(i % p.width), row = static_cast<int>(i % size / p.width);
      const Face<T> face = load_face(p, i / size, index);
      if (face.is_narrow()) {
        show<int64_t>(p, face, column, row, barycentric, depth);
      } else {
        show<Wide>(p, face, column, row, barycentric, depth);
      }
    }
    p.face[i] = index;
    for (int k = 0; k < 3; ++k) p.barycentric[3 * i + k] = barycentric[k];
    p.depth[i] = depth;
  }
}

template <typename T, bool kAgain>
void launch_draw(const RasterParams<T>& p, cudaStream_t stream) {
  const int64_t faces = p.people * p.faces;
  if (faces == 0) return;
  SIMT_LAUNCH((raster_draw_kernel<T, kAgain>), grid_for((faces + kThreads - 1) / kThreads, kBlocks),
              kThreads, 0, stream, p);
}

}  // namespace

template <typename T>
void raster_cuda(const RasterParams<T>& p, cudaStream_t stream) {
  const int64_t pixels = p.people * p.height * p.width;
  if (pixels == 0) return;
  const unsigned grid = grid_for((pixels + kThreads - 1) / kThreads, kBlocks);
  SIMT_LAUNCH(raster_clear_kernel<T>, grid, kThreads, 0, stream, p, pixels);
  launch_draw<T, false>(p, stream);
  if constexpr (sizeof(T) == 8) launch_draw<T, true>(p, stream);
  SIMT_LAUNCH(raster_show_kernel<T>, grid, kThreads, 0, stream, p, pixels);
  check_cuda(cudaGetLastError(), "raster");
}

template void raster_cuda(const RasterParams<float>&, cudaStream_t);
template void raster_cuda(const RasterParams<double>&, cudaStream_t);

}  // namespace bodyreg
