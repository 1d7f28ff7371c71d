// Limits that hold for every op.
#pragma once

namespace bodyreg {

constexpr int kMaxJoints = 128;  // of a body

}  // namespace bodyreg
