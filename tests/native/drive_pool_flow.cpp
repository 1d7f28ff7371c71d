#include "../../csrc/pool_flow/pool_flow.h"
#include "../../csrc/pool_flow/pool_flow_math.h"
#include "driver.h"

using namespace bodyreg;

template <typename T>
void drive(std::int64_t pictures, int height, int width, int factor, bool masked) {
  const std::int64_t pixels = std::int64_t{height} * width;
  const std::int64_t rows = windows_of(height, factor);
  const std::int64_t windows = rows * windows_of(width, factor);
  const auto flow = driver::normal<T>(2 * pictures * pixels);
  const auto grad = driver::normal<T>(2 * pictures * windows);
  std::vector<std::uint8_t> visibility;
  for (std::int32_t code : driver::indices(pictures * pixels, 4)) {
    visibility.push_back(static_cast<std::uint8_t>(code));
  }
  std::vector<T> results[2][3];
  for (int on_cpu = 0; on_cpu < 2; ++on_cpu) {
    auto& r = results[on_cpu];
    r[0] = driver::unwritten<T>(2 * pictures * windows);
    r[1] = driver::unwritten<T>(2 * pictures * pixels);
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(pictures * windows), 9);
    const PoolFlowParams<T> forward{
        pictures,    height,      width,   factor,      masked,
        pixels,      1,           windows, flow.data(), visibility.data(),
        r[0].data(), codes.data()};
    const PoolFlowBackwardParams<T> backward{
        pictures,          height,     width, factor, masked, pixels, 1, windows, grad.data(),
        visibility.data(), r[1].data()};
    if (on_cpu) {
      baseline::pool_flow_forward_cpu(forward, 0, pictures * rows);
      baseline::pool_flow_backward_cpu(backward, 0, pictures * rows);
    } else {
      pool_flow_forward_cuda(forward, nullptr);
      pool_flow_backward_cuda(backward, nullptr);
    }
    r[2].assign(codes.begin(), codes.end());
  }
  driver::compare("flow", results[0][0], results[1][0]);
  driver::compare("grad_flow", results[0][1], results[1][1]);
  driver::compare("visibility", results[0][2], results[1][2], T(0));
}

int main() {
  for (bool masked : {false, true}) {
    for (int factor : {1, 2, 3, 8, 40}) {
      drive<float>(3, 33, 31, factor, masked);
      drive<double>(1, 5, 70, factor, masked);
    }
  }
  drive<float>(2, 0, 5, 2, true);
}
