// The objective of one person in a warp: posing the body, the gradient of its 108 parameters, the
// exact terms. Lane l < 24 holds the angles and the scale of its joint; lanes 24, 25, 26 hold the
// raw rotation, the translation and the scale of the camera, four numbers each. So every lane has
// four parameters at most, and Adam is elementwise. For .cu files.
#pragma once

#include "depths.h"
#include "evidence.h"
#include "moments.h"

namespace bodyreg {

constexpr int kCameraLanes = 3;  // from lane 24 on

// Where parameter i of a lane stands in the vector of 108, or −1.
__device__ __forceinline__ int parameter_at(const Place& place, int i) {
  if (place.owns) return i < 3 ? kPoseAt + 3 * place.joint + i : kScalesAt + place.joint;
  const int camera = place.lane - kFitJoints;
  return camera < kCameraLanes ? kRotationAt + kLaneParameters * camera + i : -1;
}

// What a lane knows of the posed body; the rest is in memory, or follows from its parameters.
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

// The camera's four, three times, from the lanes that hold them.
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

// Poses the body: camera, rows of M and views into memory, where all lanes find them after the next
// __syncwarp. By a whole warp.
template <typename T>
__device__ __forceinline__ Posed<T> pose_body(const Place& place, bool six, SharedMemory<T>& memory,
                                              const T (&value)[kLaneParameters]) {
  Posed<T> body;
  const Camera<T> camera = camera_of(value, six);
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
    T rows[8], row[4];
    image_rows(body.joint, size, camera.translation, rows);
    for (int r = 0; r < 2; ++r) {
      for (int c = 0; c < 4; ++c) row[c] = rows[4 * r + c];
      store_vector(memory.rows[r][place.joint], row);
    }
    depth_row(body.joint, size, row);
    store_vector(memory.rows[2][place.joint], row);
    for (int c = 0; c < 3; ++c) row[c] = body.joint.turn.m[6 + c];
    store_vector(memory.view[place.joint], row);
  }
  return body;
}

// Moments that need no refresh are made under the very first weights, whichever launch makes them;
// by a whole warp.
template <typename T>
__device__ __forceinline__ void take_first_weights(const FitParams<T>& p, SharedMemory<T>& memory) {
  const int lane = threadIdx.x % 32;
  if (lane == kDense || lane == kKeypoint) memory.setting[lane] = static_cast<T>(p.settings[lane]);
  __syncwarp();
}

// The parts of a person that the gradient reads.
template <typename T>
struct Person {
  Evidence<T> evidence;
  Moments<T> moments;
  DepthTable<T> depths;
  bool has_depths;
};

template <typename T>
__device__ __forceinline__ Vec3<T> third_row(const Mat3<T>& turn) {
  return {turn.m[6], turn.m[7], turn.m[8]};
}

// The gradient by the third row c of C_k, as just refreshed.
template <typename T>
__device__ __forceinline__ Vec3<T> normal_slope(const SharedMemory<T>& memory, int joint,
                                                const Vec3<T>& c) {
  const T* const n = memory.normals[joint];
  return {n[0] * c.x + n[1] * c.y + n[2] * c.z + n[6], n[1] * c.x + n[3] * c.y + n[4] * c.z + n[7],
          n[2] * c.x + n[4] * c.y + n[5] * c.z + n[8]};
}

// The wrench at the lane's segment, about its joint, from points, keypoints, depths and normals;
// `stretch` is ⟨A of Y_k, C_k⟩. By a whole warp.
template <typename T>
__device__ __forceinline__ Wrench<T> own_wrench(const Place& place, SharedMemory<T>& memory,
                                                const Person<T>& person, const Posed<T>& body,
                                                T size, T& stretch) {
  const T* const setting = memory.setting;
  T y[8];
  image_gradient(place, memory, person.moments, y);
  stretch = T(0);
  Wrench<T> wrench = image_wrench(body.joint.turn, size, y, stretch);
  if (person.has_depths && setting[kDepth] != T(0)) {
    T z[4];
    depth_gradient(place, memory, person.depths, setting[kDepth], z);
    wrench += depth_wrench(body.joint.turn, size, z, stretch);
  }
  const Vec3<T> slope = normal_slope(memory, place.joint, third_row(body.joint.turn));
  wrench.torque = wrench.torque + normal_torque(body.joint.turn, slope);
  if (place.owns) return wrench;
  stretch = T(0);
  return {{T(0), T(0), T(0)}, {T(0), T(0), T(0)}};
}

// The mean of the 24 scales.
template <typename T>
__device__ __forceinline__ T mean_scale(const Scales<T>& scale) {
  return lane_sum(scale.own) / T(kFitJoints);
}

// ∂L/∂raw, ∂L/∂t, ∂L/∂s, from sums that every lane has: the gradient of the lane's own four.
template <typename T>
__device__ __forceinline__ void camera_gradient(const Place& place, bool six,
                                                const Camera<T>& camera, const Wrench<T>& all,
                                                T scale_gradient, const T* setting,
                                                T (&gradient)[kLaneParameters]) {
  const Mat3<T> rotation = camera.rotation();
  Vec3<T> torque = all.torque;
  if (setting[kUpright] != T(0)) torque = torque + upright_torque(setting[kUpright], rotation);
  Mat3<T> raw = rotation_gradient(camera.orthonormal, camera.raw, six, rotation, torque);
  if (setting[kDet] != T(0)) raw += reflection_gradient(setting[kDet], camera.raw);
  const int own = place.lane - kFitJoints;
  const T last[4] = {raw.m[8], all.force.x, all.force.y, scale_gradient};
  for (int i = 0; i < kLaneParameters; ++i) {
    gradient[i] = own == 0 ? raw.m[i] : own == 1 ? raw.m[4 + i] : own == 2 ? last[i] : T(0);
  }
}

// The gradient of the lane's parameters; by a whole warp.
template <typename T>
__device__ __forceinline__ void gradient_of(const Place& place, const FitProblem<T>& p,
                                            SharedMemory<T>& memory, const Person<T>& person,
                                            const Posed<T>& body, const T (&value)[kLaneParameters],
                                            T (&gradient)[kLaneParameters]) {
  const T* const setting = memory.setting;
  const Scales<T> scale = scales_of(place, value);
  const Vec3<T> theta = theta_of(place, value);
  T stretch;
  const Wrench<T> own =
      own_wrench(place, memory, person, body, memory.camera.scale * scale.own, stretch);
  const Vec3<T>& position = body.joint.position;
  Wrench<T> sum = own;  // of the subtree, about the joint
  sum += moved(below_in_tree(place, moved(own, position)), T(-1) * position);
  const Mat3<T> parent_turn = shuffle(body.joint.turn, place.parent());
  const bool root = place.lane == 0;

  // What a joint hands to its parent: how its subtree stretches the bone, and smoothness.
  const Vec3<T> bone = bone_of(place, memory);
  const T smooth = smoothness_slope(scale.own, scale.parent, setting);
  T* const handed = memory.scratch;
  handed[place.lane] = dot(sum.force, parent_turn * bone);
  handed[32 + place.lane] = smooth;
  __syncwarp();
  T bones = T(0), smooths = T(0);
  for (int child = place.lane + 1; child < place.lane + place.size; child += memory.size[child]) {
    bones += handed[child];
    smooths += handed[32 + child];
  }
  const T stretched = stretch + bones;
  const Mat3<T> rotation = memory.camera.rotation();
  const T of_root = root ? dot(sum.force, rotation * bone) : T(0);
  const T scale_gradient = lane_sum(scale.own * stretched + of_root);
  const Wrench<T> about_origin = moved(sum, position);
  const Wrench<T> all = {shuffle(about_origin.force, 0), shuffle(about_origin.torque, 0)};
  camera_gradient(place, p.six_numbers, memory.camera, all, scale_gradient, setting, gradient);

  const T mean = mean_scale(scale);
  const T mirror = __shfl_sync(kFullWarp, scale.own, place.mirror);
  if (!place.owns) return;
  gradient[3] = memory.camera.scale * stretched + smooth - smooths +
                scale_slope(scale.own, mean, mirror, setting, p.scale_low, p.scale_high);
  const T mirrored = determinant(rotation) < T(0) ? T(-1) : T(1);
  const Vec3<T> turn = pose_gradient(theta, body.angle, parent_turn, mirrored, sum.torque) +
                       pose_slope(theta, place.joint, setting, memory.pose_terms);
  gradient[0] = root ? T(0) : turn.x;
  gradient[1] = root ? T(0) : turn.y;
  gradient[2] = root ? T(0) : turn.z;
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
               [&](int, T weight, T error) { terms[kDepth] += weight * error * error; });
  }
  const T mean = mean_scale(scale);
  const T mirror = __shfl_sync(kFullWarp, scale.own, place.mirror);
  if (place.owns) {
    add_pose_terms(theta, place.joint, memory.pose_terms, terms);
    const T bone = scale.own - scale.parent;
    const T outside = excess(scale.own, p.scale_low, p.scale_high);
    terms[kScaleSmoothness] = bone * bone;
    terms[kScaleDeviation] = (scale.own - mean) * (scale.own - mean);
    terms[kScaleSymmetry] = T(0.5) * (scale.own - mirror) * (scale.own - mirror);
    terms[kScaleLevel] = (scale.own - T(1)) * (scale.own - T(1));
    terms[kScaleLimit] = outside * outside;
  }
  if (place.lane == 0) {
    terms[kUpright] = upright(memory.camera.rotation());
    terms[kDet] = reflection(memory.camera.raw);
  }
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

}  // namespace bodyreg
