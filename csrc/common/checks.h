// Checks of an op's arguments. A message names the op and the argument, what was expected and what
// was got. The first argument decides device and dtype; the rest must follow it.
#pragma once

#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <cstdint>
#include <initializer_list>
#include <sstream>
#include <stdexcept>
#include <string>

namespace bodyreg {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

constexpr int64_t kAny = -1;  // a size that may be anything

class Arguments {
 public:
  Arguments(const char* op, const Tensor& first, const char* first_name)
      : op_(op), first_(first), first_name_(first_name) {
    const ScalarType dtype = first.scalar_type();
    if (dtype != ScalarType::Float && dtype != ScalarType::Double) {
      fail(first_name, "dtype float32 or float64", name(dtype));
    }
  }

  // A tensor of the op's dtype.
  void real(const char* argument, const Tensor& tensor,
            std::initializer_list<int64_t> sizes) const {
    is_of_op(argument, tensor);
    layout(argument, tensor, sizes);
  }

  // Joint ids.
  void index(const char* argument, const Tensor& tensor,
             std::initializer_list<int64_t> sizes) const {
    typed(argument, tensor, ScalarType::Int, sizes);
  }

  // A tensor of a dtype of its own.
  void typed(const char* argument, const Tensor& tensor, ScalarType dtype,
             std::initializer_list<int64_t> sizes) const {
    if (tensor.scalar_type() != dtype) {
      fail(argument, std::string("dtype ") + name(dtype), name(tensor.scalar_type()));
    }
    layout(argument, tensor, sizes);
  }

  // A tensor (B, C, H, W) of the op's dtype that lies in memory as (B, H, W, C) where
  // `channels_last`.
  void picture(const char* argument, const Tensor& tensor, std::initializer_list<int64_t> sizes,
               bool channels_last) const {
    is_of_op(argument, tensor);
    fits(argument, tensor, sizes);
    if (channels_last ? is_channels_last(tensor) : tensor.is_contiguous()) return;
    fail(argument, "a contiguous or channels-last tensor",
         "strides " + shape(tensor.strides()) + "; call .contiguous() on it");
  }

  [[noreturn]] void fail(const char* argument, const std::string& expected,
                         const std::string& got) const {
    throw std::runtime_error(std::string("bodyreg.") + op_ + ": " + argument + ": expected " +
                             expected + ", got " + got);
  }

 private:
  void is_of_op(const char* argument, const Tensor& tensor) const {
    if (tensor.scalar_type() == first_.scalar_type()) return;
    fail(argument, std::string("dtype ") + name(first_.scalar_type()) + " as " + first_name_,
         name(tensor.scalar_type()));
  }

  void layout(const char* argument, const Tensor& tensor,
              std::initializer_list<int64_t> sizes) const {
    fits(argument, tensor, sizes);
    if (!tensor.is_contiguous()) {
      fail(argument, "a contiguous tensor",
           "strides " + shape(tensor.strides()) + "; call .contiguous() on it");
    }
  }

  // Device and shape.
  void fits(const char* argument, const Tensor& tensor,
            std::initializer_list<int64_t> sizes) const {
    if (tensor.device() != first_.device()) {
      fail(argument, "the device of " + std::string(first_name_) + ", " + device(first_),
           device(tensor));
    }
    bool same = tensor.dim() == static_cast<int64_t>(sizes.size());
    int64_t i = 0;
    for (int64_t size : sizes) {
      same = same && (size == kAny || tensor.size(i) == size);
      ++i;
    }
    if (!same) fail(argument, "shape " + shape(sizes), shape(tensor.sizes()));
  }

  // Whether memory is contiguous with the channels of (B, C, H, W) innermost.
  static bool is_channels_last(const Tensor& tensor) {
    if (tensor.numel() == 0) return true;
    int64_t step = 1;
    for (int64_t dim : {1, 3, 2, 0}) {
      if (tensor.size(dim) != 1 && tensor.stride(dim) != step) return false;
      step *= tensor.size(dim);
    }
    return true;
  }

  template <typename Sizes>
  static std::string shape(const Sizes& sizes) {
    std::ostringstream text;
    const char* separator = "(";
    for (int64_t size : sizes) {
      text << separator;
      if (size == kAny) {
        text << "any";
      } else {
        text << size;
      }
      separator = ", ";
    }
    text << (sizes.size() == 0 ? "()" : sizes.size() == 1 ? ",)" : ")");
    return text.str();
  }

  static std::string device(const Tensor& tensor) {
    if (tensor.is_cpu()) return "cpu";
    return (tensor.is_cuda() ? "cuda:" : "device ") + std::to_string(tensor.get_device_index());
  }

  static const char* name(ScalarType dtype) {
    switch (dtype) {
      case ScalarType::Float:
        return "float32";
      case ScalarType::Double:
        return "float64";
      case ScalarType::Half:
        return "float16";
      case ScalarType::BFloat16:
        return "bfloat16";
      case ScalarType::Byte:
        return "uint8";
      case ScalarType::Int:
        return "int32";
      case ScalarType::Long:
        return "int64";
      default:
        return torch::headeronly::toString(dtype);
    }
  }

  const char* op_;
  const Tensor& first_;
  const char* first_name_;
};

}  // namespace bodyreg
