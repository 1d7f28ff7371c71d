#include "isa.h"

#include <atomic>
#include <stdexcept>

namespace bodyreg {
namespace {

std::atomic<Isa> chosen{best_isa()};

}  // namespace

Isa best_isa() {
#ifdef __x86_64__
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
  if (avx2 && avx512) return Isa::avx512;
  if (avx2) return Isa::avx2;
#endif
  return Isa::baseline;
}

Isa current_isa() { return chosen.load(std::memory_order_relaxed); }

void set_isa(Isa isa) {
  if (isa > best_isa()) throw std::runtime_error("this machine lacks that instruction set");
  chosen.store(isa);
}

}  // namespace bodyreg
