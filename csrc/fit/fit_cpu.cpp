// Fits on a CPU: a group of people as lanes, their candidates one after the other, every iteration
// of a phase before the next candidate. No lane depends on its neighbours, so a person's bits
// depend neither on the group nor on the width.
#include <optional>

#include "cpu/adam.h"
#include "cpu/lm.h"
#include "cpu/variance.h"

namespace bodyreg::BODYREG_ISA {
namespace {

// The points of the largest group of a range of people.
template <typename T>
int64_t most_points(const FitProblem<T>& p, int64_t begin, int64_t end) {
  int64_t most = 0;
  for (int64_t first = begin; first < end; first += Lanes<T>::width) {
    const int64_t last = first + Lanes<T>::width < end ? first + Lanes<T>::width : end;
    const int64_t points = p.point_start[last] - p.point_start[first];
    most = points > most ? points : most;
  }
  return most;
}

// Whether a condition holds for at least one settings row.
bool some_row(const double* rows, int64_t count, bool (*holds)(const double* row)) {
  for (int64_t i = 0; i < count; ++i) {
    if (holds(rows + i * kFitSettings)) return true;
  }
  return false;
}

template <typename T>
class Solver {
 public:
  using V = Lanes<T>;
  static constexpr int W = V::width;
  // In Levenberg–Marquardt the compiler fuses other operations for single numbers than for vectors,
  // so a lone person would get other bits.
  static constexpr bool kHasLm = W > 1;

  Solver(const FitParams<T>& p, int64_t begin, int64_t end)
      : p_(p),
        evidence_(p.problem, most_points(p.problem, begin, end),
                  some_row(p.settings, p.iterations + 1, reads_normals),
                  some_row(p.settings, p.iterations, needs_refresh)),
        adam_(p.problem),
        candidates_(p.candidates),
        kept_(p.candidates) {
    if constexpr (kHasLm) {
      if (p.has_lm()) lm_.emplace(p.problem, evidence_.keypoints());
    }
  }

  // People first … first + people.
  void solve(int64_t first, int people) {
    evidence_.load(first, people);
    for (int c = 0; c < p_.candidates; ++c) {
      to_lanes(p_.start + (first * p_.candidates + c) * kParameters, p_.candidates * kParameters,
               people, kParameters, numbers(candidates_[c]), W);
    }
    const bool refreshes = evidence_.refreshes();
    if (!refreshes && p_.iterations > 0) {
      body_.pose(p_.problem, candidates_[0]);
      evidence_.refresh(Setting<T>(p_.settings), body_);
    }
    const double* rows = p_.settings;
    int candidates = p_.candidates;
    for (int i = 0; i < p_.phase_count; ++i) {
      const FitPhase& phase = p_.phases[i];
      for (int c = 0; c < candidates; ++c) {
        if (phase.solver == kAdam) {
          adam_.run(rows, phase.iterations, refreshes ? p_.refresh : 0, evidence_, candidates_[c]);
        } else if constexpr (kHasLm) {
          lm_->run(rows, phase.iterations, refreshes, evidence_, candidates_[c]);
        }
      }
      rows += int64_t{phase.iterations} * kFitSettings;
      candidates = keep(candidates, phase.kept);
    }
    write(first, people);
  }

 private:
  static T* numbers(ParameterLanes<T>& x) { return reinterpret_cast<T*>(x); }

  // Orders every person's candidates by their exact loss, best first; equal ones keep their order.
  // Returns how many go on.
  int keep(int candidates, int most) {
    if (candidates == 1) return 1;
    const int kept = candidates < most ? candidates : most;
    const Setting<T> setting = judge();
    Buffer<V> loss(candidates);
    for (int c = 0; c < candidates; ++c) {
      body_.pose(p_.problem, candidates_[c]);
      loss[c] = evidence_.judge(setting, candidates_[c], body_, terms_);
    }
    for (int l = 0; l < W; ++l) {
      for (int c = 0; c < candidates; ++c) {
        int place = 0;  // how many are better
        for (int other = 0; other < candidates; ++other) {
          place += precedes(loss[other].v[l], other, loss[c].v[l], c);
        }
        if (place >= kept) continue;
        for (int n = 0; n < kParameters; ++n) kept_[place][n].v[l] = candidates_[c][n].v[l];
      }
    }
    for (int c = 0; c < kept; ++c) {
      for (int n = 0; n < kParameters; ++n) candidates_[c][n] = kept_[c][n];
    }
    return kept;
  }

  // NaN counts as infinite.
  static bool precedes(T a, int i, T b, int j) {
    if (!(a == a)) a = static_cast<T>(INFINITY);
    if (!(b == b)) b = static_cast<T>(INFINITY);
    return a < b || (a == b && i < j);
  }

  Setting<T> judge() const { return Setting<T>(p_.settings + p_.iterations * kFitSettings); }

  void write(int64_t first, int people) {
    body_.pose(p_.problem, candidates_[0]);
    const V loss = evidence_.judge(judge(), candidates_[0], body_, terms_);
    for (int l = 0; l < people; ++l) p_.loss[first + l] = loss.v[l];
    from_lanes(numbers(candidates_[0]), W, people, kParameters, p_.parameters + first * kParameters,
               kParameters);
    from_lanes(reinterpret_cast<const T*>(terms_), W, people, kFitTerms,
               p_.terms + first * kFitTerms, kFitTerms);
  }

  const FitParams<T>& p_;
  GroupEvidence<T> evidence_;
  Adam<T> adam_;
  std::optional<LevenbergMarquardt<T>> lm_;
  Buffer<ParameterLanes<T>> candidates_, kept_;
  PosedGroup<T> body_;
  V terms_[kFitTerms];
};

// Calls f(first, people) for the groups of a range.
template <typename T, typename F>
void for_groups(int64_t begin, int64_t end, const F& f) {
  constexpr int64_t W = Lanes<T>::width;
  for (int64_t first = begin; first < end; first += W) {
    f(first, static_cast<int>(end - first < W ? end - first : W));
  }
}

}  // namespace

template <typename T>
void fit_cpu(const FitParams<T>& p, int64_t begin, int64_t end) {
  Solver<T> solver(p, begin, end);
  for_groups<T>(begin, end, [&](int64_t first, int people) { solver.solve(first, people); });
}

template <typename T>
void fit_gradient_cpu(const FitGradientParams<T>& p, int64_t begin, int64_t end) {
  using V = Lanes<T>;
  constexpr int W = V::width;
  const Setting<T> setting(p.settings);
  GroupEvidence<T> evidence(p.problem, most_points(p.problem, begin, end),
                            reads_normals(p.settings), true);
  PosedGroup<T> body;
  Pull<T> pull;
  GradientScratch<T> scratch;
  ParameterLanes<T> x, gradient;
  V terms[kFitTerms];
  for_groups<T>(begin, end, [&](int64_t first, int people) {
    to_lanes(p.parameters + first * kParameters, kParameters, people, kParameters,
             reinterpret_cast<T*>(x), W);
    evidence.load(first, people);
    body.pose(p.problem, x);
    evidence.refresh(setting, body);
    find_pull(p.problem, setting, body, evidence.moments(), evidence.shear(), evidence.keypoints(),
              pull);
    objective_gradient(p.problem, setting, x, body, evidence.moments(), evidence.keypoints(),
                       evidence.normals(), pull, scratch, gradient);
    const V loss = evidence.judge(setting, x, body, terms);
    for (int l = 0; l < people; ++l) p.loss[first + l] = loss.v[l];
    from_lanes(reinterpret_cast<const T*>(gradient), W, people, kParameters,
               p.gradient + first * kParameters, kParameters);
    from_lanes(reinterpret_cast<const T*>(terms), W, people, kFitTerms, p.terms + first * kFitTerms,
               kFitTerms);
  });
}

template <typename T>
void fit_variance_cpu(const FitVarianceParams<T>& p, int64_t begin, int64_t end) {
  using V = Lanes<T>;
  constexpr int W = V::width;
  const Setting<T> setting(p.settings);
  GroupEvidence<T> evidence(p.problem, most_points(p.problem, begin, end),
                            reads_normals(p.settings), true);
  JointVariances<T> variances(p.problem, evidence.keypoints());
  PosedGroup<T> body;
  ParameterLanes<T> x;
  Vec3<V> place[kFitJoints];
  V variance[kFitJoints][3];
  for_groups<T>(begin, end, [&](int64_t first, int people) {
    to_lanes(p.parameters + first * kParameters, kParameters, people, kParameters,
             reinterpret_cast<T*>(x), W);
    evidence.load(first, people);
    body.pose(p.problem, x);
    evidence.refresh(setting, body);
    for (int k = 0; k < kFitJoints; ++k) place[k] = body.place(x, k);
    variances.find(setting, evidence, x, body, variance);
    from_lanes(reinterpret_cast<const T*>(place), W, people, 3 * kFitJoints,
               p.place + first * 3 * kFitJoints, 3 * kFitJoints);
    from_lanes(reinterpret_cast<const T*>(variance), W, people, 3 * kFitJoints,
               p.variance + first * 3 * kFitJoints, 3 * kFitJoints);
  });
}

template void fit_cpu(const FitParams<float>&, int64_t, int64_t);
template void fit_cpu(const FitParams<double>&, int64_t, int64_t);
template void fit_gradient_cpu(const FitGradientParams<float>&, int64_t, int64_t);
template void fit_gradient_cpu(const FitGradientParams<double>&, int64_t, int64_t);
template void fit_variance_cpu(const FitVarianceParams<float>&, int64_t, int64_t);
template void fit_variance_cpu(const FitVarianceParams<double>&, int64_t, int64_t);

}  // namespace bodyreg::BODYREG_ISA
