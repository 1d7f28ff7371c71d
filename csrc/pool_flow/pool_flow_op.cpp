#include <algorithm>
#include <array>
#include <string>
#include <tuple>

#include "../common/library.h"
#include "pool_flow.h"
#include "pool_flow_math.h"

namespace bodyreg {
namespace {

constexpr int64_t kGrain = 1 << 14;  // the fewest pixels worth a thread of their own

template <typename Params, typename F>
void for_rows(const Params& p, const F& f) {
  const int64_t each = std::max<int64_t>(1, int64_t{p.width} * p.factor);
  Cpu::parallel(p.pictures * windows_of(p.height, p.factor), std::max<int64_t>(1, kGrain / each),
                f);
}

template <typename T>
void run(Cpu, const PoolFlowParams<T>& p, const Tensor&) {
  for_rows(p, [&](int64_t b, int64_t e) { pool_flow_forward_cpu(p, b, e); });
}
template <typename T>
void run(Cpu, const PoolFlowBackwardParams<T>& p, const Tensor&) {
  for_rows(p, [&](int64_t b, int64_t e) { pool_flow_backward_cpu(p, b, e); });
}
template <typename T>
void run(Cuda, const PoolFlowParams<T>& p, const Tensor& on) {
  Cuda::launch(on, [&](cudaStream_t stream) { pool_flow_forward_cuda(p, stream); });
}
template <typename T>
void run(Cuda, const PoolFlowBackwardParams<T>& p, const Tensor& on) {
  Cuda::launch(on, [&](cudaStream_t stream) { pool_flow_backward_cuda(p, stream); });
}

void check_factor(const Arguments& arguments, int64_t factor) {
  if (factor >= 1 && factor <= kMostFactor) return;
  arguments.fail("factor", "1 to " + std::to_string(kMostFactor), std::to_string(factor));
}

template <typename Device>
std::tuple<Tensor, Tensor> pool_flow(const Tensor& flow, const Tensor& visibility, int64_t factor,
                                     bool masked) {
  const Arguments arguments("pool_flow", flow, "flow");
  const bool channels_last = !flow.is_contiguous();
  arguments.picture("flow", flow, {kAny, 2, kAny, kAny}, channels_last);
  const int64_t B = flow.size(0), H = flow.size(2), W = flow.size(3);
  arguments.typed("visibility", visibility, ScalarType::Byte, {B, H, W});
  check_factor(arguments, factor);
  const int k = static_cast<int>(factor), height = static_cast<int>(H), width = static_cast<int>(W);
  const int64_t rows = windows_of(height, k), columns = windows_of(width, k);
  Tensor out = empty_picture(flow, channels_last, {B, 2, rows, columns});
  Tensor codes = torch::stable::new_empty(visibility, {B, rows, columns});
  with_scalar(flow, [&](auto zero) {
    using T = decltype(zero);
    run(Device(),
        PoolFlowParams<T>{B, height, width, k, masked, channels_last ? 1 : H * W,
                          channels_last ? 2 : 1, channels_last ? 1 : rows * columns,
                          flow.const_data_ptr<T>(), visibility.const_data_ptr<uint8_t>(),
                          out.mutable_data_ptr<T>(), codes.mutable_data_ptr<uint8_t>()},
        flow);
  });
  return {out, codes};
}

template <typename Device>
Tensor pool_flow_backward(const Tensor& grad_flow, const Tensor& visibility, int64_t factor,
                          bool masked) {
  const Arguments arguments("pool_flow_backward", grad_flow, "grad_flow");
  const bool channels_last = !grad_flow.is_contiguous();
  arguments.picture("grad_flow", grad_flow, {kAny, 2, kAny, kAny}, channels_last);
  const int64_t B = grad_flow.size(0);
  arguments.typed("visibility", visibility, ScalarType::Byte, {B, kAny, kAny});
  check_factor(arguments, factor);
  const int64_t H = visibility.size(1), W = visibility.size(2);
  const int k = static_cast<int>(factor), height = static_cast<int>(H), width = static_cast<int>(W);
  const int64_t rows = windows_of(height, k), columns = windows_of(width, k);
  arguments.picture("grad_flow", grad_flow, {B, 2, rows, columns}, channels_last);
  Tensor out = empty_picture(grad_flow, channels_last, {B, 2, H, W});
  with_scalar(grad_flow, [&](auto zero) {
    using T = decltype(zero);
    run(Device(),
        PoolFlowBackwardParams<T>{B, height, width, k, masked, channels_last ? 1 : H * W,
                                  channels_last ? 2 : 1, channels_last ? 1 : rows * columns,
                                  grad_flow.const_data_ptr<T>(),
                                  visibility.const_data_ptr<uint8_t>(), out.mutable_data_ptr<T>()},
        grad_flow);
  });
  return out;
}

void pool_flow_schemas(torch::stable::detail::StableLibrary& library) {
  library.def(
      "pool_flow(Tensor flow, Tensor visibility, int factor, bool masked)"
      " -> (Tensor flow, Tensor visibility)");
  library.def(
      "pool_flow_backward(Tensor grad_flow, Tensor visibility, int factor, bool masked) -> Tensor");
}

template <typename Device>
void pool_flow_kernels(torch::stable::detail::StableLibrary& library) {
  library.impl("pool_flow", TORCH_BOX(&pool_flow<Device>));
  library.impl("pool_flow_backward", TORCH_BOX(&pool_flow_backward<Device>));
}

BODYREG_LIBRARY(pool_flow)

}  // namespace
}  // namespace bodyreg
