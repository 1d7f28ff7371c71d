#include "../../csrc/correspondence/correspondence.h"
#include "driver.h"

using namespace bodyreg;

template <typename T>
void drive(std::int64_t people, std::int64_t points, int influences, int joints, T width) {
  const std::int64_t entries = people * points * influences;
  const auto transforms = driver::normal<T>(people * joints * 12);
  const auto rotation = driver::normal<T>(people * 9), scale = driver::normal<T>(people);
  const auto translation = driver::normal<T>(people * 2), anchors = driver::normal<T>(entries * 4);
  const auto ids = driver::indices(entries, joints);
  const auto targets = driver::normal<T>(people * points * 2);
  const auto grad_loss = driver::normal<T>(people);
  auto weights = driver::normal<T>(people * points);
  for (std::size_t i = 0; i < weights.size(); i += 3) weights[i] = 0;
  const std::int64_t sizes[5] = {people, people * joints * 12, people * 9, people, people * 2};

  std::vector<T> results[2][5];
  for (int on_cpu = 0; on_cpu < 2; ++on_cpu) {
    auto& r = results[on_cpu];
    for (int i = 0; i < 5; ++i) r[i] = driver::unwritten<T>(sizes[i]);
    const CorrespondenceParams<T> forward{people,          points,         influences,
                                          joints,          width,          transforms.data(),
                                          rotation.data(), scale.data(),   translation.data(),
                                          ids.data(),      anchors.data(), targets.data(),
                                          weights.data(),  r[0].data()};
    const CorrespondenceBackwardParams<T> backward{forward,     grad_loss.data(), r[1].data(),
                                                   r[2].data(), r[3].data(),      r[4].data()};
    if (on_cpu) {
      baseline::correspondence_forward_cpu(forward, 0, people);
      baseline::correspondence_backward_cpu(backward, 0, people);
    } else {
      correspondence_forward_cuda(forward, nullptr);
      correspondence_backward_cuda(backward, nullptr);
    }
  }
  const char* names[5] = {"loss", "grad_transforms", "grad_rotation", "grad_scale",
                          "grad_translation"};
  for (int i = 0; i < 5; ++i) driver::compare(names[i], results[0][i], results[1][i]);
}

int main() {
  for (std::int64_t points : {0, 1, 33, 70}) {
    drive<float>(7, points, 4, 24, std::numeric_limits<float>::infinity());
    drive<double>(2, points, 3, 5, 0.5);
  }
  drive<float>(19, 9, 2, 3, 0.5f);    // more people than blocks
  drive<double>(2, 33, 2, 128, 0.5);  // tables past 48 KB of shared memory
}
