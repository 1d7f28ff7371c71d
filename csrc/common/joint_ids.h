// The check that joint ids lie in [0, J), on a CPU, where it costs one pass over them.
#pragma once

#include <algorithm>
#include <string>

#include "library.h"

namespace bodyreg {

inline bool joint_ids_fit(const int32_t* ids, int64_t count, int64_t joints) {
  const uint32_t last = static_cast<uint32_t>(joints - 1);
  uint32_t seen = 0;  // the sign bit is set once id or last − id is negative
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t id = static_cast<uint32_t>(ids[i]);
    seen |= id | (last - id);
  }
  return seen >> 31 == 0;
}

inline void check_joint_ids(Cpu, const Arguments& arguments, const Tensor& joint_ids,
                            int64_t joints) {
  const int32_t* ids = joint_ids.const_data_ptr<int32_t>();
  const int64_t count = joint_ids.numel();
  if (joint_ids_fit(ids, count, joints)) return;
  const int32_t* wrong =
      std::find_if(ids, ids + count, [&](int32_t id) { return id < 0 || id >= joints; });
  arguments.fail("joint_ids", "ids in [0, " + std::to_string(joints) + ")", std::to_string(*wrong));
}

// To report a wrong id, an op would have to wait for the device: its kernel writes NaN instead.
inline void check_joint_ids(Cuda, const Arguments&, const Tensor&, int64_t) {}

}  // namespace bodyreg
