#include <algorithm>
#include <tuple>

#include "../common/library.h"
#include "projection.h"

namespace bodyreg {
namespace {

// The fewest people worth a thread of their own: about 4,000 points.
int64_t grain(int64_t points) { return std::max<int64_t>(1, 4096 / std::max<int64_t>(1, points)); }

template <typename T>
void run(Cpu, const ProjectionParams<T>& p, const Tensor&) {
  Cpu::parallel(p.people, grain(p.points),
                [&](int64_t b, int64_t e) { projection_forward_cpu(p, b, e); });
}
template <typename T>
void run(Cpu, const ProjectionBackwardParams<T>& p, const Tensor&) {
  Cpu::parallel(p.people, grain(p.points),
                [&](int64_t b, int64_t e) { projection_backward_cpu(p, b, e); });
}
template <typename T>
void run(Cpu, const GramSchmidtParams<T>& p, const Tensor&) {
  Cpu::parallel(p.people, 1024, [&](int64_t b, int64_t e) { gram_schmidt_forward_cpu(p, b, e); });
}
template <typename T>
void run(Cpu, const GramSchmidtBackwardParams<T>& p, const Tensor&) {
  Cpu::parallel(p.people, 512, [&](int64_t b, int64_t e) { gram_schmidt_backward_cpu(p, b, e); });
}
template <typename T>
void run(Cuda, const ProjectionParams<T>& p, const Tensor& on) {
  Cuda::launch(on, [&](cudaStream_t stream) { projection_forward_cuda(p, stream); });
}
template <typename T>
void run(Cuda, const ProjectionBackwardParams<T>& p, const Tensor& on) {
  Cuda::launch(on, [&](cudaStream_t stream) { projection_backward_cuda(p, stream); });
}
template <typename T>
void run(Cuda, const GramSchmidtParams<T>& p, const Tensor& on) {
  Cuda::launch(on, [&](cudaStream_t stream) { gram_schmidt_forward_cuda(p, stream); });
}
template <typename T>
void run(Cuda, const GramSchmidtBackwardParams<T>& p, const Tensor& on) {
  Cuda::launch(on, [&](cudaStream_t stream) { gram_schmidt_backward_cuda(p, stream); });
}

void check_camera(const Arguments& arguments, int64_t people, const Tensor& rotation,
                  const Tensor& scale, const Tensor& translation, const Tensor& perspective) {
  arguments.real("rotation", rotation, {people, 3, 3});
  arguments.real("scale", scale, {people});
  arguments.real("translation", translation, {people, 2});
  arguments.real("perspective", perspective, {people, 3});
}

template <typename T>
CameraParams<T> camera_params(const Tensor& rotation, const Tensor& scale,
                              const Tensor& translation, const Tensor& perspective) {
  return {rotation.const_data_ptr<T>(), scale.const_data_ptr<T>(), translation.const_data_ptr<T>(),
          perspective.const_data_ptr<T>()};
}

template <typename Device>
std::tuple<Tensor, Tensor> projection(const Tensor& points, const Tensor& rotation,
                                      const Tensor& scale, const Tensor& translation,
                                      const Tensor& perspective) {
  const Arguments arguments("projection", points, "points");
  arguments.real("points", points, {kAny, kAny, 3});
  const int64_t B = points.size(0), P = points.size(1);
  check_camera(arguments, B, rotation, scale, translation, perspective);
  Tensor xy = empty_like(points, {B, P, 2});
  Tensor depth = empty_like(points, {B, P});
  with_scalar(points, [&](auto zero) {
    using T = decltype(zero);
    run(Device(),
        ProjectionParams<T>{B, P, points.const_data_ptr<T>(),
                            camera_params<T>(rotation, scale, translation, perspective),
                            xy.mutable_data_ptr<T>(), depth.mutable_data_ptr<T>()},
        points);
  });
  return {xy, depth};
}

template <typename Device>
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> projection_backward(
    const Tensor& grad_xy, const Tensor& grad_depth, const Tensor& points, const Tensor& rotation,
    const Tensor& scale, const Tensor& translation, const Tensor& perspective) {
  const Arguments arguments("projection_backward", points, "points");
  arguments.real("points", points, {kAny, kAny, 3});
  const int64_t B = points.size(0), P = points.size(1);
  check_camera(arguments, B, rotation, scale, translation, perspective);
  arguments.real("grad_xy", grad_xy, {B, P, 2});
  arguments.real("grad_depth", grad_depth, {B, P});
  Tensor grad_points = empty_like(points, {B, P, 3});
  Tensor grad_rotation = empty_like(points, {B, 3, 3});
  Tensor grad_scale = empty_like(points, {B});
  Tensor grad_translation = empty_like(points, {B, 2});
  Tensor grad_perspective = empty_like(points, {B, 3});
  with_scalar(points, [&](auto zero) {
    using T = decltype(zero);
    run(Device(),
        ProjectionBackwardParams<T>{
            B, P, points.const_data_ptr<T>(),
            camera_params<T>(rotation, scale, translation, perspective),
            grad_xy.const_data_ptr<T>(), grad_depth.const_data_ptr<T>(),
            grad_points.mutable_data_ptr<T>(), grad_rotation.mutable_data_ptr<T>(),
            grad_scale.mutable_data_ptr<T>(), grad_translation.mutable_data_ptr<T>(),
            grad_perspective.mutable_data_ptr<T>()},
        points);
  });
  return {grad_points, grad_rotation, grad_scale, grad_translation, grad_perspective};
}

template <typename Device>
Tensor gram_schmidt(const Tensor& matrix, bool six) {
  const Arguments arguments("gram_schmidt", matrix, "matrix");
  arguments.real("matrix", matrix, {kAny, 3, 3});
  Tensor rotation = empty_like(matrix, {matrix.size(0), 3, 3});
  with_scalar(matrix, [&](auto zero) {
    using T = decltype(zero);
    run(Device(),
        GramSchmidtParams<T>{matrix.size(0), six, matrix.const_data_ptr<T>(),
                             rotation.mutable_data_ptr<T>()},
        matrix);
  });
  return rotation;
}

template <typename Device>
Tensor gram_schmidt_backward(const Tensor& grad_rotation, const Tensor& matrix, bool six) {
  const Arguments arguments("gram_schmidt_backward", matrix, "matrix");
  arguments.real("matrix", matrix, {kAny, 3, 3});
  arguments.real("grad_rotation", grad_rotation, {matrix.size(0), 3, 3});
  Tensor grad_matrix = empty_like(matrix, {matrix.size(0), 3, 3});
  with_scalar(matrix, [&](auto zero) {
    using T = decltype(zero);
    run(Device(),
        GramSchmidtBackwardParams<T>{matrix.size(0), six, matrix.const_data_ptr<T>(),
                                     grad_rotation.const_data_ptr<T>(),
                                     grad_matrix.mutable_data_ptr<T>()},
        matrix);
  });
  return grad_matrix;
}

void projection_schemas(torch::stable::detail::StableLibrary& library) {
  library.def(
      "projection(Tensor points, Tensor rotation, Tensor scale, Tensor translation,"
      " Tensor perspective) -> (Tensor xy, Tensor depth)");
  library.def(
      "projection_backward(Tensor grad_xy, Tensor grad_depth, Tensor points, Tensor rotation,"
      " Tensor scale, Tensor translation, Tensor perspective) -> (Tensor grad_points,"
      " Tensor grad_rotation, Tensor grad_scale, Tensor grad_translation,"
      " Tensor grad_perspective)");
  library.def("gram_schmidt(Tensor matrix, bool six) -> Tensor");
  library.def("gram_schmidt_backward(Tensor grad_rotation, Tensor matrix, bool six) -> Tensor");
}

template <typename Device>
void projection_kernels(torch::stable::detail::StableLibrary& library) {
  library.impl("projection", TORCH_BOX(&projection<Device>));
  library.impl("projection_backward", TORCH_BOX(&projection_backward<Device>));
  library.impl("gram_schmidt", TORCH_BOX(&gram_schmidt<Device>));
  library.impl("gram_schmidt_backward", TORCH_BOX(&gram_schmidt_backward<Device>));
}

BODYREG_LIBRARY(projection)

}  // namespace
}  // namespace bodyreg
