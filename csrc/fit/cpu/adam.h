// Adam (Kingma & Ba 2015) for a group of people as lanes, along one path through a phase.
#pragma once

#include "evidence.h"

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
      if (every > 0 && i % every == 0) evidence.refresh(setting, body_);
      find_pull(p_, setting, body_, evidence.moments(), evidence.keypoints(), pull_);
      objective_gradient(p_, setting, x, body_, evidence.moments(), evidence.keypoints(),
                         evidence.normals(), pull_, scratch_, gradient_);
      const AdamStep<T> step = next_step<T>(decay, rows[kLearningRateAt]);
      for (int n = 3; n < kParameters; ++n) adam(x[n], mean_[n], square_[n], gradient_[n], step);
    }
  }

 private:
  const FitProblem<T>& p_;
  PosedGroup<T> body_;
  Pull<T> pull_;
  GradientScratch<T> scratch_;
  ParameterLanes<T> gradient_, mean_, square_;
};

}  // namespace bodyreg::BODYREG_ISA
