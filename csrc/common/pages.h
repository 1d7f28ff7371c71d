// Large results on a CPU, in large pages: in pages of 4 KB the system takes longer to hand out the
// memory than an op takes to fill it.
#pragma once

#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace bodyreg {

// Asks for large pages inside [start, start + bytes), before anything is written there. A hint: if
// the system ignores it, results are the same.
inline void ask_for_large_pages(void* start, int64_t bytes) {
#if defined(__linux__)
  constexpr uintptr_t kLarge = uintptr_t{1} << 21;
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(start) + kLarge - 1) & ~(kLarge - 1);
  const uintptr_t end = (reinterpret_cast<uintptr_t>(start) + bytes) & ~(kLarge - 1);
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
  (void)start, (void)bytes;
#endif
}

}  // namespace bodyreg
