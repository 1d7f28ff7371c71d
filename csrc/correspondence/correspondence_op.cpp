#include <algorithm>
#include <atomic>
#include <tuple>

#include "../common/joint_ids.h"
#include "../common/library.h"
#include "correspondence.h"

namespace bodyreg {
namespace {

// The fewest people worth a thread of their own: about 1,000 influences.
template <typename T>
int64_t grain(const CorrespondenceParams<T>& p) {
  return std::max<int64_t>(1, 1024 / std::max<int64_t>(1, p.points * p.influences));
}

// Calls f(begin, end) on ranges of people, and returns whether all joint ids are in range; f is not
// called for a range with a wrong one. The ids are checked just before f reads them, while they are
// in the cache.
template <typename T, typename F>
bool for_people(const CorrespondenceParams<T>& p, const F& f) {
  const int64_t ids = p.points * p.influences;
  std::atomic<bool> fit{true};
  Cpu::parallel(p.people, grain(p), [&](int64_t b, int64_t e) {
    if (joint_ids_fit(p.joint_ids + b * ids, (e - b) * ids, p.joints)) {
      f(b, e);
    } else {
      fit = false;
    }
  });
  return fit;
}

// Each returns whether the joint ids are in range; on a device that is not checked.
template <typename T>
bool run(Cpu, const CorrespondenceParams<T>& p, const Tensor&) {
  return for_people(p, [&](int64_t b, int64_t e) { correspondence_forward_cpu(p, b, e); });
}
template <typename T>
bool run(Cpu, const CorrespondenceBackwardParams<T>& p, const Tensor&) {
  return for_people(p.forward, [&](int64_t b, int64_t e) { correspondence_backward_cpu(p, b, e); });
}
template <typename T>
bool run(Cuda, const CorrespondenceParams<T>& p, const Tensor& on) {
  Cuda::launch(on, [&](cudaStream_t stream) { correspondence_forward_cuda(p, stream); });
  return true;
}
template <typename T>
bool run(Cuda, const CorrespondenceBackwardParams<T>& p, const Tensor& on) {
  Cuda::launch(on, [&](cudaStream_t stream) { correspondence_backward_cuda(p, stream); });
  return true;
}

// The tensors of a forward call; a backward call has them too.
struct Inputs {
  const Tensor& transforms;
  const Tensor& rotation;
  const Tensor& scale;
  const Tensor& translation;
  const Tensor& joint_ids;
  const Tensor& anchors;
  const Tensor& targets;
  const Tensor& weights;
  double width;

  void check(const Arguments& arguments) const {
    arguments.real("transforms", transforms, {kAny, kAny, 3, 4});
    const int64_t B = transforms.size(0), J = transforms.size(1);
    if (J < 1 || J > kMaxJoints) {
      arguments.fail("transforms", "1 to " + std::to_string(kMaxJoints) + " joints",
                     std::to_string(J));
    }
    arguments.real("rotation", rotation, {B, 3, 3});
    arguments.real("scale", scale, {B});
    arguments.real("translation", translation, {B, 2});
    arguments.index("joint_ids", joint_ids, {B, kAny, kAny});
    const int64_t P = joint_ids.size(1), K = joint_ids.size(2);
    arguments.real("anchors", anchors, {B, P, K, 4});
    arguments.real("targets", targets, {B, P, 2});
    arguments.real("weights", weights, {B, P});
    if (!(width > 0)) arguments.fail("width", "a positive number", std::to_string(width));
  }

  template <typename T>
  CorrespondenceParams<T> params(T* loss) const {
    return {transforms.size(0),
            joint_ids.size(1),
            static_cast<int>(joint_ids.size(2)),
            static_cast<int>(transforms.size(1)),
            static_cast<T>(width),
            transforms.const_data_ptr<T>(),
            rotation.const_data_ptr<T>(),
            scale.const_data_ptr<T>(),
            translation.const_data_ptr<T>(),
            joint_ids.const_data_ptr<int32_t>(),
            anchors.const_data_ptr<T>(),
            targets.const_data_ptr<T>(),
            weights.const_data_ptr<T>(),
            loss};
  }
};

template <typename Device>
Tensor correspondence(const Tensor& transforms, const Tensor& rotation, const Tensor& scale,
                      const Tensor& translation, const Tensor& joint_ids, const Tensor& anchors,
                      const Tensor& targets, const Tensor& weights, double width) {
  const Arguments arguments("correspondence", transforms, "transforms");
  const Inputs in{transforms, rotation, scale,   translation, joint_ids,
                  anchors,    targets,  weights, width};
  in.check(arguments);
  Tensor loss = empty_like(transforms, {transforms.size(0)});
  with_scalar(transforms, [&](auto zero) {
    using T = decltype(zero);
    if (!run(Device(), in.params(loss.mutable_data_ptr<T>()), transforms)) {
      check_joint_ids(Device(), arguments, joint_ids, transforms.size(1));
    }
  });
  return loss;
}

template <typename Device>
std::tuple<Tensor, Tensor, Tensor, Tensor> correspondence_backward(
    const Tensor& grad_loss, const Tensor& transforms, const Tensor& rotation, const Tensor& scale,
    const Tensor& translation, const Tensor& joint_ids, const Tensor& anchors,
    const Tensor& targets, const Tensor& weights, double width) {
  const Arguments arguments("correspondence_backward", transforms, "transforms");
  const Inputs in{transforms, rotation, scale,   translation, joint_ids,
                  anchors,    targets,  weights, width};
  in.check(arguments);
  const int64_t B = transforms.size(0), J = transforms.size(1);
  arguments.real("grad_loss", grad_loss, {B});
  Tensor grad_transforms = empty_like(transforms, {B, J, 3, 4});
  Tensor grad_rotation = empty_like(transforms, {B, 3, 3});
  Tensor grad_scale = empty_like(transforms, {B});
  Tensor grad_translation = empty_like(transforms, {B, 2});
  with_scalar(transforms, [&](auto zero) {
    using T = decltype(zero);
    const CorrespondenceBackwardParams<T> params{in.params<T>(nullptr),
                                                 grad_loss.const_data_ptr<T>(),
                                                 grad_transforms.mutable_data_ptr<T>(),
                                                 grad_rotation.mutable_data_ptr<T>(),
                                                 grad_scale.mutable_data_ptr<T>(),
                                                 grad_translation.mutable_data_ptr<T>()};
    if (!run(Device(), params, transforms)) {
      check_joint_ids(Device(), arguments, joint_ids, J);
    }
  });
  return {grad_transforms, grad_rotation, grad_scale, grad_translation};
}

void correspondence_schemas(torch::stable::detail::StableLibrary& library) {
  library.def(
      "correspondence(Tensor transforms, Tensor rotation, Tensor scale, Tensor translation,"
      " Tensor joint_ids, Tensor anchors, Tensor targets, Tensor weights, float width) -> Tensor");
  library.def(
      "correspondence_backward(Tensor grad_loss, Tensor transforms, Tensor rotation, Tensor scale,"
      " Tensor translation, Tensor joint_ids, Tensor anchors, Tensor targets, Tensor weights,"
      " float width) -> (Tensor grad_transforms, Tensor grad_rotation, Tensor grad_scale,"
      " Tensor grad_translation)");
}

template <typename Device>
void correspondence_kernels(torch::stable::detail::StableLibrary& library) {
  library.impl("correspondence", TORCH_BOX(&correspondence<Device>));
  library.impl("correspondence_backward", TORCH_BOX(&correspondence_backward<Device>));
}

BODYREG_LIBRARY(correspondence)

}  // namespace
}  // namespace bodyreg
