#include "../../csrc/raster/raster.h"
#include "driver.h"

using namespace bodyreg;

template <typename T>
struct Results {
  std::vector<std::int32_t> face;
  std::vector<T> barycentric, depth;
};

// faces: of random vertices, or each of three of its own a few pixels apart.
template <typename T>
void drive(std::int64_t pictures, std::int64_t faces, int height, int width, T spread, bool small,
           bool perspective) {
  const std::int64_t vertices = small ? 3 * faces : 40;
  auto positions = driver::normal<T>(pictures * vertices * 3);
  auto triangles = driver::indices(3 * faces, static_cast<int>(vertices));
  for (std::size_t i = 0; small && i < triangles.size(); ++i) {
    triangles[i] = static_cast<std::int32_t>(i);
  }
  for (std::size_t i = 0; i < positions.size(); ++i) {
    const std::size_t first = i / 9 * 9 + i % 3;  // of the face
    if (i % 3 == 2) {
      if (perspective) positions[i] = T(0.2) - std::abs(positions[i]);
    } else if (small && i != first) {
      positions[i] = positions[first] + 2 * positions[i];
    } else {
      positions[i] = T(i % 3 == 0 ? width : height) * T(0.5) + spread * positions[i];
    }
  }
  const std::int64_t pixels = pictures * height * width;
  Results<T> results[2];
  for (int on_cpu = 0; on_cpu < 2; ++on_cpu) {
    Results<T>& r = results[on_cpu];
    r.face.assign(static_cast<std::size_t>(pixels), -7);
    r.barycentric = driver::unwritten<T>(3 * pixels);
    r.depth = driver::unwritten<T>(pixels);
    std::vector<std::uint64_t> keys(static_cast<std::size_t>(pixels), 7);
    const RasterParams<T> params{pictures,
                                 vertices,
                                 faces,
                                 height,
                                 width,
                                 perspective,
                                 false,
                                 positions.data(),
                                 triangles.data(),
                                 r.face.data(),
                                 r.barycentric.data(),
                                 r.depth.data(),
                                 2,
                                 keys.data()};
    if (on_cpu) {
      baseline::raster_cpu(params, 0, 2 * pictures);
    } else {
      raster_cuda(params, nullptr);
    }
    for (T& depth : r.depth) depth = std::isinf(depth) ? T(9) : depth;
  }
  for (std::size_t i = 0; i < results[0].face.size(); ++i) {
    if (results[0].face[i] == results[1].face[i]) continue;
    std::fprintf(stderr, "face: pixel %zu: kernel %d, CPU %d\n", i, results[0].face[i],
                 results[1].face[i]);
    std::exit(1);
  }
  driver::compare("barycentric", results[0].barycentric, results[1].barycentric, T(0));
  driver::compare("depth", results[0].depth, results[1].depth, T(0));
}

int main() {
  for (bool perspective : {false, true}) {
    drive<float>(2, 150, 33, 31, 12, true, perspective);
    drive<double>(2, 40, 9, 17, 5, false, perspective);
  }
  drive<float>(1, 33, 31, 33, 1e8f, false, false);  // products of more than 64 bits
  drive<float>(1, 2100, 5, 5, 30, true, false);     // more faces than a grid has threads
  drive<double>(1, 1, 1, 1, 1, false, false);
  drive<float>(2, 0, 3, 5, 1, true, false);
}
