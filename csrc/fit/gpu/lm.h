// Levenberg–Marquardt (lm_math.h) for one person in a warp, along one path through a phase. For .cu
// files.
#pragma once

#include "lm_solve.h"
#include "objective.h"
#include "person.h"

namespace bodyreg {

template <typename T>
__device__ __forceinline__ void copy(const T (&from)[kLaneParameters], T (&to)[kLaneParameters]) {
  for (int i = 0; i < kLaneParameters; ++i) to[i] = from[i];
}

// The camera's twelve numbers into the lanes that own them.
template <typename T>
__device__ __forceinline__ void own_camera(const Place& place, const T (&all)[12],
                                           T (&value)[kLaneParameters]) {
  const int own = place.lane - kFitJoints;
  for (int i = 0; i < kLaneParameters; ++i) {
    if (own == 0) value[i] = all[i];
    if (own == 1) value[i] = all[4 + i];
    if (own == 2) value[i] = all[8 + i];
  }
}

template <typename T>
__device__ __forceinline__ Pulled<T> find_pull(const Place& place, SharedMemory<T>& memory,
                                               const Person<T>& person) {
  Pulled<T> at;
  T image[8], depth[4];
  image_gradient(place, memory, person.moments, image);
  depth_pull(place, memory, person, depth);
  for (int r = 0; r < 3; ++r) {
    T row[4];
    load_vector(row, memory.rows[r][place.joint]);
    for (int c = 0; c < 4; ++c) {
      at.rows[4 * r + c] = row[c];
      at.pull[4 * r + c] = r < 2 ? image[(4 * r + c) % 8] : depth[c];
    }
  }
  at.view = load_vec3(memory.view[place.joint]);
  at.slope = normal_slope(memory, place.joint, at.view);
  return at;
}

// The change of the refreshed objective, in every lane; by a whole warp.
template <typename T>
__device__ __forceinline__ T change(const Place& place, const FitProblem<T>& p,
                                    const SharedMemory<T>& memory, const Start<T>& start,
                                    const Pulled<T>& to, const T (&moved)[kLaneParameters]) {
  const Pulled<T>& from = start.pulled;
  T twice = dot(to.view - from.view, to.slope + from.slope);
  for (int i = 0; i < 12; ++i) twice += (to.rows[i] - from.rows[i]) * (to.pull[i] + from.pull[i]);
  const T sum = T(0.5) * twice + parameter_change(place, p, memory, start.value, start.posture,
                                                  moved, posture_of(place, memory));
  return lane_sum(place.owns ? sum : T(0));
}

// The gradient by the unknowns of all joints, into normal.memory->vector; by a whole warp.
template <typename T>
__device__ __forceinline__ void find_tangent(const Place& place, const Camera<T>& camera,
                                             const T (&gradient)[kLaneParameters],
                                             const Normal<T>& normal) {
  T all[12];
  for (int i = 0; i < 12; ++i) all[i] = __shfl_sync(kFullWarp, gradient[i % 4], kFitJoints + i / 4);
  T* const x = normal.memory->vector;
  if (place.owns && place.lane != 0) {
    for (int i = 0; i < kJointUnknowns; ++i) x[4 * place.joint + i] = gradient[i];
  }
  if (place.lane != 0) return;
  store(x + kRootAt, turn_slope(camera.raw, load_mat3(all)));
  x[kRootAt + 3] = gradient[3];
  x[kRootAt + 4] = all[9];
  x[kRootAt + 5] = all[10];
  x[kRootAt + 6] = camera.scale * all[11];
}

// The lane's parameters after the step.
template <typename T>
__device__ __forceinline__ void move(const Place& place, const Camera<T>& camera, const T* step,
                                     const T (&value)[kLaneParameters],
                                     T (&moved)[kLaneParameters]) {
  const bool root = place.lane == 0;
  const T* const own = step + (root ? kRootAt : 4 * place.joint);
  for (int i = 0; i < kLaneParameters; ++i) {
    moved[i] = place.owns && !(root && i < 3) ? value[i] - own[i] : value[i];
  }
  T all[12];
  step_camera(camera.raw, camera.translation, camera.scale, step + kRootAt, all);
  own_camera(place, all, moved);
}

// Gives the raw rotation kRawLength, unless it is a reflection.
template <typename T>
__device__ __forceinline__ void stretch_rotation(const Place& place, bool six,
                                                 T (&value)[kLaneParameters]) {
  const Camera<T> camera = camera_of(value, six);
  T all[12];
  store(all, stretched_rotation(camera.raw, six));
  for (int i = 0; i < 2; ++i) all[9 + i] = camera.translation[i];
  all[11] = camera.scale;
  own_camera(place, all, value);
}

// One path through a phase, then the exact terms under the last settings row. built: whether the
// moments exist already and need no refresh. By a whole warp.
template <typename T>
__device__ __forceinline__ Judged<T> follow_lm(const FitParams<T>& p, const Workspace<T>& work,
                                               const Person<T>& person, const Normal<T>& normal,
                                               int first_row, int iterations, bool refreshes,
                                               bool& built, T (&value)[kLaneParameters]) {
  const Place& place = work.place;
  SharedMemory<T>& memory = work.memory;
  // The start of a step stays in memory: there are not enough registers for it.
  Start<T>& here = normal.memory->start[place.lane];
  here.damping = T(kFirstDamping);
  if (iterations > 0 && p.settings[first_row * kFitSettings + kDet] != 0) {
    stretch_rotation(place, p.problem.six_numbers, value);
  }
  copy(value, here.value);
#pragma unroll 1
  for (int i = 0;; ++i) {
    const bool judges = i == iterations;
    __syncwarp();
    const double* const row =
        p.settings + (judges ? p.iterations : int64_t(first_row + i)) * kFitSettings;
    if (place.lane < kFitSettings) {  // turning changes no determinant
      const bool skipped = place.lane == kDet && !judges;
      memory.setting[place.lane] = skipped ? T(0) : static_cast<T>(row[place.lane]);
    }
    here.body = pose_body(place, p.problem, memory, here.value);
    __syncwarp();
    if (!judges && !refreshes && !built) take_first_weights(p, memory);
    if (judges || refreshes || !built) {
      const EvidenceTerms<T> seen =
          pass_evidence(p.problem, person.evidence, memory, person.moments, !judges);
      if (judges) {
        copy(here.value, value);
        return judge(place, p.problem, memory, person, value, seen);
      }
      built = true;
    }
    here.pulled = find_pull(place, memory, person);
    here.posture = posture_of(place, memory);
    __syncwarp();
    T numbers[kLaneParameters] = {};
    gradient_of(place, p.problem, memory, person, here.body, here.value, numbers);
    find_tangent(place, memory.camera, numbers, normal);
    __syncwarp();
    assemble(place, p.problem, memory, person, here.body, here.value, depth_share(memory), normal);
    solve(normal, here.damping, memory.setting[kScaleSymmetry]);
    move(place, memory.camera, normal.memory->vector, here.value, numbers);
    __syncwarp();
    pose_body(place, p.problem, memory, numbers);
    __syncwarp();
    const Pulled<T> pulled = find_pull(place, memory, person);
    const bool better = change(place, p.problem, memory, here, pulled, numbers) < T(0);
    here.damping = next_damping(better, here.damping);
    if (better) copy(numbers, here.value);
  }
}

}  // namespace bodyreg
