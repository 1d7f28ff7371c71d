// Most faces of a body cover a few pixels or none. How to draw a face is decided for many faces at
// a time. Small faces of equal size are drawn together, a lane each; the others are drawn row by
// row. Neither the way of drawing nor the order of the faces changes a bit.
//
// Products and sums stay apart: a fused multiply-add has other bits, so the face that wins a pixel
// would depend on the machine.
#if defined(__clang__)
#pragma clang fp contract(off)
#else
#pragma GCC optimize("fp-contract=off")
#endif

#include <algorithm>
#include <limits>

#include "../common/buffer.h"
#include "../common/simd.h"
#include "raster.h"
#include "raster_math.h"

namespace bodyreg::BODYREG_ISA {
namespace {

constexpr int kWidth = Lanes<int32_t>::width;
constexpr int kChunk = 256;                   // faces looked at together
constexpr int kSizes[] = {1, 2, 3, 4, 6, 8};  // sides of small faces, pixels
constexpr int kSizeOf[] = {0, 0, 1, 2, 3, 4, 4, 5, 5};
constexpr int kSmall = 8;
constexpr int64_t kFar = int64_t{1} << 30;  // beyond every picture, and 32 bits hold it

using Ints = Lanes<int32_t>;

// One number per lane of Ints; the numbers may be of another size.
template <typename T>
using Reals = typename VectorOf<T, kWidth>::type;

// A vertex. Positions are cut off at kFar, which changes no bounds within a picture; a face with
// such a vertex is large, and reads its exact positions anew.
template <typename T>
struct Vertex {
  int32_t x, y;
  T near;
};

// The rows [top, bottom) of a picture.
template <typename T>
struct Band {
  int width, top, bottom;
  int32_t* face;
  T* barycentric;
  T* depth;  // nearness, while it is drawn

  void clear() const {
    const int64_t begin = int64_t{top} * width, end = int64_t{bottom} * width;
    for (int64_t i = begin; i < end; ++i) face[i] = -1;
    for (int64_t i = begin; i < end; ++i) depth[i] = -std::numeric_limits<T>::infinity();
    set_zero(barycentric + 3 * begin, 3 * (end - begin));
  }

  void put(int64_t pixel, int32_t candidate, T near, T b0, T b1, T b2) const {
    if (near > depth[pixel] || (near == depth[pixel] && candidate < face[pixel])) {
      face[pixel] = candidate;
      depth[pixel] = near;
      barycentric[3 * pixel] = b0;
      barycentric[3 * pixel + 1] = b1;
      barycentric[3 * pixel + 2] = b2;
    }
  }
};

// Small faces with as many rows and columns of pixels in their bounds: one for each lane.
template <typename T>
struct Batch {
  int count = 0;
  alignas(64) int32_t x[3][kWidth];  // relative to the centre of the first pixel in the bounds
  alignas(64) int32_t y[3][kWidth];
  int64_t pixel[kWidth];  // that pixel
  alignas(64) int32_t face[kWidth];
  alignas(64) T near[3][kWidth];
};

template <typename V, typename S>
V load_vector_of(const S* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}

template <typename T>
void draw_batch(const Batch<T>& batch, int columns, int rows, const Band<T>& band) {
  Ints x[3], y[3];
  Reals<T> near[3];
  for (int i = 0; i < 3; ++i) {
    x[i] = load_lanes(batch.x[i]);
    y[i] = load_lanes(batch.y[i]);
    near[i] = load_vector_of<Reals<T>>(batch.near[i]);
  }
  const Ints area = signed_area(x, y);
  Edge<Ints> edges[3];
  make_edges(x, y, area, edges);
  const Reals<T> inverse =
      T(1) / __builtin_convertvector(select(area < Ints(0), -area, area).v, Reals<T>);
  const unsigned used = ~0u >> (32 - batch.count);

  Ints row_start[3];
  for (int i = 0; i < 3; ++i) row_start[i] = value_at(edges[i], Ints(0), Ints(0));
  for (int r = 0; r < rows; ++r) {
    Ints value[3] = {row_start[0], row_start[1], row_start[2]};
    for (int c = 0; c < columns; ++c) {
      const auto spare = (value[0] - edges[0].least).v | (value[1] - edges[1].least).v |
                         (value[2] - edges[2].least).v;
      unsigned covered = ~sign_bits(Ints(spare)) & used;
      if (covered != 0) {
        Reals<T> b[3];
        for (int i = 0; i < 3; ++i) {
          b[i] = product(__builtin_convertvector(value[i].v, Reals<T>), inverse);
        }
        const Reals<T> here = nearness_at(near, b[1], b[2]);
        const int64_t offset = int64_t{r} * band.width + c;
        for (; covered != 0; covered &= covered - 1) {
          const int l = __builtin_ctz(covered);
          band.put(batch.pixel[l] + offset, batch.face[l], here[l], b[0][l], b[1][l], b[2][l]);
        }
      }
      for (int i = 0; i < 3; ++i) value[i] = value[i] - edges[i].dy * Ints(kSubpixels);
    }
    for (int i = 0; i < 3; ++i) row_start[i] += edges[i].dx * Ints(kSubpixels);
  }
}

// Any face, row by row: a division by each edge's step gives the part of a row inside, so a pixel
// outside costs nothing. I: int64_t, or Wide where its products need more.
template <typename I, typename T>
void draw_face(const int64_t (&x64)[3], const int64_t (&y64)[3], const T (&near)[3], int32_t face,
               bool cull, const Band<T>& band) {
  const I x[3] = {x64[0], x64[1], x64[2]}, y[3] = {y64[0], y64[1], y64[2]};
  const I area = signed_area(x, y);
  if (area == 0 || (cull && area > 0)) return;
  Edge<I> edges[3];
  make_edges(x, y, area, edges);
  const T inverse = T(1) / T(area < 0 ? -area : area);
  const auto within = [](int64_t pixel, int low, int high) {
    return static_cast<int>(std::clamp<int64_t>(pixel, low, high));
  };
  const int first = within(first_centre(least_of(x64)), 0, band.width);
  const int behind = within(behind_centre(most_of(x64)), 0, band.width);
  const int top = within(first_centre(least_of(y64)), band.top, band.bottom);
  const int bottom = within(behind_centre(most_of(y64)), band.top, band.bottom);
  for (int r = top; r < bottom; ++r) {
    I value[3], step[3];
    int low = 0, high = behind - first;  // of the columns from `first` on, those inside
    for (int i = 0; i < 3; ++i) {
      value[i] = value_at(edges[i], I(centre(int64_t{first})), I(centre(int64_t{r})));
      step[i] = -edges[i].dy * kSubpixels;
      const I spare = value[i] - edges[i].least;
      if (spare < 0) {  // not yet inside
        const I until = step[i] > 0 ? (step[i] - 1 - spare) / step[i] : I(high);
        low = until < high ? std::max(low, static_cast<int>(until)) : high;
      } else if (step[i] < 0) {  // no longer inside
        const I last = spare / -step[i];
        if (last < high) high = static_cast<int>(last) + 1;
      }
    }
    const int64_t pixel = int64_t{r} * band.width + first;
    for (int c = low; c < high; ++c) {
      T b[3];
      for (int i = 0; i < 3; ++i) b[i] = T(value[i] + step[i] * c) * inverse;
      band.put(pixel + c, face, nearness_at(near, b[1], b[2]), b[0], b[1], b[2]);
    }
  }
}

// Draws the faces of one picture into a band of it.
template <typename T>
class Drawing {
 public:
  explicit Drawing(const RasterParams<T>& p) : p_(p), vertices_(p.vertices), batches_{} {}

  void draw(int64_t picture, int top, int bottom) {
    positions_ = p_.positions + picture * p_.vertices * 3;
    const int64_t first = picture * p_.height * p_.width;
    band_ = {p_.width, top, bottom, p_.face + first, p_.barycentric + 3 * first, p_.depth + first};
    band_.clear();
    round_vertices();
    for (int64_t begin = 0; begin < p_.faces; begin += kChunk) {
      draw_chunk(begin, static_cast<int>(std::min<int64_t>(kChunk, p_.faces - begin)));
    }
    for (int size = 0; size < kSizeCount * kSizeCount; ++size) flush(size);
    if (p_.perspective) leave_the_picture();
  }

 private:
  static constexpr int kSizeCount = sizeof(kSizes) / sizeof(kSizes[0]);

  void round_vertices() {
    for (int64_t v = 0; v < p_.vertices; ++v) {
      const T* position = positions_ + 3 * v;
      vertices_[v] = {static_cast<int32_t>(std::clamp(to_fixed(position[0]), -kFar, kFar)),
                      static_cast<int32_t>(std::clamp(to_fixed(position[1]), -kFar, kFar)),
                      nearness(position[2], p_.perspective)};
    }
  }

  void draw_chunk(int64_t begin, int count) {
    Chunk chunk;
    load(begin, count, chunk);
    look_at(count, chunk);
    int list[kChunk], listed = 0;  // without a branch, which would be predicted wrong too often
    for (int f = 0; f < count; ++f) {
      list[listed] = f;
      listed += chunk.way[f] != kNot;
    }
    for (int n = 0; n < listed; ++n) {
      const int f = list[n];
      const int32_t face = static_cast<int32_t>(begin) + f;
      T near[3];
      for (int i = 0; i < 3; ++i) near[i] = vertices_[p_.triangles[3 * int64_t{face} + i]].near;
      if (p_.perspective && !(near[0] > 0 && near[1] > 0 && near[2] > 0)) continue;
      if (chunk.way[f] == kAlone) {
        draw_alone(face, near);
      } else {
        draw_with_others(face, near, chunk, f);
      }
    }
  }

  // Faces that are looked at together: corners, bounds in pixels, and how they are drawn.
  struct Chunk {
    alignas(64) int32_t x[3][kChunk], y[3][kChunk];
    alignas(64) int32_t left[kChunk], top[kChunk], columns[kChunk], rows[kChunk], way[kChunk];
  };
  static constexpr int32_t kNot = 0, kWithOthers = 1, kAlone = 2;

  void load(int64_t begin, int count, Chunk& chunk) const {
    const int32_t* triangles = p_.triangles + 3 * begin;
    for (int f = 0; f < count; ++f) {
      for (int i = 0; i < 3; ++i) {
        const Vertex<T>& vertex = vertices_[triangles[3 * f + i]];
        chunk.x[i][f] = vertex.x;
        chunk.y[i][f] = vertex.y;
      }
    }
  }

  // No branches, so that the compiler makes vectors of the loop.
  void look_at(int count, Chunk& chunk) const {
    const int width = band_.width, above = band_.top, below = band_.bottom;  // chunk aliases band_
    const bool cull = p_.cull;
    for (int f = 0; f < count; ++f) {
      const int x[3] = {chunk.x[0][f], chunk.x[1][f], chunk.x[2][f]};
      const int y[3] = {chunk.y[0][f], chunk.y[1][f], chunk.y[2][f]};
      const int left = first_centre(least_of(x)), right = behind_centre(most_of(x));
      const int top = first_centre(least_of(y)), bottom = behind_centre(most_of(y));
      const int columns = right - left, rows = bottom - top;
      const bool empty = (columns <= 0) | (rows <= 0) | (right <= 0) | (left >= width) |
                         (bottom <= above) | (top >= below);
      const bool inside = (left >= 0) & (right <= width) & (top >= above) & (bottom <= below);
      const bool small = inside & (columns <= kSmall) & (rows <= kSmall);
      // Unsigned numbers wrap around for large faces, which do not use the result.
      const auto product = [&](int a, int b) {
        return (uint32_t(x[a]) - uint32_t(x[0])) * (uint32_t(y[b]) - uint32_t(y[0]));
      };
      const int area = static_cast<int>(product(1, 2) - product(2, 1));
      const bool seen = (area != 0) & !(cull & (area > 0));
      chunk.left[f] = left;
      chunk.top[f] = top;
      chunk.columns[f] = columns;
      chunk.rows[f] = rows;
      chunk.way[f] = empty ? kNot : small ? seen * kWithOthers : kAlone;
    }
  }

  void draw_with_others(int32_t face, const T (&near)[3], const Chunk& chunk, int f) {
    const int left = chunk.left[f], top = chunk.top[f];
    const int size = kSizeOf[chunk.rows[f]] * kSizeCount + kSizeOf[chunk.columns[f]];
    Batch<T>& batch = batches_[size];
    const int l = batch.count++;
    for (int i = 0; i < 3; ++i) {
      batch.x[i][l] = chunk.x[i][f] - centre(left);
      batch.y[i][l] = chunk.y[i][f] - centre(top);
      batch.near[i][l] = near[i];
    }
    batch.pixel[l] = int64_t{top} * band_.width + left;
    batch.face[l] = face;
    if (batch.count == kWidth) flush(size);
  }

  void draw_alone(int32_t face, const T (&near)[3]) {
    int64_t x[3], y[3];
    bool narrow = true;
    for (int i = 0; i < 3; ++i) {
      const T* position = positions_ + 3 * int64_t{p_.triangles[3 * int64_t{face} + i]};
      x[i] = to_fixed(position[0]);
      y[i] = to_fixed(position[1]);
      narrow &= std::max(std::abs(x[i]), std::abs(y[i])) <= kNarrow;
    }
    if (narrow) {
      draw_face<int64_t>(x, y, near, face, p_.cull, band_);
    } else {
      draw_face<Wide>(x, y, near, face, p_.cull, band_);
    }
  }

  void flush(int size) {
    Batch<T>& batch = batches_[size];
    if (batch.count == 0) return;
    draw_batch(batch, kSizes[size % kSizeCount], kSizes[size / kSizeCount], band_);
    batch.count = 0;
  }

  // Perspective: from numbers linear in the picture to those in space.
  void leave_the_picture() {
    for (int64_t i = int64_t{band_.top} * band_.width; i < int64_t{band_.bottom} * band_.width;
         ++i) {
      if (band_.face[i] < 0) continue;
      T near[3];
      for (int k = 0; k < 3; ++k) {
        near[k] = vertices_[p_.triangles[3 * int64_t{band_.face[i]} + k]].near;
      }
      to_space(near, band_.barycentric + 3 * i, band_.depth[i]);
    }
  }

  const RasterParams<T>& p_;
  const T* positions_ = nullptr;  // (V, 3) of the picture
  Band<T> band_{};
  Buffer<Vertex<T>> vertices_;
  Batch<T> batches_[kSizeCount * kSizeCount];
};

}  // namespace

template <typename T>
void raster_cpu(const RasterParams<T>& p, int64_t begin, int64_t end) {
  Drawing<T> drawing(p);
  for (int64_t index = begin; index < end; ++index) {
    const int64_t band = index % p.bands;
    drawing.draw(index / p.bands, static_cast<int>(p.height * band / p.bands),
                 static_cast<int>(p.height * (band + 1) / p.bands));
  }
}

template void raster_cpu(const RasterParams<float>&, int64_t, int64_t);
template void raster_cpu(const RasterParams<double>&, int64_t, int64_t);

}  // namespace bodyreg::BODYREG_ISA
