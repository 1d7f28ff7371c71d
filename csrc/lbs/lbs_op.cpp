#include "../common/joint_ids.h"
#include "../common/library.h"
#include "lbs.h"

namespace bodyreg {
namespace {

template <typename T>
void run(Cpu, const LbsParams<T>& p, const Tensor&) {
  Cpu::parallel(lbs_blocks(p.people, p.points), 1,
                [&](int64_t b, int64_t e) { lbs_forward_cpu(p, b, e); });
}
template <typename T>
void run(Cuda, const LbsParams<T>& p, const Tensor& on) {
  Cuda::launch(on, [&](cudaStream_t stream) { lbs_forward_cuda(p, stream); });
}

template <typename T>
void run(Cpu, LbsBackwardTransformsParams<T> p, const Tensor& like) {
  Tensor partial = empty_like(like, {lbs_partial_elements(p.people, p.points, p.joints)});
  p.partial = partial.mutable_data_ptr<T>();
  Cpu::parallel(lbs_blocks(p.people, p.points), 1,
                [&](int64_t b, int64_t e) { lbs_backward_transforms_partial_cpu(p, b, e); });
  Cpu::parallel(lbs_people_blocks(p.people), 8,
                [&](int64_t b, int64_t e) { lbs_backward_transforms_sum_cpu(p, b, e); });
}
template <typename T>
void run(Cuda, LbsBackwardTransformsParams<T> p, const Tensor& on) {
  const bool shared = p.joint_ids_stride == 0;
  Tensor entries = empty_index(on, {shared ? p.joints : 0, p.points * p.influences});
  Tensor entry_count = empty_index(on, {shared ? p.joints : 0});
  if (shared) {
    p.entries = entries.mutable_data_ptr<int32_t>();
    p.entry_count = entry_count.mutable_data_ptr<int32_t>();
  }
  Cuda::launch(on, [&](cudaStream_t stream) { lbs_backward_transforms_cuda(p, stream); });
}

template <typename T>
void run(Cpu, const LbsBackwardAnchorsParams<T>& p, const Tensor&) {
  Cpu::parallel(p.points, 64, [&](int64_t b, int64_t e) { lbs_backward_anchors_cpu(p, b, e); });
}
template <typename T>
void run(Cuda, const LbsBackwardAnchorsParams<T>& p, const Tensor& on) {
  Cuda::launch(on, [&](cudaStream_t stream) { lbs_backward_anchors_cuda(p, stream); });
}

// The sizes of a call. Joint ids and anchors are shared by all people, or each person's own.
struct Sizes {
  int64_t people, points;
  int influences, joints;
  int64_t joint_ids_stride, anchors_stride;
};

void check_transforms(const Arguments& arguments, const Tensor& transforms, Sizes& sizes) {
  arguments.real("transforms", transforms, {kAny, kAny, 3, 4});
  sizes.people = transforms.size(0);
  sizes.joints = static_cast<int>(transforms.size(1));
}

void check_joints(const Arguments& arguments, int64_t joints) {
  if (joints < 1 || joints > kMaxJoints) {
    arguments.fail("transforms", "1 to " + std::to_string(kMaxJoints) + " joints",
                   std::to_string(joints));
  }
}

void check_rig_points(const Arguments& arguments, const Tensor& joint_ids, Sizes& sizes) {
  if (joint_ids.dim() == 3) {
    arguments.index("joint_ids", joint_ids, {sizes.people, kAny, kAny});
  } else {
    arguments.index("joint_ids", joint_ids, {kAny, kAny});
  }
  sizes.points = joint_ids.size(joint_ids.dim() - 2);
  sizes.influences = static_cast<int>(joint_ids.size(joint_ids.dim() - 1));
  sizes.joint_ids_stride = joint_ids.dim() == 3 ? sizes.points * sizes.influences : 0;
}

void check_anchors(const Arguments& arguments, const Tensor& anchors, Sizes& sizes) {
  if (anchors.dim() == 4) {
    arguments.real("anchors", anchors, {sizes.people, sizes.points, sizes.influences, 4});
    sizes.anchors_stride = sizes.points * sizes.influences * 4;
  } else {
    arguments.real("anchors", anchors, {sizes.points, sizes.influences, 4});
  }
}

template <typename Device>
Tensor lbs(const Tensor& transforms, const Tensor& joint_ids, const Tensor& anchors) {
  const Arguments arguments("lbs", transforms, "transforms");
  Sizes s{};
  check_transforms(arguments, transforms, s);
  check_joints(arguments, s.joints);
  check_rig_points(arguments, joint_ids, s);
  check_anchors(arguments, anchors, s);
  check_joint_ids(Device(), arguments, joint_ids, s.joints);
  Tensor points = empty_like(transforms, {s.people, s.points, 3});
  with_scalar(transforms, [&](auto zero) {
    using T = decltype(zero);
    run(Device(),
        LbsParams<T>{s.people, s.points, s.influences, s.joints, transforms.const_data_ptr<T>(),
                     joint_ids.const_data_ptr<int32_t>(), s.joint_ids_stride,
                     anchors.const_data_ptr<T>(), s.anchors_stride, points.mutable_data_ptr<T>()},
        transforms);
  });
  return points;
}

template <typename Device>
Tensor lbs_backward_transforms(const Tensor& grad_points, const Tensor& joint_ids,
                               const Tensor& anchors, int64_t joints) {
  const Arguments arguments("lbs_backward_transforms", grad_points, "grad_points");
  check_joints(arguments, joints);
  arguments.real("grad_points", grad_points, {kAny, kAny, 3});
  Sizes s{};
  s.people = grad_points.size(0);
  s.joints = static_cast<int>(joints);
  check_rig_points(arguments, joint_ids, s);
  check_anchors(arguments, anchors, s);
  arguments.real("grad_points", grad_points, {s.people, s.points, 3});
  check_joint_ids(Device(), arguments, joint_ids, joints);
  Tensor grad_transforms = empty_like(grad_points, {s.people, joints, 3, 4});
  with_scalar(grad_points, [&](auto zero) {
    using T = decltype(zero);
    run(Device(),
        LbsBackwardTransformsParams<T>{
            s.people, s.points, s.influences, s.joints, grad_points.const_data_ptr<T>(),
            joint_ids.const_data_ptr<int32_t>(), s.joint_ids_stride, anchors.const_data_ptr<T>(),
            s.anchors_stride, grad_transforms.mutable_data_ptr<T>(), nullptr, nullptr, nullptr},
        grad_points);
  });
  return grad_transforms;
}

template <typename Device>
Tensor lbs_backward_anchors(const Tensor& grad_points, const Tensor& transforms,
                            const Tensor& joint_ids, bool shared) {
  const Arguments arguments("lbs_backward_anchors", grad_points, "grad_points");
  Sizes s{};
  check_transforms(arguments, transforms, s);
  check_joints(arguments, s.joints);
  check_rig_points(arguments, joint_ids, s);
  arguments.real("grad_points", grad_points, {s.people, s.points, 3});
  check_joint_ids(Device(), arguments, joint_ids, s.joints);
  Tensor grad_anchors = shared ? empty_like(grad_points, {s.points, s.influences, 4})
                               : empty_like(grad_points, {s.people, s.points, s.influences, 4});
  with_scalar(grad_points, [&](auto zero) {
    using T = decltype(zero);
    run(Device(),
        LbsBackwardAnchorsParams<T>{
            s.people, s.points, s.influences, s.joints, grad_points.const_data_ptr<T>(),
            transforms.const_data_ptr<T>(), joint_ids.const_data_ptr<int32_t>(), s.joint_ids_stride,
            grad_anchors.mutable_data_ptr<T>(), shared ? 0 : s.points * s.influences * 4},
        grad_points);
  });
  return grad_anchors;
}

void lbs_schemas(torch::stable::detail::StableLibrary& library) {
  library.def("lbs(Tensor transforms, Tensor joint_ids, Tensor anchors) -> Tensor");
  library.def(
      "lbs_backward_transforms(Tensor grad_points, Tensor joint_ids, Tensor anchors, int joints)"
      " -> Tensor");
  library.def(
      "lbs_backward_anchors(Tensor grad_points, Tensor transforms, Tensor joint_ids, bool shared)"
      " -> Tensor");
}

template <typename Device>
void lbs_kernels(torch::stable::detail::StableLibrary& library) {
  library.impl("lbs", TORCH_BOX(&lbs<Device>));
  library.impl("lbs_backward_transforms", TORCH_BOX(&lbs_backward_transforms<Device>));
  library.impl("lbs_backward_anchors", TORCH_BOX(&lbs_backward_anchors<Device>));
}

BODYREG_LIBRARY(lbs)

}  // namespace
}  // namespace bodyreg
