// Adam (Kingma & Ba 2015) for one person in a warp, along one path through a phase. For .cu files.
#pragma once

#include "objective.h"
#include "person.h"

namespace bodyreg {

// The settings row of iteration i of a phase; after the last iteration, the last row of all.
template <typename T>
__device__ __forceinline__ const double* settings_row(const FitParams<T>& p, int first_row,
                                                      int iterations, int i) {
  const int64_t row = i < iterations ? first_row + i : p.iterations;
  return p.settings + row * kFitSettings;
}

// Adam's step at iteration i of a phase.
template <typename T>
__device__ __forceinline__ AdamStep<T> step_at(const double* row, int i) {
  AdamDecay decay = {pow(kAdamFirstDecay, i), pow(kAdamSecondDecay, i)};
  return next_step<T>(decay, row[kLearningRateAt]);
}

// One path through a phase: iterations of Adam, then the exact terms under the last settings row.
// built: whether the moments exist already and need no refresh. By a whole warp.
template <typename T>
__device__ __forceinline__ Judged<T> follow_adam(const FitParams<T>& p, const Workspace<T>& work,
                                                 const Person<T>& person, int first_row,
                                                 int iterations, bool refreshes, bool& built,
                                                 T (&value)[kLaneParameters]) {
  const Place& place = work.place;
  SharedMemory<T>& memory = work.memory;
  const T zeros[kLaneParameters] = {};
  store_vector(memory.mean[place.lane], zeros);
  store_vector(memory.square[place.lane], zeros);
  const int column = min(place.lane, kFitSettings - 1);
  T next = static_cast<T>(settings_row(p, first_row, iterations, 0)[column]);  // one ahead
  for (int i = 0;; ++i) {
    const bool judges = i == iterations;
    __syncwarp();  // the previous iteration has read what is written now
    if (place.lane < kFitSettings) memory.setting[place.lane] = next;
    next = static_cast<T>(settings_row(p, first_row, iterations, i + 1)[column]);
    if (i % 32 == 0) {
      const int own = i + place.lane;
      memory.steps[place.lane] = step_at<T>(settings_row(p, first_row, iterations, own), own);
    }
    const Posed<T> body = pose_body(place, p.problem, memory, value);
    __syncwarp();
    const bool due = refreshes && refreshes_at(i, p.refresh, memory.in_perspective());
    const bool refresh = !judges && (due || !built);
    if (refresh && !refreshes) take_first_weights(p, memory);
    if (judges || refresh) {
      const EvidenceTerms<T> seen =
          pass_evidence(p.problem, person.evidence, memory, person.moments, refresh);
      built = true;
      if (judges) return judge(place, p.problem, memory, person, value, seen);
    }
    T gradient[kLaneParameters];
    gradient_of(place, p.problem, memory, person, body, value, gradient);
    T mean[kLaneParameters], square[kLaneParameters];
    load_vector(mean, memory.mean[place.lane]);
    load_vector(square, memory.square[place.lane]);
    const AdamStep<T> step = memory.steps[i % 32];
    for (int n = 0; n < kLaneParameters; ++n) adam(value[n], mean[n], square[n], gradient[n], step);
    store_vector(memory.mean[place.lane], mean);
    store_vector(memory.square[place.lane], square);
  }
}

}  // namespace bodyreg
