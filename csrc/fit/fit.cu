// Fits on a GPU: a warp fits a person, all starts and all iterations of a solver in one launch, and
// nothing but registers and shared memory is touched between two refreshes (save one settings row
// an iteration, the same for all people). gpu/body.h says what a lane owns, gpu/moments.h what the
// warp keeps, gpu/lm_normal.h what Levenberg–Marquardt adds. A block is one warp, so that no
// barrier is wider than a warp.
//
// Shared memory is what limits the number of warps on a multiprocessor, and most people need little
// of it: those with few joint pairs are fitted by a first launch, the others by a second one
// with room for all of them. Each launch skips the people of the other.
#include "../common/launch.h"
#include "gpu/adam.h"
#include "gpu/lm.h"
#include "gpu/variance.h"

namespace bodyreg {
namespace {

// Three rounds of joint pairs. On the built-in body people have about 55; all its faces together
// make 78.
constexpr int kFewPairs = 96;
// Many times more than run at once, so that the last wave is short.
constexpr int kBlocksPerMultiprocessor = 256;

// Warps on a multiprocessor for which there are registers: on an H200, as many as for which there
// is shared memory.
template <typename T>
constexpr int kWarpsAtOnce = sizeof(T) == 4 ? 10 : 8;

// Whether the moments of all people depend on the parameters, not only of those in perspective.
template <typename T>
__device__ __forceinline__ bool needs_refreshes(const FitParams<T>& p) {
  bool some = false;
  for (int64_t row = threadIdx.x % 32; row < p.iterations; row += 32) {
    some = some || needs_refresh(p.settings + row * kFitSettings);
  }
  return __ballot_sync(kFullWarp, some) != 0;
}

// Orders the candidates by loss, ties to the earlier one, and keeps the best. order: which starts
// they are; null: all of them, as they come. By a whole warp.
template <typename T>
__device__ __forceinline__ void keep_best(const T* loss, const int32_t* order, int count, int kept,
                                          int32_t* best) {
  for (int n = threadIdx.x % 32; n < count; n += 32) {
    int rank = 0;
    for (int m = 0; m < count; ++m) {
      rank += loss[m] < loss[n] || (loss[m] == loss[n] && m < n) ? 1 : 0;
    }
    if (rank < kept) best[rank] = order == nullptr ? n : order[n];
  }
}

template <typename T>
struct AdamPath {
  const FitParams<T>& p;
  const Workspace<T>& work;

  __device__ __forceinline__ Judged<T> operator()(const Person<T>& person, int iterations, int row,
                                                  bool refreshes, bool& built,
                                                  T (&value)[kLaneParameters]) const {
    return follow_adam(p, work, person, row, iterations, refreshes, built, value);
  }
};

template <typename T>
struct LmPath {
  const FitParams<T>& p;
  const Workspace<T>& work;
  const Normal<T>& normal;

  __device__ __forceinline__ Judged<T> operator()(const Person<T>& person, int iterations, int row,
                                                  bool refreshes, bool& built,
                                                  T (&value)[kLaneParameters]) const {
    return follow_lm(p, work, person, normal, row, iterations, refreshes, built, value);
  }
};

// Phases first … end, which have the same solver.
struct Phases {
  int first, end;
  int count;  // candidates that are there when the first begins
  int row;    // its first settings row
};

// All people of a launch, their paths one after the other. run(person, iterations, row, refreshes,
// built, value) follows one path through a phase whose first settings row is `row`.
template <typename T, typename Run>
__device__ __forceinline__ void fit_people(const FitParams<T>& p, const FitPaths<T>& paths,
                                           const Workspace<T>& work, const Share& share,
                                           const Phases& phases, const Run& run) {
  const bool all_refresh = needs_refreshes(p);
  const Place& place = work.place;
  for (int64_t b = blockIdx.x; b < p.problem.people; b += gridDim.x) {
    Person<T> person;
    const Opened opened = open_person(p.problem, work, share, b, person);
    if (opened == Opened::broken) store_nan(place, b, p.parameters, p.loss, p.terms);
    if (opened != Opened::ready) continue;
    const int64_t C = p.candidates;
    const bool refreshes = all_refresh || work.memory.in_perspective();
    bool built = false;
    int count = phases.count;
    int row = phases.row;
    for (int phase = phases.first; phase < phases.end; ++phase) {
      const bool last = phase + 1 == p.phase_count;
      const int32_t* const order = paths.order + (2 * b + phase % 2) * C;
      T least = T(0);
      for (int n = 0; n < count; ++n) {
        const int64_t path = b * C + (phase == 0 ? n : order[n]);
        T value[kLaneParameters];
        load_parameters(place, (phase == 0 ? p.start : paths.parameters) + path * kParameters,
                        value);
        const Judged<T> judged =
            run(person, p.phases[phase].iterations, row, refreshes, built, value);
        const T loss = judged.loss == judged.loss ? judged.loss : static_cast<T>(INFINITY);
        if (!last) {
          store_parameters(place, value, paths.parameters + path * kParameters);
          if (place.lane == 0) paths.loss[b * C + n] = loss;
        } else if (n == 0 || loss < least) {
          least = loss;
          store_parameters(place, value, p.parameters + b * kParameters);
          store_judged(place, judged, b, p.loss, p.terms);
        }
      }
      row += p.phases[phase].iterations;
      if (last) break;
      __syncwarp();
      const int kept = min(count, p.phases[phase].kept);
      int32_t* const best = paths.order + (2 * b + (phase + 1) % 2) * C;
      keep_best(paths.loss + b * C, phase == 0 ? nullptr : order, count, kept, best);
      __syncwarp();
      count = kept;
    }
  }
}

// A block is a warp and owns a person at a time; a thread owns a joint or four numbers of the
// camera, at a refresh a column of a point's influences, in the product a joint pair. Moves, per
// person, 108 numbers in per start and its results out, and its evidence once to find its joint
// pairs and once per refresh and judgement (gpu/evidence.h).
template <typename T>
__global__ void __launch_bounds__(32, kWarpsAtOnce<T>)
    fit_kernel(const FitParams<T> p, const FitPaths<T> paths, const LaneTree tree,
               const Share share, const Phases phases) {
  SIMT_SHARED(unsigned char, shared);
  const Workspace<T> work = set_up(p.problem, tree, share.most, shared);
  fit_people(p, paths, work, share, phases, AdamPath<T>{p, work});
}

// The same for phases of Levenberg–Marquardt, which need more of everything; a refresh comes before
// every step. What a thread owns beyond that is said in gpu/lm_normal.h and gpu/lm_solve.h.
template <typename T>
__global__ void __launch_bounds__(32, kWarpsAtOnce<T> / 2)
    fit_lm_kernel(const FitParams<T> p, const FitPaths<T> paths, const LaneTree tree,
                  const TreeWords blocks, const Share share, const Phases phases) {
  SIMT_SHARED(unsigned char, shared);
  const Workspace<T> work = set_up(p.problem, tree, share.most, shared);
  const Normal<T> normal = set_up_normal<T>(shared + shared_bytes(p.problem, share.most), blocks);
  fit_people(p, paths, work, share, phases, LmPath<T>{p, work, normal});
}

// The same, for one gradient of the exact objective. Moves, per person, 108 numbers in, its results
// out, and its evidence twice.
template <typename T>
__global__ void __launch_bounds__(32, kWarpsAtOnce<T>)
    fit_gradient_kernel(const FitGradientParams<T> p, const LaneTree tree, const Share share) {
  SIMT_SHARED(unsigned char, shared);
  const Workspace<T> work = set_up(p.problem, tree, share.most, shared);
  const Place& place = work.place;
  for (int64_t b = blockIdx.x; b < p.problem.people; b += gridDim.x) {
    Person<T> person;
    const Opened opened = open_person(p.problem, work, share, b, person);
    if (opened == Opened::broken) store_nan(place, b, p.gradient, p.loss, p.terms);
    if (opened != Opened::ready) continue;
    T value[kLaneParameters], gradient[kLaneParameters];
    load_parameters(place, p.parameters + b * kParameters, value);
    SharedMemory<T>& memory = work.memory;
    if (place.lane < kFitSettings)
      memory.setting[place.lane] = static_cast<T>(p.settings[place.lane]);
    const Posed<T> body = pose_body(place, p.problem, memory, value);
    __syncwarp();
    const EvidenceTerms<T> seen =
        pass_evidence(p.problem, person.evidence, memory, person.moments, true);
    store_judged(place, judge(place, p.problem, memory, person, value, seen), b, p.loss, p.terms);
    gradient_of(place, p.problem, memory, person, body, value, gradient);
    store_parameters(place, gradient, p.gradient + b * kParameters);
  }
}

// The places of joints and their variances. A thread owns what it owns in a step of
// Levenberg–Marquardt, and every coordinate of a joint is a substitution by all. Moves, per person,
// 108 numbers in, its results out, and its evidence twice.
template <typename T>
__global__ void __launch_bounds__(32, kWarpsAtOnce<T> / 2)
    fit_variance_kernel(const FitVarianceParams<T> p, const LaneTree tree, const TreeWords blocks,
                        const Share share) {
  SIMT_SHARED(unsigned char, shared);
  const Workspace<T> work = set_up(p.problem, tree, share.most, shared);
  const Normal<T> normal = set_up_normal<T>(shared + shared_bytes(p.problem, share.most), blocks);
  const Place& place = work.place;
  for (int64_t b = blockIdx.x; b < p.problem.people; b += gridDim.x) {
    T* const places = p.place + b * 3 * kFitJoints;
    T* const variances = p.variance + b * 3 * kFitJoints;
    Person<T> person;
    const Opened opened = open_person(p.problem, work, share, b, person);
    if (opened == Opened::broken) {
      for (int i = place.lane; i < 3 * kFitJoints; i += 32)
        places[i] = variances[i] = quiet_nan<T>();
    }
    if (opened != Opened::ready) continue;
    // In memory: there are not enough registers for what an assembly reads.
    Start<T>& here = normal.memory->start[place.lane];
    load_parameters(place, p.parameters + b * kParameters, here.value);
    SharedMemory<T>& memory = work.memory;
    if (place.lane < kFitSettings)
      memory.setting[place.lane] = static_cast<T>(p.settings[place.lane]);
    here.body = pose_body(place, p.problem, memory, here.value);
    __syncwarp();
    pass_evidence(p.problem, person.evidence, memory, person.moments, true);
    if (place.owns) {
      const T* const t = memory.camera.translation;
      store(places + 3 * place.joint, here.body.joint.position + Vec3<T>{t[0], t[1], T(0)});
    }
    assemble(place, p.problem, memory, person, here.body, here.value, T(0), normal);
    find_variances(normal, memory.setting[kScaleSymmetry], variances);
  }
}

template <typename T>
void check(const FitProblem<T>& p) {
  check_aligned(p.keypoint_anchors, "bodyreg.fit: keypoint_anchors");
  if (shared_bytes(p, kMostPairs) > kSharedBudget) {
    throw std::runtime_error(
        "bodyreg.fit: keypoint_ids: expected as many as shared memory holds, got " +
        std::to_string(p.keypoints + 1) + " keypoints of " + std::to_string(p.keypoint_influences) +
        " joints");
  }
}

// Launches for people with few joint pairs and for people with many. launch(share, grid, bytes);
// more: bytes of shared memory that the kernel needs besides.
template <typename T, typename Kernel, typename Launch>
void launch_shares(const FitProblem<T>& p, Kernel* kernel, std::size_t more, const Launch& launch) {
  check(p);
  allow_shared(kernel, shared_bytes(p, kMostPairs) + more);
  const unsigned grid = grid_for(p.people, kBlocksPerMultiprocessor);
  for (const Share share : {Share{-1, kFewPairs}, Share{kFewPairs, kMostPairs}}) {
    launch(share, grid, shared_bytes(p, share.most) + more);
    check_cuda(cudaGetLastError(), "fit");
  }
}

}  // namespace

template <typename T>
void fit_cuda(const FitParams<T>& p, const FitPaths<T>& paths, cudaStream_t stream) {
  if (p.problem.people == 0) return;
  const LaneTree tree = lane_tree(p.problem.parent, p.problem.mirror);
  const Tree blocks(p.problem.parent, p.problem.mirror);
  const TreeWords words = words_of(blocks);
  Phases phases = {0, 0, p.candidates, 0};
  while (phases.first < p.phase_count) {
    Phases next = phases;
    const int solver = p.phases[phases.first].solver;
    for (; next.first < p.phase_count && p.phases[next.first].solver == solver; ++next.first) {
      next.count = std::min(next.count, p.phases[next.first].kept);
      next.row += p.phases[next.first].iterations;
    }
    phases.end = next.first;
    if (solver == kAdam) {
      launch_shares(
          p.problem, fit_kernel<T>, 0, [&](const Share& share, unsigned grid, std::size_t bytes) {
            SIMT_LAUNCH(fit_kernel<T>, grid, 32, bytes, stream, p, paths, tree, share, phases);
          });
    } else {
      launch_shares(p.problem, fit_lm_kernel<T>, Normal<T>::bytes(blocks),
                    [&](const Share& share, unsigned grid, std::size_t bytes) {
                      SIMT_LAUNCH(fit_lm_kernel<T>, grid, 32, bytes, stream, p, paths, tree, words,
                                  share, phases);
                    });
    }
    phases = next;
  }
}

template <typename T>
void fit_gradient_cuda(const FitGradientParams<T>& p, cudaStream_t stream) {
  if (p.problem.people == 0) return;
  const LaneTree tree = lane_tree(p.problem.parent, p.problem.mirror);
  launch_shares(p.problem, fit_gradient_kernel<T>, 0,
                [&](const Share& share, unsigned grid, std::size_t bytes) {
                  SIMT_LAUNCH(fit_gradient_kernel<T>, grid, 32, bytes, stream, p, tree, share);
                });
}

template <typename T>
void fit_variance_cuda(const FitVarianceParams<T>& p, cudaStream_t stream) {
  if (p.problem.people == 0) return;
  const LaneTree tree = lane_tree(p.problem.parent, p.problem.mirror);
  const Tree blocks(p.problem.parent, p.problem.mirror);
  const TreeWords words = words_of(blocks);
  launch_shares(p.problem, fit_variance_kernel<T>, Normal<T>::bytes(blocks),
                [&](const Share& share, unsigned grid, std::size_t bytes) {
                  SIMT_LAUNCH(fit_variance_kernel<T>, grid, 32, bytes, stream, p, tree, words,
                              share);
                });
}

template void fit_cuda(const FitParams<float>&, const FitPaths<float>&, cudaStream_t);
template void fit_cuda(const FitParams<double>&, const FitPaths<double>&, cudaStream_t);
template void fit_gradient_cuda(const FitGradientParams<float>&, cudaStream_t);
template void fit_gradient_cuda(const FitGradientParams<double>&, cudaStream_t);
template void fit_variance_cuda(const FitVarianceParams<float>&, cudaStream_t);
template void fit_variance_cuda(const FitVarianceParams<double>&, cudaStream_t);

}  // namespace bodyreg
