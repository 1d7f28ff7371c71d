// A person in a warp: the warp's workspace, the search for a person's evidence, and how parameters
// and results move between its lanes and global memory. For .cu files.
#pragma once

#include "terms.h"

namespace bodyreg {

// Which people a launch takes: those with more than `above` and at most `most` joint pairs.
struct Share {
  int above;
  int most;
};

// What a warp keeps for all its people.
template <typename T>
struct Workspace {
  Place place;
  SharedMemory<T>& memory;
  T* blocks;
  DepthTable<T> depths;
  bool fit;  // whether all joint ids of the keypoints are in range
};

// A multiple of 16 bytes.
template <typename T>
BODYREG_HD std::size_t shared_bytes(const FitProblem<T>& p, int pairs) {
  const std::size_t bytes = sizeof(SharedMemory<T>) + rounds_of(pairs) * 512 * sizeof(T) +
                            DepthTable<T>::bytes(p.keypoints + 1, p.keypoint_influences);
  return (bytes + 15) / 16 * 16;
}

template <typename T>
__device__ __forceinline__ Workspace<T> set_up(const FitProblem<T>& p, const LaneTree& tree,
                                               int pairs, unsigned char* shared) {
  SharedMemory<T>& memory = *reinterpret_cast<SharedMemory<T>*>(shared);
  T* const blocks = reinterpret_cast<T*>(shared + sizeof(SharedMemory<T>));
  const Place place = place_in(tree);
  for (int i = place.lane; i < 12 * kFitJoints; i += 32) memory.pose_terms[i] = p.pose_terms[i];
  for (int i = place.lane; i < 3 * kFitJoints; i += 32) memory.joints[i] = p.joints[i];
  bound_modes(place, p, memory);
  memory.size[place.lane] = static_cast<uint8_t>(place.size);
  const DepthTable<T> depths = {blocks + 512 * rounds_of(pairs), p.keypoints + 1,
                                p.keypoint_influences};
  __syncwarp();
  const bool fit = fill_depth_table(p, memory, depths);
  return {place, memory, blocks, depths, fit};
}

enum class Opened { not_ours, broken, ready };

// Finds a person's evidence and lists its joint pairs. By a whole warp.
template <typename T>
__device__ __forceinline__ Opened open_person(const FitProblem<T>& p, const Workspace<T>& work,
                                              const Share& share, int64_t b, Person<T>& person) {
  const int64_t begin = p.point_start[b], end = p.point_start[b + 1];
  bool fit = work.fit && begin >= 0 && begin <= end && end <= p.points;
  person.evidence = {begin, fit ? end - begin : 0, b};
  __syncwarp();  // all lanes have read the previous person
  const unsigned together = neighbours(p, person.evidence, work.memory, fit);
  int first_pair;
  const int pairs = count_pairs(work.memory, together, first_pair);
  if (pairs <= share.above || pairs > share.most) return Opened::not_ours;
  if (!fit) return Opened::broken;
  person.moments = {work.blocks, pairs};
  person.depths = work.depths;
  person.has_depths = load_depths(p, b, work.depths);
  if (work.place.lane == 0) work.memory.perspective = perspective_of(p.perspective + 3 * b);
  __syncwarp();
  find_rays(p, person.evidence, work.memory);
  __syncwarp();
  list_pairs(work.memory, together, first_pair);
  return Opened::ready;
}

template <typename T>
__device__ __forceinline__ void load_parameters(const Place& place, const T* from,
                                                T (&value)[kLaneParameters]) {
  for (int i = 0; i < kLaneParameters; ++i) {
    const int at = parameter_at(place, i);
    value[i] = at >= 0 ? from[at] : T(0);
  }
}

template <typename T>
__device__ __forceinline__ void store_parameters(const Place& place,
                                                 const T (&value)[kLaneParameters], T* to) {
  for (int i = 0; i < kLaneParameters; ++i) {
    const int at = parameter_at(place, i);
    if (at >= 0) to[at] = value[i];
  }
}

template <typename T>
__device__ __forceinline__ void store_judged(const Place& place, const Judged<T>& judged, int64_t b,
                                             T* loss, T* terms) {
  if (place.lane < kFitTerms) terms[b * kFitTerms + place.lane] = judged.term;
  if (place.lane == 0) loss[b] = judged.loss;
}

template <typename T>
__device__ __forceinline__ void store_nan(const Place& place, int64_t b, T* parameters, T* loss,
                                          T* terms) {
  for (int i = place.lane; i < kParameters; i += 32)
    parameters[b * kParameters + i] = quiet_nan<T>();
  if (place.lane < kFitTerms) terms[b * kFitTerms + place.lane] = quiet_nan<T>();
  if (place.lane == 0) loss[b] = quiet_nan<T>();
}

}  // namespace bodyreg
