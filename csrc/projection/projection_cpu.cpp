#include <algorithm>

#include "../common/simd.h"
#include "gram_schmidt_math.h"
#include "projection.h"
#include "projection_math.h"

namespace bodyreg::BODYREG_ISA {
namespace {

// Points as lanes: up to `width` points of N numbers each. Lanes beyond `points` are zero.
template <int N, typename T>
void load_points(const T* in, int64_t points, Lanes<T>* out) {
  constexpr int W = Lanes<T>::width;
  T rows[N][W] = {};
  for (int64_t l = 0; l < points; ++l) {
    for (int c = 0; c < N; ++c) rows[c][l] = in[l * N + c];
  }
  for (int c = 0; c < N; ++c) out[c] = load_lanes(rows[c]);
}

template <int N, typename T>
void store_points(const Lanes<T>* in, int64_t points, T* out) {
  constexpr int W = Lanes<T>::width;
  T rows[N][W];
  for (int c = 0; c < N; ++c) store_lanes(rows[c], in[c]);
  for (int64_t l = 0; l < points; ++l) {
    for (int c = 0; c < N; ++c) out[l * N + c] = rows[c][l];
  }
}

template <typename T>
Vec3<T> sum(const Vec3<Lanes<T>>& a) {
  return {sum(a.x), sum(a.y), sum(a.z)};
}

template <typename T>
Mat3<T> sum(const Mat3<Lanes<T>>& a) {
  Mat3<T> b;
  for (int i = 0; i < 9; ++i) b.m[i] = sum(a.m[i]);
  return b;
}

}  // namespace

template <typename T>
void projection_forward_cpu(const ProjectionParams<T>& p, int64_t begin, int64_t end) {
  constexpr int64_t W = Lanes<T>::width;
  for (int64_t b = begin; b < end; ++b) {
    const auto camera = load_camera<Lanes<T>>(p.camera, b);
    for (int64_t i = 0; i < p.points; i += W) {
      const int64_t at = b * p.points + i, count = std::min(W, p.points - i);
      Vec3<Lanes<T>> v;
      load_points<3>(p.model + at * 3, count, &v.x);
      const Vec3<Lanes<T>> seen = project(camera, v);
      store_points<2>(&seen.x, count, p.xy + at * 2);
      store_points<1>(&seen.z, count, p.depth + at);
    }
  }
}

template <typename T>
void projection_backward_cpu(const ProjectionBackwardParams<T>& p, int64_t begin, int64_t end) {
  constexpr int64_t W = Lanes<T>::width;
  for (int64_t b = begin; b < end; ++b) {
    const auto camera = load_camera<Lanes<T>>(p.camera, b);
    CameraSums<Lanes<T>> sums = {};
    for (int64_t i = 0; i < p.points; i += W) {
      const int64_t at = b * p.points + i, count = std::min(W, p.points - i);
      Vec3<Lanes<T>> v, g;
      load_points<3>(p.model + at * 3, count, &v.x);
      load_points<2>(p.grad_xy + at * 2, count, &g.x);
      load_points<1>(p.grad_depth + at, count, &g.z);
      const Vec3<Lanes<T>> grad = project_backward(camera, v, g, sums);
      store_points<3>(&grad.x, count, p.grad_model + at * 3);
    }
    const CameraSums<T> total = {sum(sums.gv), sum(sums.g), sum(sums.perspective)};
    store(p.grad_rotation + b * 9, rotation_grad(p.camera.scale[b], total));
    p.grad_scale[b] = scale_grad(load_mat3(p.camera.rotation + b * 9), total);
    p.grad_translation[2 * b] = total.g.x;
    p.grad_translation[2 * b + 1] = total.g.y;
    store(p.grad_perspective + b * 3, total.perspective);
  }
}

template <typename T>
void gram_schmidt_forward_cpu(const GramSchmidtParams<T>& p, int64_t begin, int64_t end) {
  for (int64_t b = begin; b < end; ++b) {
    store(p.rotation + b * 9, gram_schmidt(load_mat3(p.matrix + b * 9), p.six));
  }
}

template <typename T>
void gram_schmidt_backward_cpu(const GramSchmidtBackwardParams<T>& p, int64_t begin, int64_t end) {
  for (int64_t b = begin; b < end; ++b) {
    store(p.grad_matrix + b * 9, gram_schmidt_backward(load_mat3(p.matrix + b * 9), p.six,
                                                       load_mat3(p.grad_rotation + b * 9)));
  }
}

template void projection_forward_cpu(const ProjectionParams<float>&, int64_t, int64_t);
template void projection_forward_cpu(const ProjectionParams<double>&, int64_t, int64_t);
template void projection_backward_cpu(const ProjectionBackwardParams<float>&, int64_t, int64_t);
template void projection_backward_cpu(const ProjectionBackwardParams<double>&, int64_t, int64_t);
template void gram_schmidt_forward_cpu(const GramSchmidtParams<float>&, int64_t, int64_t);
template void gram_schmidt_forward_cpu(const GramSchmidtParams<double>&, int64_t, int64_t);
template void gram_schmidt_backward_cpu(const GramSchmidtBackwardParams<float>&, int64_t, int64_t);
template void gram_schmidt_backward_cpu(const GramSchmidtBackwardParams<double>&, int64_t, int64_t);

}  // namespace bodyreg::BODYREG_ISA
