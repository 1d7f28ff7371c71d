#include "../../csrc/kinematics/kinematics.h"
#include "driver.h"

using namespace bodyreg;

template <typename T>
void drive(std::int64_t people, int joints, bool shared_rest) {
  Tree tree{joints, {-1}};
  for (int k = 1; k < joints; ++k) {
    tree.parent[k] = static_cast<std::int8_t>(driver::indices(1, k < 3 ? 1 : k)[0]);
  }
  const std::int64_t each = people * joints;
  const std::int64_t rest_stride = shared_rest ? 0 : 3 * joints;
  const auto rotations = driver::normal<T>(each * 9), scale = driver::normal<T>(each);
  const auto rest = driver::normal<T>(shared_rest ? 3 * joints : 3 * each);
  const auto grad_transforms = driver::normal<T>(each * 12);
  const auto grad_positions = driver::normal<T>(each * 3);

  std::vector<T> results[2][5];
  for (int on_cpu = 0; on_cpu < 2; ++on_cpu) {
    auto& r = results[on_cpu];
    const std::int64_t sizes[5] = {12 * each, 3 * each, 9 * each, each, 3 * each};
    for (int i = 0; i < 5; ++i) r[i] = driver::unwritten<T>(sizes[i]);
    const KinematicsParams<T> forward{people,      tree,        rotations.data(), scale.data(),
                                      rest.data(), rest_stride, r[0].data(),      r[1].data()};
    const KinematicsBackwardParams<T> backward{people,
                                               tree,
                                               rotations.data(),
                                               scale.data(),
                                               rest.data(),
                                               rest_stride,
                                               grad_transforms.data(),
                                               grad_positions.data(),
                                               r[2].data(),
                                               r[3].data(),
                                               r[4].data()};
    if (on_cpu) {
      baseline::kinematics_forward_cpu(forward, 0, people);
      baseline::kinematics_backward_cpu(backward, 0, people);
    } else {
      kinematics_forward_cuda(forward, nullptr);
      kinematics_backward_cuda(backward, nullptr);
    }
  }
  const char* names[5] = {"transforms", "positions", "grad_rotations", "grad_segment_scale",
                          "grad_rest_joints"};
  for (int i = 0; i < 5; ++i) driver::compare(names[i], results[0][i], results[1][i]);
}

int main() {
  for (int joints : {1, 24, 40}) {
    drive<float>(5, joints, true);
    drive<double>(9, joints, false);
  }
  drive<float>(70, 3, true);  // more people than the grid has warps
  drive<float>(0, 24, true);
  drive<double>(3, kMaxJoints, true);
}
