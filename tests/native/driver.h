// What the sanitizer drivers share: random arrays of exact size on the heap, and the comparison of
// a kernel with the CPU op. A driver runs its kernels without torch or Python in the process, so
// that a sanitizer sees nothing but them.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <type_traits>
#include <vector>

namespace driver {

inline std::mt19937& random() {
  static std::mt19937 engine(20240229);
  return engine;
}

template <typename T>
std::vector<T> normal(std::int64_t count) {
  std::normal_distribution<T> distribution;
  std::vector<T> values(static_cast<std::size_t>(count));
  for (T& value : values) value = distribution(random());
  return values;
}

inline std::vector<std::int32_t> indices(std::int64_t count, int below) {
  std::uniform_int_distribution<std::int32_t> distribution(0, below - 1);
  std::vector<std::int32_t> values(static_cast<std::size_t>(count));
  for (std::int32_t& value : values) value = distribution(random());
  return values;
}

// For results: NaN at first, so that a number that a kernel forgets to write shows.
template <typename T>
std::vector<T> unwritten(std::int64_t count) {
  return std::vector<T>(static_cast<std::size_t>(count), std::numeric_limits<T>::quiet_NaN());
}

// Both sum the same terms, each in its own order: they differ by a few ulps of the largest number.
template <typename T>
void compare(const char* what, const std::vector<T>& kernel, const std::vector<T>& cpu,
             T roundings = 500) {
  T size = 1;
  for (T value : cpu) size = std::max(size, std::abs(value));
  const T bound = roundings * std::numeric_limits<T>::epsilon() * size;
  for (std::size_t i = 0; i < cpu.size(); ++i) {
    if (std::abs(kernel[i] - cpu[i]) <= bound) continue;
    std::fprintf(stderr, "%s: element %zu of %zu: kernel %g, CPU %g\n", what, i, cpu.size(),
                 static_cast<double>(kernel[i]), static_cast<double>(cpu[i]));
    std::exit(1);
  }
}

}  // namespace driver
