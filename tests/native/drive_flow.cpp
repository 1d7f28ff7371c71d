#include "../../csrc/flow/flow.h"
#include "driver.h"

using namespace bodyreg;

template <typename T>
void drive(std::int64_t pairs, std::int64_t faces, int height, int width, int source_height,
           int source_width, bool perspective) {
  const std::int64_t vertices = 40, pixels = pairs * height * width;
  auto positions = driver::normal<T>(pairs * vertices * 3);
  for (std::size_t i = 0; i < positions.size(); ++i) {
    T& x = positions[i];
    if (i % 3 == 2) {
      x = perspective ? T(0.2) - 4 * std::abs(x) : x;
    } else {
      x = T(i % 3 == 0 ? source_width : source_height) * (T(0.5) + T(0.3) * x);
    }
  }
  const auto triangles = driver::indices(3 * faces, static_cast<int>(vertices));
  auto face = driver::indices(pixels, static_cast<int>(faces + 1));
  for (std::int32_t& id : face) id -= 1;  // some are background
  auto barycentric = driver::normal<T>(3 * pixels);
  for (T& share : barycentric) share = std::abs(share) / 3;
  auto depth = driver::normal<T>(pairs * source_height * source_width);
  for (T& z : depth) z = perspective ? -std::abs(z) : z;
  std::vector<T> flow[2];
  std::vector<std::uint8_t> visibility[2];
  for (int on_cpu = 0; on_cpu < 2; ++on_cpu) {
    flow[on_cpu] = driver::unwritten<T>(2 * pixels);
    visibility[on_cpu].assign(static_cast<std::size_t>(pixels), 7);
    const FlowParams<T> params{pairs,
                               vertices,
                               faces,
                               height,
                               width,
                               source_height,
                               source_width,
                               perspective,
                               T(0.5),
                               T(4),
                               face.data(),
                               barycentric.data(),
                               positions.data(),
                               triangles.data(),
                               depth.data(),
                               flow[on_cpu].data(),
                               visibility[on_cpu].data()};
    if (on_cpu) {
      baseline::flow_cpu(params, 0, pairs * height);
    } else {
      flow_cuda(params, nullptr);
    }
  }
  driver::compare("flow", flow[0], flow[1], T(0));
  if (visibility[0] != visibility[1]) {
    std::fprintf(stderr, "visibility: the kernel and the CPU differ\n");
    std::exit(1);
  }
}

int main() {
  for (bool perspective : {false, true}) {
    drive<float>(2, 60, 33, 31, 17, 40, perspective);
    drive<double>(3, 9, 9, 17, 31, 5, perspective);
  }
  drive<float>(1, 30, 65, 70, 9, 9, false);  // more pixels than a grid has threads
  drive<double>(1, 1, 1, 1, 1, 1, false);
  drive<float>(2, 0, 3, 5, 4, 4, false);
}
