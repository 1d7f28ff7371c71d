#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>

#include "../common/library.h"
#include "../common/pages.h"
#include "warp.h"

namespace bodyreg {
namespace {

using MaybeBool = std::optional<bool>;
using MaybeTensor = std::optional<Tensor>;

constexpr int64_t kGrain = 1 << 15;  // the fewest results worth a thread of their own

template <typename T>
void run(Cpu, const WarpParams<T>& p, const Tensor&) {
  const WarpGrid<T>& grid = p.grid;
  const int64_t results = grid.pictures * grid.channels * grid.height * grid.width;
  ask_for_large_pages(p.warped, results * sizeof(T));
  if (p.layers != nullptr) ask_for_large_pages(p.layers, 2 * results * sizeof(T));
  const int64_t units =
      grid.pictures * (grid.channels_last ? grid.height : warp_blocks(grid.channels));
  const int64_t each = units == 0 ? 1 : std::max<int64_t>(1, results / units);
  Cpu::parallel(units, std::max<int64_t>(1, kGrain / each),
                [&](int64_t b, int64_t e) { warp_forward_cpu(p, b, e); });
}
template <typename T>
void run(Cuda, const WarpParams<T>& p, const Tensor& on) {
  Cuda::launch(on, [&](cudaStream_t stream) { warp_forward_cuda(p, stream); });
}

template <typename T>
void run(Cpu, WarpBackwardParams<T> p, const Tensor& on) {
  const WarpGrid<T>& grid = p.grid;
  const int64_t blocks = warp_blocks(grid.channels);
  const int64_t pixels = int64_t{grid.height} * grid.width;
  if (p.grad_features != nullptr) {
    ask_for_large_pages(p.grad_features, grid.pictures * grid.channels * grid.source_height *
                                             grid.source_width * int64_t{sizeof(T)});
  }
  // As few slices as keep the threads busy. Their number changes no bit.
  const int64_t threads = torch::stable::get_num_threads();
  const int64_t pictures = std::max<int64_t>(1, grid.pictures);
  p.slices = static_cast<int>(
      std::clamp<int64_t>((threads + pictures - 1) / pictures, 1, std::max<int64_t>(1, blocks)));
  const bool sums = p.grad_flow != nullptr && !grid.channels_last;
  Tensor partial = empty_like(on, {sums ? grid.pictures * blocks * 2 * pixels : 0});
  p.partial = partial.mutable_data_ptr<T>();
  Cpu::parallel(grid.pictures * (grid.channels_last ? p.slices : blocks), 1,
                [&](int64_t b, int64_t e) { warp_backward_cpu(p, b, e); });
  if (!sums) return;
  Cpu::parallel(grid.pictures, 1, [&](int64_t b, int64_t e) { warp_backward_sum_cpu(p, b, e); });
}
// The sorted numbers, and the places they had. Equal ones keep their order.
std::array<Tensor, 2> sort(const Tensor& numbers) {
  std::array<StableIValue, 4> stack{
      torch::stable::detail::from(numbers), torch::stable::detail::from(MaybeBool(true)),
      torch::stable::detail::from(int64_t{0}), torch::stable::detail::from(false)};
  STABLE_TORCH_ERROR_CODE_CHECK(
      torch_call_dispatcher("aten::sort", "stable", stack.data(), TORCH_ABI_VERSION));
  return {torch::stable::detail::to<Tensor>(stack[0]), torch::stable::detail::to<Tensor>(stack[1])};
}

template <typename T>
void run(Cuda, WarpBackwardParams<T> p, const Tensor& on) {
  const WarpGrid<T>& grid = p.grid;
  const bool gathers = p.grad_features != nullptr;
  const int64_t targets = gathers ? grid.pictures * grid.height * grid.width : 0;
  Tensor cells = empty_index(on, {targets});
  p.cells = cells.mutable_data_ptr<int32_t>();
  if (gathers) Cuda::launch(on, [&](cudaStream_t stream) { warp_cells_cuda(p, stream); });
  const auto [sorted, order] = sort(cells);
  p.sorted = sorted.template const_data_ptr<int32_t>();
  p.order = order.template const_data_ptr<int64_t>();
  Tensor starts = torch::stable::new_empty(on, {gathers ? warp_starts(grid) : 0}, ScalarType::Long);
  p.starts = starts.mutable_data_ptr<int64_t>();
  Cuda::launch(on, [&](cudaStream_t stream) { warp_backward_cuda(p, stream); });
}

// Checks flow and visibility and puts them into a grid; pictures and channels are there already.
template <typename T>
void read_target(const Arguments& arguments, const Tensor& flow, const MaybeTensor& visibility,
                 WarpGrid<T>& grid) {
  const bool channels_last = !flow.is_contiguous();
  arguments.picture("flow", flow, {grid.pictures, 2, kAny, kAny}, channels_last);
  const int64_t H = flow.size(2), W = flow.size(3);
  if (visibility) {
    arguments.typed("visibility", *visibility, ScalarType::Byte, {grid.pictures, H, W});
    grid.visibility = visibility->const_data_ptr<uint8_t>();
  }
  grid.height = static_cast<int>(H);
  grid.width = static_cast<int>(W);
  grid.flow = flow.const_data_ptr<T>();
  grid.flow_axis = channels_last ? 1 : H * W;
  grid.flow_pixel = channels_last ? 2 : 1;
}

// A picture's numbers, its pixels and its cells are counted in 32 bits.
void check_size(const Arguments& arguments, const char* name, int64_t channels, int64_t height,
                int64_t width) {
  constexpr int64_t kMost = (int64_t{1} << 31) - 1;
  if (height >= 0 && width >= 0 &&
      (height + 1) * double(width + 1) * std::max<int64_t>(1, channels) <= kMost)
    return;
  arguments.fail(
      name, "fewer than 2^31 numbers in a picture",
      std::to_string(channels) + " x " + std::to_string(height) + " x " + std::to_string(width));
}

template <typename Device>
std::tuple<Tensor, Tensor> warp(const Tensor& features, const Tensor& flow,
                                const MaybeTensor& visibility, double background, bool apart) {
  const Arguments arguments("warp", features, "features");
  const bool channels_last = !features.is_contiguous();
  arguments.picture("features", features, {kAny, kAny, kAny, kAny}, channels_last);
  check_size(arguments, "features", features.size(1), features.size(2), features.size(3));
  if (apart && !visibility) arguments.fail("visibility", "a tensor, to tell layers apart", "none");
  Tensor warped, layers;
  with_scalar(features, [&](auto zero) {
    using T = decltype(zero);
    WarpGrid<T> grid{};
    grid.pictures = features.size(0);
    grid.channels = static_cast<int>(features.size(1));
    grid.source_height = static_cast<int>(features.size(2));
    grid.source_width = static_cast<int>(features.size(3));
    grid.channels_last = channels_last;
    read_target(arguments, flow, visibility, grid);
    check_size(arguments, "flow", features.size(1), flow.size(2), flow.size(3));
    const int64_t B = grid.pictures, C = grid.channels, H = grid.height, W = grid.width;
    warped = empty_picture(features, channels_last, {B, C, H, W});
    layers = empty_picture(features, channels_last, {B, apart ? 2 * C : 0, H, W});
    run(Device(),
        WarpParams<T>{grid, features.const_data_ptr<T>(), static_cast<T>(background),
                      warped.mutable_data_ptr<T>(), apart ? layers.mutable_data_ptr<T>() : nullptr},
        features);
  });
  return {warped, layers};
}

template <typename Device>
std::tuple<Tensor, Tensor> warp_backward(const Tensor& grad_warped, const MaybeTensor& grad_layers,
                                         const MaybeTensor& features, const Tensor& flow,
                                         const MaybeTensor& visibility, int64_t height,
                                         int64_t width, bool to_features) {
  const Arguments arguments("warp_backward", grad_warped, "grad_warped");
  const bool channels_last = !grad_warped.is_contiguous() ||
                             (grad_layers && !grad_layers->is_contiguous()) ||
                             (features && !features->is_contiguous());
  arguments.picture("grad_warped", grad_warped, {kAny, kAny, kAny, kAny}, channels_last);
  const int64_t B = grad_warped.size(0), C = grad_warped.size(1);
  const int64_t H = grad_warped.size(2), W = grad_warped.size(3);
  check_size(arguments, "height and width", C, height, width);
  if (grad_layers) {
    arguments.picture("grad_layers", *grad_layers, {B, 2 * C, H, W}, channels_last);
    if (!visibility) arguments.fail("visibility", "a tensor, to tell layers apart", "none");
  }
  if (features) arguments.picture("features", *features, {B, C, height, width}, channels_last);
  arguments.picture("flow", flow, {B, 2, H, W}, !flow.is_contiguous());
  const int64_t some = to_features ? B : 0;
  Tensor grad_features = empty_picture(grad_warped, channels_last, {some, C, height, width});
  Tensor grad_flow = empty_picture(flow, !flow.is_contiguous(), {features ? B : 0, 2, H, W});
  with_scalar(grad_warped, [&](auto zero) {
    using T = decltype(zero);
    WarpBackwardParams<T> params{};
    params.grid.pictures = B;
    params.grid.channels = static_cast<int>(C);
    params.grid.source_height = static_cast<int>(height);
    params.grid.source_width = static_cast<int>(width);
    params.grid.channels_last = channels_last;
    read_target(arguments, flow, visibility, params.grid);
    params.grad_warped = grad_warped.const_data_ptr<T>();
    if (grad_layers) params.grad_layers = grad_layers->const_data_ptr<T>();
    if (features) {
      params.features = features->const_data_ptr<T>();
      params.grad_flow = grad_flow.mutable_data_ptr<T>();
    }
    if (to_features) params.grad_features = grad_features.mutable_data_ptr<T>();
    run(Device(), params, grad_warped);
  });
  return {grad_features, grad_flow};
}

void warp_schemas(torch::stable::detail::StableLibrary& library) {
  library.def(
      "warp(Tensor features, Tensor flow, Tensor? visibility, float background, bool apart)"
      " -> (Tensor warped, Tensor layers)");
  library.def(
      "warp_backward(Tensor grad_warped, Tensor? grad_layers, Tensor? features, Tensor flow,"
      " Tensor? visibility, int height, int width, bool to_features)"
      " -> (Tensor grad_features, Tensor grad_flow)");
}

template <typename Device>
void warp_kernels(torch::stable::detail::StableLibrary& library) {
  library.impl("warp", TORCH_BOX(&warp<Device>));
  library.impl("warp_backward", TORCH_BOX(&warp_backward<Device>));
}

BODYREG_LIBRARY(warp)

}  // namespace
}  // namespace bodyreg
