#include <string>
#include <tuple>
#include <vector>

#include "../common/library.h"
#include "kinematics.h"

namespace bodyreg {
namespace {

// People are cheap: fewer than this are not worth a second thread.
constexpr int64_t kGrain = 64;

template <typename T>
void run(Cpu, const KinematicsParams<T>& p, const Tensor&) {
  Cpu::parallel(p.people, kGrain, [&](int64_t b, int64_t e) { kinematics_forward_cpu(p, b, e); });
}
template <typename T>
void run(Cpu, const KinematicsBackwardParams<T>& p, const Tensor&) {
  Cpu::parallel(p.people, kGrain, [&](int64_t b, int64_t e) { kinematics_backward_cpu(p, b, e); });
}
template <typename T>
void run(Cuda, const KinematicsParams<T>& p, const Tensor& on) {
  Cuda::launch(on, [&](cudaStream_t stream) { kinematics_forward_cuda(p, stream); });
}
template <typename T>
void run(Cuda, const KinematicsBackwardParams<T>& p, const Tensor& on) {
  Cuda::launch(on, [&](cudaStream_t stream) { kinematics_backward_cuda(p, stream); });
}

Tree tree_from(const Arguments& arguments, const std::vector<int64_t>& parents) {
  const int64_t joints = static_cast<int64_t>(parents.size());
  if (joints < 1 || joints > kMaxJoints) {
    arguments.fail("parents", "1 to " + std::to_string(kMaxJoints) + " joints",
                   std::to_string(joints));
  }
  Tree tree{};
  tree.joints = static_cast<int>(joints);
  for (int64_t k = 0; k < joints; ++k) {
    const bool valid = k == 0 ? parents[0] == -1 : parents[k] >= 0 && parents[k] < k;
    if (!valid) {
      arguments.fail("parents", "-1 for the root and an earlier joint for every other one",
                     std::to_string(parents[k]) + " for joint " + std::to_string(k));
    }
    tree.parent[k] = static_cast<int8_t>(parents[k]);
  }
  return tree;
}

struct Inputs {
  int64_t people;
  Tree tree;
  int64_t rest_stride;
};

Inputs check(const Arguments& arguments, const Tensor& rotations, const Tensor& segment_scale,
             const Tensor& joints, const std::vector<int64_t>& parents) {
  Inputs in{};
  in.tree = tree_from(arguments, parents);
  const int64_t J = in.tree.joints;
  arguments.real("rotations", rotations, {kAny, J, 3, 3});
  in.people = rotations.size(0);
  arguments.real("segment_scale", segment_scale, {in.people, J});
  if (joints.dim() == 3) {
    arguments.real("joints", joints, {in.people, J, 3});
    in.rest_stride = 3 * J;
  } else {
    arguments.real("joints", joints, {J, 3});
  }
  return in;
}

template <typename Device>
std::tuple<Tensor, Tensor> kinematics(const Tensor& rotations, const Tensor& segment_scale,
                                      const Tensor& joints, std::vector<int64_t> parents) {
  const Arguments arguments("kinematics", rotations, "rotations");
  const Inputs in = check(arguments, rotations, segment_scale, joints, parents);
  Tensor transforms = empty_like(rotations, {in.people, in.tree.joints, 3, 4});
  Tensor positions = empty_like(rotations, {in.people, in.tree.joints, 3});
  with_scalar(rotations, [&](auto zero) {
    using T = decltype(zero);
    run(Device(),
        KinematicsParams<T>{in.people, in.tree, rotations.const_data_ptr<T>(),
                            segment_scale.const_data_ptr<T>(), joints.const_data_ptr<T>(),
                            in.rest_stride, transforms.mutable_data_ptr<T>(),
                            positions.mutable_data_ptr<T>()},
        rotations);
  });
  return {transforms, positions};
}

template <typename Device>
std::tuple<Tensor, Tensor, Tensor> kinematics_backward(
    const Tensor& grad_transforms, const Tensor& grad_positions, const Tensor& rotations,
    const Tensor& segment_scale, const Tensor& joints, std::vector<int64_t> parents) {
  const Arguments arguments("kinematics_backward", rotations, "rotations");
  const Inputs in = check(arguments, rotations, segment_scale, joints, parents);
  const int64_t B = in.people, J = in.tree.joints;
  arguments.real("grad_transforms", grad_transforms, {B, J, 3, 4});
  arguments.real("grad_positions", grad_positions, {B, J, 3});
  Tensor grad_rotations = empty_like(rotations, {B, J, 3, 3});
  Tensor grad_segment_scale = empty_like(rotations, {B, J});
  Tensor grad_joints = empty_like(rotations, {B, J, 3});
  with_scalar(rotations, [&](auto zero) {
    using T = decltype(zero);
    run(Device(),
        KinematicsBackwardParams<T>{
            B, in.tree, rotations.const_data_ptr<T>(), segment_scale.const_data_ptr<T>(),
            joints.const_data_ptr<T>(), in.rest_stride, grad_transforms.const_data_ptr<T>(),
            grad_positions.const_data_ptr<T>(), grad_rotations.mutable_data_ptr<T>(),
            grad_segment_scale.mutable_data_ptr<T>(), grad_joints.mutable_data_ptr<T>()},
        rotations);
  });
  return {grad_rotations, grad_segment_scale, grad_joints};
}

void kinematics_schemas(torch::stable::detail::StableLibrary& library) {
  library.def(
      "kinematics(Tensor rotations, Tensor segment_scale, Tensor joints, int[] parents)"
      " -> (Tensor transforms, Tensor positions)");
  library.def(
      "kinematics_backward(Tensor grad_transforms, Tensor grad_positions, Tensor rotations,"
      " Tensor segment_scale, Tensor joints, int[] parents)"
      " -> (Tensor grad_rotations, Tensor grad_segment_scale, Tensor grad_joints)");
}

template <typename Device>
void kinematics_kernels(torch::stable::detail::StableLibrary& library) {
  library.impl("kinematics", TORCH_BOX(&kinematics<Device>));
  library.impl("kinematics_backward", TORCH_BOX(&kinematics_backward<Device>));
}

BODYREG_LIBRARY(kinematics)

}  // namespace
}  // namespace bodyreg
