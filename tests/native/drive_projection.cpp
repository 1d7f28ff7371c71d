#include "../../csrc/projection/projection.h"
#include "driver.h"

using namespace bodyreg;

template <typename T>
void drive(std::int64_t people, std::int64_t points) {
  const auto model = driver::normal<T>(people * points * 3),
             rotation = driver::normal<T>(people * 9);
  const auto scale = driver::normal<T>(people), translation = driver::normal<T>(people * 2);
  auto perspective = driver::normal<T>(people * 3);
  for (std::int64_t b = 0; b < people; ++b) perspective[3 * b] = T(b % 3) / 4;  // some are weak
  const auto grad_xy = driver::normal<T>(people * points * 2);
  const auto grad_depth = driver::normal<T>(people * points);
  const std::int64_t sizes[7] = {people * points * 2, people * points, people * points * 3,
                                 people * 9,          people,          people * 2,
                                 people * 3};

  std::vector<T> results[2][7];
  for (int on_cpu = 0; on_cpu < 2; ++on_cpu) {
    auto& r = results[on_cpu];
    for (int i = 0; i < 7; ++i) r[i] = driver::unwritten<T>(sizes[i]);
    const CameraParams<T> camera{rotation.data(), scale.data(), translation.data(),
                                 perspective.data()};
    const ProjectionParams<T> forward{people, points,      model.data(),
                                      camera, r[0].data(), r[1].data()};
    const ProjectionBackwardParams<T> backward{
        people,      points,      model.data(), camera,      grad_xy.data(), grad_depth.data(),
        r[2].data(), r[3].data(), r[4].data(),  r[5].data(), r[6].data()};
    if (on_cpu) {
      baseline::projection_forward_cpu(forward, 0, people);
      baseline::projection_backward_cpu(backward, 0, people);
    } else {
      projection_forward_cuda(forward, nullptr);
      projection_backward_cuda(backward, nullptr);
    }
  }
  const char* names[7] = {"xy",
                          "depth",
                          "grad_points",
                          "grad_rotation",
                          "grad_scale",
                          "grad_translation",
                          "grad_perspective"};
  for (int i = 0; i < 7; ++i) driver::compare(names[i], results[0][i], results[1][i]);
}

// Well-conditioned matrices: near the identity, so that the two roundings stay close.
template <typename T>
void drive_gram_schmidt(std::int64_t people, bool six) {
  auto matrix = driver::normal<T>(people * 9);
  for (std::size_t i = 0; i < matrix.size(); ++i) {
    matrix[i] = matrix[i] / 8 + (i % 9 % 4 == 0 ? T(1) : T(0));
  }
  const auto grad = driver::normal<T>(people * 9);
  std::vector<T> results[2][2];
  for (int on_cpu = 0; on_cpu < 2; ++on_cpu) {
    auto& r = results[on_cpu];
    for (auto& result : r) result = driver::unwritten<T>(people * 9);
    const GramSchmidtParams<T> forward{people, six, matrix.data(), r[0].data()};
    const GramSchmidtBackwardParams<T> backward{people, six, matrix.data(), grad.data(),
                                                r[1].data()};
    if (on_cpu) {
      baseline::gram_schmidt_forward_cpu(forward, 0, people);
      baseline::gram_schmidt_backward_cpu(backward, 0, people);
    } else {
      gram_schmidt_forward_cuda(forward, nullptr);
      gram_schmidt_backward_cuda(backward, nullptr);
    }
  }
  driver::compare("gram_schmidt", results[0][0], results[1][0]);
  driver::compare("grad_matrix", results[0][1], results[1][1]);
}

int main() {
  for (std::int64_t points : {0, 1, 33, 1100}) {
    drive<float>(2, points);
    drive<double>(1, points);
  }
  drive<float>(19, 33);  // more people than blocks
  for (bool six : {false, true}) {
    drive_gram_schmidt<float>(131, six);
    drive_gram_schmidt<double>(1, six);
  }
}
