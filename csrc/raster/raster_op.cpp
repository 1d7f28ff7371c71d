#include <algorithm>
#include <atomic>
#include <cmath>
#include <string>
#include <tuple>

#include "../common/joint_ids.h"
#include "../common/library.h"
#include "../common/pages.h"
#include "raster.h"
#include "raster_math.h"

namespace bodyreg {
namespace {

template <typename T>
void run(Cpu, RasterParams<T> p, const Tensor&) {
  const int64_t pixels = p.people * p.height * p.width;
  ask_for_large_pages(p.face, pixels * sizeof(int32_t));
  ask_for_large_pages(p.barycentric, 3 * pixels * sizeof(T));
  ask_for_large_pages(p.depth, pixels * sizeof(T));
  // Every band of a picture looks at all faces again: as few as keep the threads busy.
  const int64_t threads = torch::stable::get_num_threads();
  const int64_t pictures = std::max<int64_t>(1, p.people);
  p.bands = static_cast<int>(std::clamp<int64_t>(threads / pictures, 1, std::max(1, p.height)));
  Cpu::parallel(p.people * p.bands, 1, [&](int64_t b, int64_t e) { raster_cpu(p, b, e); });
}
template <typename T>
void run(Cuda, RasterParams<T> p, const Tensor& on) {
  Tensor keys = torch::stable::new_empty(on, {p.people, p.height, p.width}, ScalarType::Long);
  p.keys = reinterpret_cast<uint64_t*>(keys.mutable_data_ptr<int64_t>());
  Cuda::launch(on, [&](cudaStream_t stream) { raster_cuda(p, stream); });
}

// To report a wrong face, an op would have to wait for the device: its kernel skips such faces.
template <typename T>
void check_values(Cuda, const Arguments&, const RasterParams<T>&) {}

template <typename T>
void check_values(Cpu, const Arguments& arguments, const RasterParams<T>& p) {
  if (!joint_ids_fit(p.triangles, 3 * p.faces, p.vertices)) {
    const int32_t* wrong = std::find_if(p.triangles, p.triangles + 3 * p.faces,
                                        [&](int32_t id) { return id < 0 || id >= p.vertices; });
    arguments.fail(
        "faces", "vertices in [0, " + std::to_string(p.vertices) + ")",
        std::to_string(*wrong) + " in face " + std::to_string((wrong - p.triangles) / 3));
  }
  std::atomic<bool> finite{true};
  Cpu::parallel(p.people, 1, [&](int64_t begin, int64_t end) {
    bool all = true;
    for (int64_t i = begin * p.vertices * 3; i < end * p.vertices * 3; ++i) {
      all &= p.positions[i] - p.positions[i] == T(0);
    }
    if (!all) finite = false;
  });
  if (finite) return;
  int64_t i = 0;
  while (std::isfinite(p.positions[i])) ++i;
  arguments.fail("vertices", "finite numbers",
                 std::to_string(p.positions[i]) + " for vertex " +
                     std::to_string(i / 3 % p.vertices) + " of picture " +
                     std::to_string(i / 3 / p.vertices));
}

template <typename Device>
std::tuple<Tensor, Tensor, Tensor> raster(const Tensor& vertices, const Tensor& faces,
                                          int64_t height, int64_t width, bool perspective,
                                          bool cull) {
  const Arguments arguments("raster", vertices, "vertices");
  arguments.real("vertices", vertices, {kAny, kAny, 3});
  arguments.index("faces", faces, {kAny, 3});
  const auto check_side = [&](const char* name, int64_t side) {
    if (side >= 0 && side <= kMostPixels) return;
    arguments.fail(name, "0 to " + std::to_string(kMostPixels) + " pixels", std::to_string(side));
  };
  check_side("height", height);
  check_side("width", width);
  const int64_t B = vertices.size(0);
  Tensor face = empty_index(vertices, {B, height, width});
  Tensor barycentric = empty_like(vertices, {B, height, width, 3});
  Tensor depth = empty_like(vertices, {B, height, width});
  with_scalar(vertices, [&](auto zero) {
    using T = decltype(zero);
    const RasterParams<T> params{B,
                                 vertices.size(1),
                                 faces.size(0),
                                 static_cast<int>(height),
                                 static_cast<int>(width),
                                 perspective,
                                 cull,
                                 vertices.const_data_ptr<T>(),
                                 faces.const_data_ptr<int32_t>(),
                                 face.mutable_data_ptr<int32_t>(),
                                 barycentric.mutable_data_ptr<T>(),
                                 depth.mutable_data_ptr<T>(),
                                 1,
                                 nullptr};
    check_values(Device(), arguments, params);
    run(Device(), params, vertices);
  });
  return {face, barycentric, depth};
}

void raster_schemas(torch::stable::detail::StableLibrary& library) {
  library.def(
      "raster(Tensor vertices, Tensor faces, int height, int width, bool perspective, bool cull)"
      " -> (Tensor face, Tensor barycentric, Tensor depth)");
}

template <typename Device>
void raster_kernels(torch::stable::detail::StableLibrary& library) {
  library.impl("raster", TORCH_BOX(&raster<Device>));
}

BODYREG_LIBRARY(raster)

}  // namespace
}  // namespace bodyreg
