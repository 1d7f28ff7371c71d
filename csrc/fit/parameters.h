// The 108 numbers of a person, as bodyreg/body/parameters.py has them.
#pragma once

namespace bodyreg {

constexpr int kFitJoints = 24;

// Where the blocks begin. The root's pose is frozen at zero, whatever stands in its slot.
constexpr int kPoseAt = 0;                           // (24, 3) axis-angle, radians
constexpr int kScalesAt = kPoseAt + 3 * kFitJoints;  // (24,) segment scales S_k
constexpr int kRotationAt = kScalesAt + kFitJoints;  // (3, 3) raw camera rotation, row-major
constexpr int kTranslationAt = kRotationAt + 9;      // (2,) t, frame units
constexpr int kCameraScaleAt = kTranslationAt + 2;   // s, frame units per metre
constexpr int kParameters = kCameraScaleAt + 1;

}  // namespace bodyreg
