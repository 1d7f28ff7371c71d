// One source, several instruction sets: setup.py compiles every *_cpu.cpp once per instruction set,
// with -DBODYREG_ISA=<name>, into the namespace of that name. The best one that the machine has is
// chosen at run time.
#pragma once

#include <cstdint>

#ifndef BODYREG_ISA
#define BODYREG_ISA baseline
#endif

namespace bodyreg {

enum class Isa : int { baseline, avx2, avx512 };

Isa best_isa();         // the best this machine runs
Isa current_isa();      // what the CPU ops use: best_isa() unless set
void set_isa(Isa isa);  // for tests; throws std::runtime_error where the machine cannot run it

}  // namespace bodyreg

// Declares `template <typename T> void name(const Params<T>&, int64_t begin, int64_t end)` once per
// instruction set, and defines `name` itself as the call of the current one.
#define BODYREG_CPU_DECLARATION(isa, name, Params)           \
  namespace isa {                                            \
  template <typename T>                                      \
  void name(const Params<T>& p, int64_t begin, int64_t end); \
  }

#ifdef __x86_64__
#define BODYREG_CPU_FUNCTION(name, Params)                    \
  BODYREG_CPU_DECLARATION(baseline, name, Params)             \
  BODYREG_CPU_DECLARATION(avx2, name, Params)                 \
  BODYREG_CPU_DECLARATION(avx512, name, Params)               \
  template <typename T>                                       \
  void name(const Params<T>& p, int64_t begin, int64_t end) { \
    switch (current_isa()) {                                  \
      case Isa::avx512:                                       \
        return avx512::name<T>(p, begin, end);                \
      case Isa::avx2:                                         \
        return avx2::name<T>(p, begin, end);                  \
      case Isa::baseline:                                     \
        return baseline::name<T>(p, begin, end);              \
    }                                                         \
  }
#else
#define BODYREG_CPU_FUNCTION(name, Params)                    \
  BODYREG_CPU_DECLARATION(baseline, name, Params)             \
  template <typename T>                                       \
  void name(const Params<T>& p, int64_t begin, int64_t end) { \
    baseline::name<T>(p, begin, end);                         \
  }
#endif
