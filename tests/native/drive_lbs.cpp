#include "../../csrc/lbs/lbs.h"
#include "driver.h"

using namespace bodyreg;

template <typename T>
struct Results {
  std::vector<T> points, grad_transforms, grad_anchors;
};

// own_ids, own_anchors: each person's own instead of shared by all.
template <typename T>
void drive(std::int64_t people, std::int64_t points, int influences, int joints, bool own_ids,
           bool own_anchors) {
  const std::int64_t entries = points * influences;
  const std::int64_t ids_stride = own_ids ? entries : 0;
  const std::int64_t anchors_stride = own_anchors ? 4 * entries : 0;
  const std::int64_t anchor_numbers = 4 * entries * (own_anchors ? people : 1);
  const auto transforms = driver::normal<T>(people * joints * 12);
  const auto ids = driver::indices(entries * (own_ids ? people : 1), joints);
  auto anchors = driver::normal<T>(anchor_numbers);
  for (std::int64_t i = 0; i < anchor_numbers; ++i) {
    if (i / 4 % 3 == 2) anchors[static_cast<std::size_t>(i)] = 0;  // padding
  }
  const auto grad = driver::normal<T>(people * points * 3);

  Results<T> results[2];
  for (int on_cpu = 0; on_cpu < 2; ++on_cpu) {
    Results<T>& r = results[on_cpu];
    r.points = driver::unwritten<T>(people * points * 3);
    r.grad_transforms = driver::unwritten<T>(people * joints * 12);
    r.grad_anchors = driver::unwritten<T>(anchor_numbers);
    auto partial = driver::unwritten<T>(lbs_partial_elements(people, points, joints));
    std::vector<std::int32_t> list(static_cast<std::size_t>(own_ids ? 0 : joints * entries), -1);
    std::vector<std::int32_t> count(static_cast<std::size_t>(own_ids ? 0 : joints), -1);
    const LbsParams<T> forward{
        people,     points,     influences,     joints,         transforms.data(),
        ids.data(), ids_stride, anchors.data(), anchors_stride, r.points.data()};
    const LbsBackwardTransformsParams<T> to_transforms{
        people,         points,      influences,     joints,         grad.data(),
        ids.data(),     ids_stride,  anchors.data(), anchors_stride, r.grad_transforms.data(),
        partial.data(), list.data(), count.data()};
    const LbsBackwardAnchorsParams<T> to_anchors{people,        points,      influences,
                                                 joints,        grad.data(), transforms.data(),
                                                 ids.data(),    ids_stride,  r.grad_anchors.data(),
                                                 anchors_stride};
    if (on_cpu) {
      const std::int64_t blocks = lbs_blocks(people, points);
      baseline::lbs_forward_cpu(forward, 0, blocks);
      baseline::lbs_backward_transforms_partial_cpu(to_transforms, 0, blocks);
      baseline::lbs_backward_transforms_sum_cpu(to_transforms, 0, lbs_people_blocks(people));
      baseline::lbs_backward_anchors_cpu(to_anchors, 0, points);
    } else {
      lbs_forward_cuda(forward, nullptr);
      lbs_backward_transforms_cuda(to_transforms, nullptr);
      lbs_backward_anchors_cuda(to_anchors, nullptr);
    }
  }
  driver::compare("points", results[0].points, results[1].points);
  driver::compare("grad_transforms", results[0].grad_transforms, results[1].grad_transforms);
  driver::compare("grad_anchors", results[0].grad_anchors, results[1].grad_anchors);
}

int main() {
  for (bool own_ids : {false, true}) {
    for (bool own_anchors : {false, true}) {
      drive<float>(9, 131, 4, 3, own_ids, own_anchors);
      drive<double>(2, 33, 3, 2, own_ids, own_anchors);
    }
  }
  drive<float>(70, 131, 1, 2, false, false);  // more tiles than blocks
  drive<float>(19, 9, 2, 3, true, true);
  drive<float>(1, 1, 1, 1, false, false);
  drive<float>(2, 0, 4, 5, false, false);
  drive<double>(2, 33, 2, 128, true, true);  // tables and transforms past 48 KB of shared memory
}
