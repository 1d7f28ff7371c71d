// Products and sums stay apart, so that all instruction sets and devices have the same bits.
#if defined(__clang__)
#pragma clang fp contract(off)
#else
#pragma GCC optimize("fp-contract=off")
#endif

#include <algorithm>

#include "../common/simd.h"
#include "flow.h"
#include "flow_math.h"

namespace bodyreg::BODYREG_ISA {

template <typename T>
void flow_cpu(const FlowParams<T>& p, int64_t begin, int64_t end) {
  for (int64_t line = begin; line < end; ++line) {
    const int64_t pair = line / p.height, first = line * p.width;
    const int row = static_cast<int>(line % p.height);
    set_zero(p.flow + 2 * first, 2 * p.width);
    std::fill_n(p.visibility + first, p.width, uint8_t{kBackground});
    for (int column = 0; column < p.width; ++column) {  // most pixels show no body
      if (p.face[first + column] >= 0) write_flow(p, pair, row, column);
    }
  }
}

template void flow_cpu(const FlowParams<float>&, int64_t, int64_t);
template void flow_cpu(const FlowParams<double>&, int64_t, int64_t);

}  // namespace bodyreg::BODYREG_ISA
