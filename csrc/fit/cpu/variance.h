// The places of the joints and how well a fit determines them, for a group of people. The variances
// are those of a normal distribution whose log density is minus the refreshed objective.
#pragma once

#include "evidence.h"
#include "lm_solve.h"

namespace bodyreg::BODYREG_ISA {

template <typename T>
class JointVariances {
 public:
  using V = Lanes<T>;

  JointVariances(const FitProblem<T>& p, const GroupKeypoints<T>& keypoints)
      : p_(p),
        tree_(p.parent, p.mirror),
        assembly_(p, tree_, keypoints),
        solver_(tree_),
        matrix_(tree_) {}

  // At x, by which `body` is posed; the evidence has just been refreshed there.
  void find(Setting<T> setting, const GroupEvidence<T>& evidence, const ParameterLanes<T>& x,
            const PosedGroup<T>& body, V (&variance)[kFitJoints][3]) {
    assembly_.assemble(setting, x, body, evidence.moments(), parallel_, evidence.normals(),
                       matrix_);
    solver_.decompose(V(T(kVarianceDamping)), setting[kScaleSymmetry], matrix_);
    for (V& none : variance[0]) none = T(0);
    for (int j = 1; j < kFitJoints; ++j) {
      assembly_.joint_slopes(j, body, slope_);
      for (int axis = 0; axis < 3; ++axis) {
        variance[j][axis] = solver_.variance(tree_.way_up[p_.parent[j]], matrix_, slope_[axis]);
      }
    }
  }

 private:
  const FitProblem<T>& p_;
  Tree tree_;
  NormalAssembly<T> assembly_;
  TreeSolver<T> solver_;
  NormalMatrix<T> matrix_;
  const Shear<V> parallel_[kFitJoints] = {};  // depth tells nothing of itself
  TangentLanes<T> slope_[3];
};

}  // namespace bodyreg::BODYREG_ISA
