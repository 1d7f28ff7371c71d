#include <algorithm>
#include <numeric>

#include "../../csrc/warp/warp.h"
#include "driver.h"

using namespace bodyreg;

// codes: 0 no visibility, 1 background is left out, 2 layers.
template <typename T>
void drive(std::int64_t pictures, int channels, int source_height, int source_width, int height,
           int width, bool channels_last, int codes) {
  const std::int64_t pixels = std::int64_t{height} * width;
  const std::int64_t sources = std::int64_t{source_height} * source_width;
  const std::int64_t results = pictures * channels * pixels;
  auto flow = driver::normal<T>(2 * pictures * pixels);
  for (T& step : flow) step *= 4;
  const auto features = driver::normal<T>(pictures * channels * sources);
  const auto grad_warped = driver::normal<T>(results);
  const auto grad_layers = driver::normal<T>(codes == 2 ? 2 * results : 0);
  std::vector<std::uint8_t> visibility;
  for (std::int32_t code : driver::indices(codes == 0 ? 0 : pictures * pixels, 4)) {
    visibility.push_back(static_cast<std::uint8_t>(code));
  }
  const WarpGrid<T> grid{pictures,
                         channels,
                         source_height,
                         source_width,
                         height,
                         width,
                         channels_last,
                         flow.data(),
                         pixels,
                         1,
                         codes == 0 ? nullptr : visibility.data()};
  std::vector<T> results_of[2][4];
  for (int on_cpu = 0; on_cpu < 2; ++on_cpu) {
    auto& r = results_of[on_cpu];
    r[0] = driver::unwritten<T>(results);
    r[1] = driver::unwritten<T>(codes == 2 ? 2 * results : 0);
    r[2] = driver::unwritten<T>(pictures * channels * sources);
    r[3] = driver::unwritten<T>(2 * pictures * pixels);
    const WarpParams<T> forward{grid, features.data(), T(0.5), r[0].data(),
                                codes == 2 ? r[1].data() : nullptr};
    WarpBackwardParams<T> backward{};
    backward.grid = grid;
    backward.grad_warped = grad_warped.data();
    backward.grad_layers = codes == 2 ? grad_layers.data() : nullptr;
    backward.features = features.data();
    backward.grad_features = r[2].data();
    backward.grad_flow = r[3].data();
    if (on_cpu) {
      const std::int64_t blocks = warp_blocks(channels);
      auto partial = driver::unwritten<T>(channels_last ? 0 : pictures * blocks * 2 * pixels);
      backward.slices = 1;
      backward.partial = partial.data();
      baseline::warp_forward_cpu(forward, 0, pictures * (channels_last ? height : blocks));
      baseline::warp_backward_cpu(backward, 0, pictures * (channels_last ? 1 : blocks));
      if (!channels_last) baseline::warp_backward_sum_cpu(backward, 0, pictures);
    } else {
      std::vector<std::int32_t> cells(static_cast<std::size_t>(pictures * pixels), -1);
      backward.cells = cells.data();
      warp_cells_cuda(backward, nullptr);
      std::vector<std::int64_t> order(cells.size());
      std::iota(order.begin(), order.end(), std::int64_t{0});
      std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
        return cells[static_cast<std::size_t>(a)] < cells[static_cast<std::size_t>(b)];
      });
      std::vector<std::int32_t> sorted;
      for (std::int64_t i : order) sorted.push_back(cells[static_cast<std::size_t>(i)]);
      std::vector<std::int64_t> starts(static_cast<std::size_t>(warp_starts(grid)), -1);
      backward.sorted = sorted.data();
      backward.order = order.data();
      backward.starts = starts.data();
      warp_forward_cuda(forward, nullptr);
      warp_backward_cuda(backward, nullptr);
    }
  }
  const char* names[4] = {"warped", "layers", "grad_features", "grad_flow"};
  for (int i = 0; i < 4; ++i) driver::compare(names[i], results_of[0][i], results_of[1][i]);
}

int main() {
  for (bool channels_last : {false, true}) {
    for (int codes : {0, 1, 2}) {
      drive<float>(2, 12, 9, 11, 9, 11, channels_last, codes);
      drive<float>(1, 5, 4, 7, 13, 3, channels_last, codes);
      drive<double>(2, 6, 5, 6, 7, 8, channels_last, codes);
      drive<double>(1, 3, 1, 5, 2, 5, channels_last, codes);
    }
    drive<float>(1, 1, 1, 1, 1, 1, channels_last, 0);
    drive<float>(19, 2, 3, 40, 3, 40, channels_last, 1);  // more pictures than blocks are high
    drive<float>(2, 4, 3, 3, 0, 5, channels_last, 0);
  }
}
