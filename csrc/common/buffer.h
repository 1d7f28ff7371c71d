// Memory of a size that each call decides, aligned for vectors and not cleared. For *_cpu.cpp
// files.
#pragma once

#include <cstdint>
#include <new>

#include "isa.h"

namespace bodyreg::BODYREG_ISA {

template <typename T>
class Buffer {
 public:
  explicit Buffer(int64_t count)
      : data_(static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t{64}))) {}
  ~Buffer() { ::operator delete(data_, std::align_val_t{64}); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](int64_t i) { return data_[i]; }
  const T& operator[](int64_t i) const { return data_[i]; }

 private:
  T* data_;
};

}  // namespace bodyreg::BODYREG_ISA
