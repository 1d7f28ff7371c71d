// Adam (Kingma & Ba 2015) for a group of people as lanes, along one path through a phase.
#pragma once

#include "evidence.h"
#include "objective.h"

namespace bodyreg::BODYREG_ISA {

template <typename T>
class Adam {
 public:
  using V = Lanes<T>;

  explicit Adam(const FitProblem<T>& p) : p_(p) {}

  // One phase, a settings row per iteration, from x. every: iterations from one refresh to the
  // next, 0 where nothing needs one.
  void run(const double* rows, int iterations, int every, GroupEvidence<T>& evidence,
           ParameterLanes<T>& x) {
    set_zero(reinterpret_cast<T*>(mean_), kParameters * V::width);
    set_zero(reinterpret_cast<T*>(square_), kParameters * V::width);
    AdamDecay decay = {1, 1};
    for (int i = 0; i < iterations; ++i, rows += kFitSettings) {
      const Setting<T> setting(rows);
      body_.pose(p_, x);
      if (every > 0 && refreshes_at(i, every, true)) {
        evidence.refresh(setting, body_, refreshes_at(i, every, false));
      }
      find_pull(p_, setting, body_, evidence.moments(), evidence.shear(), evidence.keypoints(),
                pull_);
      objective_gradient(p_, setting, x, body_, evidence.moments(), evidence.keypoints(),
                         evidence.normals(), pull_, scratch_, gradient_);
      const AdamStep<T> step = next_step<T>(decay, rows[kLearningRateAt]);
      step_all(step, reinterpret_cast<T*>(x));
    }
  }

 private:
  // All parameters take the same kind of step, so for a lone person the parameters are the lanes.
  // The root's pose has no gradient.
  void step_all(const AdamStep<T>& step, T* x) {
    constexpr int N = V::width == 1 ? 4 : V::width;
    T* const mean = reinterpret_cast<T*>(mean_);
    T* const square = reinterpret_cast<T*>(square_);
    const T* const gradient = reinterpret_cast<const T*>(gradient_);
    for (int n = 0; n < kParameters * V::width; n += N) {
      Lanes<T, N> parameter = load_lanes<T, N>(x + n), m = load_lanes<T, N>(mean + n),
                  s = load_lanes<T, N>(square + n);
      adam(parameter, m, s, load_lanes<T, N>(gradient + n), step);
      store_lanes(x + n, parameter);
      store_lanes(mean + n, m);
      store_lanes(square + n, s);
    }
  }

  const FitProblem<T>& p_;
  PosedGroup<T> body_;
  Pull<T> pull_;
  GradientScratch<T> scratch_;
  ParameterLanes<T> gradient_, mean_, square_;
};

}  // namespace bodyreg::BODYREG_ISA
