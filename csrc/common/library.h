// How an op file meets torch: the device it is written for, and its registration.
//
// An op is written once, as a function template over the device, Cpu or Cuda. BODYREG_WITH_CUDA
// adds the CUDA key. BODYREG_EMULATED, for test builds, registers the Cuda form under the CPU key
// in a namespace of its own: there the kernels run in the emulator.
#pragma once

#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <array>
#include <cstdint>
#include <initializer_list>

#include "checks.h"
#include "stream.h"

namespace bodyreg {

struct Cpu {
  // Runs f(begin, end) on pieces of [0, count), at least `grain` long, on torch's threads.
  template <typename F>
  static void parallel(int64_t count, int64_t grain, const F& f) {
    torch::stable::parallel_for(0, count, grain, f);
  }
};

struct Cuda {
  // Runs f(stream) with the tensor's device and torch's stream on it current.
  template <typename F>
  static void launch(const Tensor& on, const F& f) {
#ifdef BODYREG_EMULATED
    (void)on;
    f(cudaStream_t{nullptr});
#else
    const torch::stable::accelerator::DeviceGuard guard(on.get_device_index());
    f(current_stream(on.get_device_index()));
#endif
  }
};

// Calls f with a value of the tensor's scalar type, float or double.
template <typename F>
void with_scalar(const Tensor& tensor, const F& f) {
  if (tensor.scalar_type() == ScalarType::Double) {
    f(double{});
  } else {
    f(float{});
  }
}

// An uninitialised tensor with the dtype and on the device of another.
inline Tensor empty_like(const Tensor& like, std::initializer_list<int64_t> sizes) {
  return torch::stable::new_empty(like, sizes);
}

// The same for a picture (B, C, H, W), which lies in memory as (B, H, W, C) where `channels_last`.
inline Tensor empty_picture(const Tensor& like, bool channels_last,
                            const std::array<int64_t, 4>& sizes) {
  using torch::headeronly::MemoryFormat;
  return torch::stable::empty(
      sizes, like.scalar_type(), std::nullopt, like.device(), std::nullopt,
      channels_last ? MemoryFormat::ChannelsLast : MemoryFormat::Contiguous);
}

// The same for joint ids and what is made of them.
inline Tensor empty_index(const Tensor& like, std::initializer_list<int64_t> sizes) {
  return torch::stable::new_empty(like, sizes, ScalarType::Int);
}

}  // namespace bodyreg

#ifdef BODYREG_EMULATED
#define BODYREG_NAMESPACE bodyreg_emulated
#define BODYREG_REGISTER_KERNELS(op)                          \
  STABLE_TORCH_LIBRARY_IMPL(bodyreg_emulated, CPU, library) { \
    op##_kernels<bodyreg::Cuda>(library);                     \
  }
#else
#define BODYREG_NAMESPACE bodyreg
#ifdef BODYREG_WITH_CUDA
#define BODYREG_REGISTER_KERNELS(op)                                                        \
  STABLE_TORCH_LIBRARY_IMPL(bodyreg, CPU, library) { op##_kernels<bodyreg::Cpu>(library); } \
  STABLE_TORCH_LIBRARY_IMPL(bodyreg, CUDA, library) { op##_kernels<bodyreg::Cuda>(library); }
#else
#define BODYREG_REGISTER_KERNELS(op) \
  STABLE_TORCH_LIBRARY_IMPL(bodyreg, CPU, library) { op##_kernels<bodyreg::Cpu>(library); }
#endif
#endif

// BODYREG_LIBRARY(op): registers op_schemas(library) and op_kernels<Device>(library).
#define BODYREG_LIBRARY(op)                                                             \
  STABLE_TORCH_LIBRARY_FRAGMENT_(BODYREG_NAMESPACE, library) { op##_schemas(library); } \
  BODYREG_REGISTER_KERNELS(op)
#define STABLE_TORCH_LIBRARY_FRAGMENT_(name, library) STABLE_TORCH_LIBRARY_FRAGMENT(name, library)
