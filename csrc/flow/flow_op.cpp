#include <algorithm>
#include <string>
#include <tuple>

#include "../common/joint_ids.h"
#include "../common/library.h"
#include "../common/pages.h"
#include "flow.h"

namespace bodyreg {
namespace {

constexpr int64_t kGrain = 16;  // rows that a thread takes at least

template <typename T>
void run(Cpu, const FlowParams<T>& p, const Tensor&) {
  const int64_t lines = p.pairs * p.height;
  ask_for_large_pages(p.flow, 2 * lines * p.width * sizeof(T));
  ask_for_large_pages(p.visibility, lines * p.width);
  Cpu::parallel(lines, kGrain, [&](int64_t begin, int64_t end) { flow_cpu(p, begin, end); });
}
template <typename T>
void run(Cuda, const FlowParams<T>& p, const Tensor& on) {
  Cuda::launch(on, [&](cudaStream_t stream) { flow_cuda(p, stream); });
}

// To report a wrong number, an op would have to wait for the device: there such pixels are
// background.
template <typename T>
void check_values(Cuda, const Arguments&, const FlowParams<T>&) {}

template <typename T>
void check_values(Cpu, const Arguments& arguments, const FlowParams<T>& p) {
  if (!joint_ids_fit(p.triangles, 3 * p.faces, p.vertices)) {
    const int32_t* wrong = std::find_if(p.triangles, p.triangles + 3 * p.faces,
                                        [&](int32_t id) { return id < 0 || id >= p.vertices; });
    arguments.fail(
        "faces", "vertices in [0, " + std::to_string(p.vertices) + ")",
        std::to_string(*wrong) + " in face " + std::to_string((wrong - p.triangles) / 3));
  }
  int32_t last = -1;
  for (int64_t i = 0; i < p.pairs * p.height * p.width; ++i) last = std::max(last, p.face[i]);
  if (last >= p.faces) {
    arguments.fail("face", "faces below " + std::to_string(p.faces), std::to_string(last));
  }
}

template <typename Device>
std::tuple<Tensor, Tensor> flow(const Tensor& face, const Tensor& barycentric,
                                const Tensor& vertices, const Tensor& faces, const Tensor& depth,
                                bool perspective, double least, double most) {
  const Arguments arguments("flow", barycentric, "barycentric");
  arguments.real("barycentric", barycentric, {kAny, kAny, kAny, 3});
  const int64_t B = barycentric.size(0), H = barycentric.size(1), W = barycentric.size(2);
  arguments.index("face", face, {B, H, W});
  arguments.real("vertices", vertices, {B, kAny, 3});
  arguments.index("faces", faces, {kAny, 3});
  arguments.real("depth", depth, {B, kAny, kAny});
  Tensor out = empty_like(barycentric, {B, H, W, 2});
  Tensor visibility = torch::stable::new_empty(barycentric, {B, H, W}, ScalarType::Byte);
  with_scalar(barycentric, [&](auto zero) {
    using T = decltype(zero);
    const FlowParams<T> params{B,
                               vertices.size(1),
                               faces.size(0),
                               static_cast<int>(H),
                               static_cast<int>(W),
                               static_cast<int>(depth.size(1)),
                               static_cast<int>(depth.size(2)),
                               perspective,
                               static_cast<T>(least),
                               static_cast<T>(most),
                               face.const_data_ptr<int32_t>(),
                               barycentric.const_data_ptr<T>(),
                               vertices.const_data_ptr<T>(),
                               faces.const_data_ptr<int32_t>(),
                               depth.const_data_ptr<T>(),
                               out.mutable_data_ptr<T>(),
                               visibility.mutable_data_ptr<uint8_t>()};
    check_values(Device(), arguments, params);
    run(Device(), params, barycentric);
  });
  return {out, visibility};
}

void flow_schemas(torch::stable::detail::StableLibrary& library) {
  library.def(
      "flow(Tensor face, Tensor barycentric, Tensor vertices, Tensor faces, Tensor depth, "
      "bool perspective, float least, float most) -> (Tensor flow, Tensor visibility)");
}

template <typename Device>
void flow_kernels(torch::stable::detail::StableLibrary& library) {
  library.impl("flow", TORCH_BOX(&flow<Device>));
}

BODYREG_LIBRARY(flow)

}  // namespace
}  // namespace bodyreg
