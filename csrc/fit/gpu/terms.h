// The terms over all joints of one person in a warp: for the gradient, the exact values, and the
// normal matrix and changes of Levenberg–Marquardt. The algebra of each is in term_math.h. For .cu
// files.
#pragma once

#include "../lm_math.h"
#include "body.h"
#include "depths.h"
#include "evidence.h"

namespace bodyreg {

// The parts of a person that the gradient reads.
template <typename T>
struct Person {
  Evidence<T> evidence;
  Moments<T> moments;
  DepthTable<T> depths;
  bool has_depths;
};

// The gradient by the view v of a segment, as just refreshed.
template <typename T>
__device__ __forceinline__ Vec3<T> normal_slope(const SharedMemory<T>& memory, int joint,
                                                const Vec3<T>& v) {
  const T* const n = memory.normals[joint];
  return {n[0] * v.x + n[1] * v.y + n[2] * v.z + n[6], n[1] * v.x + n[3] * v.y + n[4] * v.z + n[7],
          n[2] * v.x + n[4] * v.y + n[5] * v.z + n[8]};
}

// The row z of Y of the lane's joint, from depths and, in perspective, from what the sheared rows
// lack; false if there are none. By a whole warp.
template <typename T>
__device__ __forceinline__ bool depth_pull(const Place& place, SharedMemory<T>& memory,
                                           const Person<T>& person, T (&z)[4]) {
  for (int c = 0; c < 4; ++c) z[c] = T(0);
  const bool depths = person.has_depths && memory.setting[kDepth] != T(0);
  if (depths) depth_gradient(place, memory, person.depths, z);
  if (!memory.in_perspective()) return depths;
  for (int c = 0; c < 4; ++c) z[c] += memory.constant[2][place.joint][c];
  return true;
}

// The wrench at the lane's segment, about its joint, from points, keypoints, depths and normals;
// `stretch` is ⟨A of Y_k, C_k⟩. By a whole warp.
template <typename T>
__device__ __forceinline__ Wrench<T> own_wrench(const Place& place, SharedMemory<T>& memory,
                                                const Person<T>& person, const Posed<T>& body,
                                                T size, T& stretch) {
  T y[8], z[4];
  image_gradient(place, memory, person.moments, y);
  stretch = T(0);
  Wrench<T> wrench = image_wrench(body.joint.turn, size, y, stretch);
  if (depth_pull(place, memory, person, z)) {
    const Shear<T> u = memory.shear[place.joint];
    for (int c = 0; c < 4; ++c) z[c] += u.x * y[c] + u.y * y[4 + c];
    wrench += depth_wrench(body.joint.turn, size, z, stretch);
  }
  const Vec3<T> slope = normal_slope(memory, place.joint, load_vec3(memory.view[place.joint]));
  wrench.torque =
      wrench.torque + normal_torque(body.joint.turn, load_vec3(memory.ray[place.joint]), slope);
  if (place.owns) return wrench;
  stretch = T(0);
  return {{T(0), T(0), T(0)}, {T(0), T(0), T(0)}};
}

// The scales that the lane's scale terms read; by a whole warp.
template <typename T>
__device__ __forceinline__ ScaleAndPeers<T> scale_and_peers(const Place& place,
                                                            const Scales<T>& scale) {
  return {scale.own, lane_sum(scale.own) / T(kFitJoints),
          __shfl_sync(kFullWarp, scale.own, place.mirror)};
}

// The weighted terms, term i in lane i, and their sum in every lane.
template <typename T>
struct Judged {
  T term;
  T loss;
};

// By a whole warp. seen: the lane's share of the terms of the evidence.
template <typename T>
__device__ __forceinline__ Judged<T> judge(const Place& place, const FitProblem<T>& p,
                                           const SharedMemory<T>& memory, const Person<T>& person,
                                           const T (&value)[kLaneParameters],
                                           const EvidenceTerms<T>& seen) {
  const Scales<T> scale = scales_of(place, value);
  const Vec3<T> theta = theta_of(place, value);
  T terms[kFitTerms] = {};
  terms[kDense] = seen.dense;
  terms[kKeypoint] = seen.keypoint;
  terms[kFacing] = seen.facing;
  terms[kVisibility] = seen.visibility;
  if (person.has_depths) {
    for_depths(memory, person.depths,
               [&](int, T weight, T error) { terms[kDepth] += depth_value(weight, error); });
  }
  const ScaleAndPeers<T> peers = scale_and_peers(place, scale);
  if (place.owns) {
    if (place.lane > 0) add_angle_values(theta, place.joint, memory.pose_terms, terms);
    add_scale_values(peers, T(0.5), p.scale_low, p.scale_high, terms);
    terms[kScaleSmoothness] = smoothness_value(scale.own, scale.parent);
  }
  if (place.lane < kFitModes) {
    const T along = memory.along_mode[place.lane];
    terms[kPrior] += p.mode_weight[place.lane] * along * along;
  }
  if (place.lane == 0) add_camera_values(memory.camera.rotation(), memory.camera.raw, terms);
  Judged<T> judged = {};
#pragma unroll
  for (int i = 0; i < kFitTerms; ++i) {
    const T weight = memory.setting[i];
    const T sum = lane_sum(terms[i]);
    const T term = weight != T(0) ? weight * sum : T(0);
    if (place.lane == i) judged.term = term;
    judged.loss += term;
  }
  return judged;
}

// The share, in the normal matrix (Normal), of the terms that read no evidence, without scale
// symmetry; a lane per joint, by a whole warp.
template <typename T, typename Matrix>
__device__ __forceinline__ void add_parameter_curvature(const Place& place, const FitProblem<T>& p,
                                                        const SharedMemory<T>& memory,
                                                        const T (&value)[kLaneParameters],
                                                        const Matrix& normal) {
  if (!place.owns) return;
  const T* const setting = memory.setting;
  const int k = place.joint;
  const T smooth = smoothness_curvature(setting);
  const T of_scale = scale_curvature(value[3], setting, p.scale_low, p.scale_high) +
                     T(__popc(normal.tree().children[k])) * smooth;
  if (k == 0) {
    auto& top = normal.memory->top;
    top[3][3] += of_scale;
    add_camera_curvature(memory.camera.rotation(), setting, top);
    return;
  }
  T* const own = normal.block(k, 0);
  for (int axis = 0; axis < 3; ++axis) {
    own[5 * axis] += angle_curvature(value[axis], 3 * k + axis, setting, memory.pose_terms) +
                     T(2) * setting[kPrior] * memory.mode_bound[k][axis];
  }
  own[15] += of_scale + smooth;
  T* const above = normal.block(k, 1);
  above[normal.tree().depth[k] == 1 ? 3 * kRootUnknowns + 3 : 15] -= smooth;
}

// What their change reads of a posed body, beside its parameters: the lane's share.
template <typename T>
struct Posture {
  T lean;
  T along_mode;
};

template <typename T>
__device__ __forceinline__ Posture<T> posture_of(const Place& place,
                                                 const SharedMemory<T>& memory) {
  return {place.lane == 0 ? lean(memory.camera.rotation()) : T(0),
          place.lane < kFitModes ? memory.along_mode[place.lane] : T(0)};
}

// Their exact change, weighted: the lane's share. By a whole warp.
template <typename T>
__device__ __forceinline__ T parameter_change(const Place& place, const FitProblem<T>& p,
                                              const SharedMemory<T>& memory,
                                              const T (&from)[kLaneParameters],
                                              const Posture<T>& from_posture,
                                              const T (&to)[kLaneParameters],
                                              const Posture<T>& to_posture) {
  const T* const setting = memory.setting;
  const Scales<T> scale = scales_of(place, from), new_scale = scales_of(place, to);
  T sum = scale_change(scale_and_peers(place, scale), scale_and_peers(place, new_scale), setting,
                       p.scale_low, p.scale_high) +
          smoothness_change(scale.own, scale.parent, new_scale.own, new_scale.parent, setting);
  if (place.lane < kFitModes) {
    sum += setting[kPrior] * p.mode_weight[place.lane] *
           change_of_square(from_posture.along_mode, to_posture.along_mode);
  }
  if (place.lane == 0) {
    sum += camera_change(from_posture.lean, to_posture.lean, setting);
  } else {
    for (int axis = 0; axis < 3; ++axis) {
      sum += angle_change(from[axis], to[axis], 3 * place.joint + axis, setting, memory.pose_terms);
    }
  }
  return sum;
}

}  // namespace bodyreg
