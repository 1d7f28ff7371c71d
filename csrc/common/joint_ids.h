// The check that joint ids lie in [0, J), where reading them costs nothing but the reading: on a
// CPU.
#pragma once

#include <algorithm>
#include <string>

#include "library.h"

namespace bodyreg {

inline void check_joint_ids(Cpu, const Arguments& arguments, const Tensor& joint_ids,
                            int64_t joints) {
  const int32_t* ids = joint_ids.const_data_ptr<int32_t>();
  const int64_t count = joint_ids.numel();
  int32_t low = 0, high = 0;
  for (int64_t i = 0; i < count; ++i) {
    low = std::min(low, ids[i]);
    high = std::max(high, ids[i]);
  }
  if (low < 0 || high >= joints) {
    arguments.fail("joint_ids", "ids in [0, " + std::to_string(joints) + ")",
                   std::to_string(low < 0 ? low : high));
  }
}

// A kernel would have to wait for the device to report one: it writes NaN instead.
inline void check_joint_ids(Cuda, const Arguments&, const Tensor&, int64_t) {}

}  // namespace bodyreg
