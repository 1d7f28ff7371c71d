// The body of one person in a warp, posed by its parameters (forward; see joint_math.h). Lane l <
// 24 holds the angles and the scale of its joint; lanes 24, 25, 26 hold the raw rotation, the
// translation and the scale of the camera, four numbers each. So every lane has four parameters at
// most. For .cu files.
#pragma once

#include "moments.h"

namespace bodyreg {

constexpr int kCameraLanes = 3;  // from lane 24 on

// Where parameter i of a lane stands in the vector of 108, or −1.
__device__ __forceinline__ int parameter_at(const Place& place, int i) {
  if (place.owns) return i < 3 ? kPoseAt + 3 * place.joint + i : kScalesAt + place.joint;
  const int camera = place.lane - kFitJoints;
  return camera < kCameraLanes ? kRotationAt + kLaneParameters * camera + i : -1;
}

// What a lane holds of the posed body; the rest is in memory, or follows from its parameters.
template <typename T>
struct Posed {
  AxisAngle<T> angle;
  PosedJoint<T> joint;
};

// θ_k of the lane's joint. The root does not turn, whatever stands in its slot.
template <typename T>
__device__ __forceinline__ Vec3<T> theta_of(const Place& place, const T (&value)[kLaneParameters]) {
  const bool turns = place.owns && place.lane != 0;
  return {turns ? value[0] : T(0), turns ? value[1] : T(0), turns ? value[2] : T(0)};
}

// The segment scales that an iteration reads; by a whole warp. 0 where there is no joint.
template <typename T>
struct Scales {
  T own;     // S_k
  T parent;  // S_q; the root's own for the root
};

template <typename T>
__device__ __forceinline__ Scales<T> scales_of(const Place& place,
                                               const T (&value)[kLaneParameters]) {
  const T own = place.owns ? value[3] : T(0);
  const T parent = __shfl_sync(kFullWarp, own, place.parent());
  return {own, place.lane == 0 ? own : parent};
}

// The twelve numbers of the camera, from the three lanes that hold them.
template <typename T>
__device__ __forceinline__ Camera<T> camera_of(const T (&value)[kLaneParameters], bool six) {
  T all[kLaneParameters * kCameraLanes];
  for (int i = 0; i < kLaneParameters * kCameraLanes; ++i) {
    all[i] = __shfl_sync(kFullWarp, value[i % 4], kFitJoints + i / 4);
  }
  Camera<T> camera;
  camera.raw = load_mat3(all);
  camera.orthonormal = orthonormalize(camera.raw, six);
  camera.translation[0] = all[kTranslationAt - kRotationAt];
  camera.translation[1] = all[kTranslationAt - kRotationAt + 1];
  camera.scale = all[kCameraScaleAt - kRotationAt];
  return camera;
}

// J_k − J_q of the lane's joint; J_0 for the root.
template <typename T>
__device__ __forceinline__ Vec3<T> bone_of(const Place& place, const SharedMemory<T>& memory) {
  const Vec3<T> joint = load_vec3(memory.joints + 3 * place.joint);
  const Vec3<T> parent = shuffle(joint, place.parent());
  return place.lane == 0 ? joint : joint - parent;
}

static_assert(kFitModes <= kFitJoints, "a lane that owns a joint has at most one mode");

// The part of mode r of the lane's joint.
template <typename T>
__device__ __forceinline__ Vec3<T> mode_part(const Place& place, const FitProblem<T>& p, int r) {
  const int at = 3 * kFitModes * place.joint + r;
  return {p.mode[at], p.mode[at + kFitModes], p.mode[at + 2 * kFitModes]};
}

// Writes mode_bound into memory, without the prior's weight; once, by a whole warp.
template <typename T>
__device__ __forceinline__ void bound_modes(const Place& place, const FitProblem<T>& p,
                                            SharedMemory<T>& memory) {
  Vec3<T> bound = {T(0), T(0), T(0)};
#pragma unroll 1
  for (int r = 0; r < kFitModes; ++r) {
    const Vec3<T> m = mode_part(place, p, r);
    const Vec3<T> own = {std::abs(m.x), std::abs(m.y), std::abs(m.z)};
    const T total = lane_sum(place.owns && place.lane > 0 ? own.x + own.y + own.z : T(0));
    if (p.mode_weight[r] > T(0)) bound = bound + p.mode_weight[r] * total * own;
  }
  if (place.owns) store(memory.mode_bound[place.joint], bound);
}

// Writes places along the modes into memory, with a lane per mode, and the slope of what they add
// to the prior, with a lane per joint; zeros where the prior has no weight. By a whole warp.
template <typename T>
__device__ __forceinline__ void find_modes(const Place& place, const FitProblem<T>& p,
                                           SharedMemory<T>& memory,
                                           const T (&value)[kLaneParameters]) {
  const T weight = memory.setting[kPrior];
  Vec3<T> slope = {T(0), T(0), T(0)};
  if (weight == T(0)) {
    if (place.owns) store(memory.mode_slope[place.joint], slope);
    if (place.lane < kFitModes) memory.along_mode[place.lane] = T(0);
    return;
  }
  const Vec3<T> deviation = deviation_of(theta_of(place, value), place.joint, memory.pose_terms);
  const bool has_mode = place.lane < kFitModes;
  const int own = has_mode ? place.lane : 0;
  T along = T(0);
#pragma unroll 1
  for (int lane = 1; lane < kFitJoints; ++lane) {
    const int at = 3 * kFitModes * __shfl_sync(kFullWarp, place.joint, lane) + own;
    along += p.mode[at] * __shfl_sync(kFullWarp, deviation.x, lane);
    along += p.mode[at + kFitModes] * __shfl_sync(kFullWarp, deviation.y, lane);
    along += p.mode[at + 2 * kFitModes] * __shfl_sync(kFullWarp, deviation.z, lane);
  }
  T pull = T(0);
  if (has_mode) {
    memory.along_mode[place.lane] = along;
    pull = T(2) * weight * p.mode_weight[place.lane] * along;
  }
#pragma unroll 1
  for (int r = 0; r < kFitModes; ++r) {
    slope = slope + __shfl_sync(kFullWarp, pull, r) * mode_part(place, p, r);
  }
  if (place.owns) store(memory.mode_slope[place.joint], slope);
}

// Poses the body: writes camera, rows of M, views and modes into memory, where all lanes can read
// them after the next __syncwarp. By a whole warp.
template <typename T>
__device__ __forceinline__ Posed<T> pose_body(const Place& place, const FitProblem<T>& p,
                                              SharedMemory<T>& memory,
                                              const T (&value)[kLaneParameters]) {
  __syncwarp();
  find_modes(place, p, memory, value);
  Posed<T> body;
  const Camera<T> camera = camera_of(value, p.six_numbers);
  const bool root = place.lane == 0;
  const Vec3<T> theta = theta_of(place, value);
  const Scales<T> scale = scales_of(place, value);
  body.angle = axis_angle(theta);

  const Vec3<T> bone = bone_of(place, memory);
  PosedJoint<T> own = posed_root(camera.rotation(), camera.scale, bone);
  if (!root) {
    own = {rotation_matrix(theta, body.angle), (camera.scale * scale.parent) * bone};
  }
  if (!place.owns) own.position = {T(0), T(0), T(0)};
  body.joint = down_the_tree(place, own);

  if (root) memory.camera = camera;
  if (place.owns) {
    const T size = camera.scale * scale.own;
    T rows[8], row[4], deep[4];
    image_rows(body.joint, size, camera.translation, rows);
    depth_row(body.joint, size, deep);
    if (memory.in_perspective()) shear_rows(rows, deep, memory.shear[place.joint], rows);
    for (int r = 0; r < 2; ++r) {
      for (int c = 0; c < 4; ++c) row[c] = rows[4 * r + c];
      store_vector(memory.rows[r][place.joint], row);
    }
    store_vector(memory.rows[2][place.joint], deep);
    store(row, transposed_times(body.joint.turn, load_vec3(memory.ray[place.joint])));
    store_vector(memory.view[place.joint], row);
  }
  return body;
}

}  // namespace bodyreg
