// Levenberg–Marquardt (Levenberg 1944, Marquardt 1963) for a group of people as lanes: all take
// every step together, and each lane accepts or rejects its own.
//
// The terms that are not squares are refreshed before every step. The square that replaces a robust
// term touches it from above, so a step that lowers the square also lowers the term.
#pragma once

#include "evidence.h"
#include "lm_solve.h"
#include "objective.h"

namespace bodyreg::BODYREG_ISA {

template <typename T>
class LevenbergMarquardt {
 public:
  using V = Lanes<T>;

  LevenbergMarquardt(const FitProblem<T>& p, const GroupKeypoints<T>& keypoints)
      : p_(p),
        tree_(p.parent, p.mirror),
        assembly_(p, tree_, keypoints),
        solver_(tree_),
        matrix_(tree_) {}

  // One phase, a settings row per iteration, from x.
  void run(const double* rows, int iterations, bool refreshes, GroupEvidence<T>& evidence,
           ParameterLanes<T>& x) {
    State* here = &states_[0];
    State* there = &states_[1];
    copy(x, here->x);
    V damping = T(kFirstDamping);
    T depth_weight = T(0);  // of here->pull
    for (int i = 0; i < iterations; ++i, rows += kFitSettings) {
      Setting<T> setting(rows);
      if (i == 0) {
        if (setting[kDet] != T(0)) stretch_rotation(here->x);
        here->body.pose(p_, here->x);
      }
      setting.value[kDet] = T(0);  // turning changes no determinant
      if (refreshes) evidence.refresh(setting, here->body);
      if (i == 0 || refreshes || setting[kDepth] != depth_weight) {
        pull(setting, evidence, *here);
        depth_weight = setting[kDepth];
      }
      take_step(setting, damping, evidence, *here, there->x);
      there->body.pose(p_, there->x);
      pull(setting, evidence, *there);
      const auto better = change(setting, evidence, *here, *there) < V(T(0));
      damping = next_damping(better, damping);
      move(better, here, there);
    }
    copy(here->x, x);
  }

 private:
  // The bodies at one point of the search. Holds nothing but lanes.
  struct State {
    ParameterLanes<T> x;
    PosedGroup<T> body;
    Pull<T> pull;
  };

  void pull(const Setting<T>& setting, const GroupEvidence<T>& evidence, State& state) const {
    find_pull(p_, setting, state.body, evidence.moments(), evidence.shear(), evidence.keypoints(),
              state.pull);
  }

  static void copy(const ParameterLanes<T>& from, ParameterLanes<T>& to) {
    for (int n = 0; n < kParameters; ++n) to[n] = from[n];
  }

  void stretch_rotation(ParameterLanes<T>& x) const {
    Mat3<V> raw;
    for (int i = 0; i < 9; ++i) raw.m[i] = x[kRotationAt + i];
    const Mat3<V> stretched = stretched_rotation(raw, p_.six_numbers);
    for (int i = 0; i < 9; ++i) x[kRotationAt + i] = stretched.m[i];
  }

  void take_step(const Setting<T>& setting, const V& damping, const GroupEvidence<T>& evidence,
                 const State& from, ParameterLanes<T>& to) {
    assembly_.assemble(setting, from.x, from.body, evidence.moments(), evidence.shear(),
                       evidence.normals(), matrix_);
    objective_gradient(p_, setting, from.x, from.body, evidence.moments(), evidence.keypoints(),
                       evidence.normals(), from.pull, scratch_, gradient_);
    find_tangent(from);
    solver_.solve(damping, setting[kScaleSymmetry], matrix_, step_);
    for (int i = 0; i < 3; ++i) to[kPoseAt + i] = from.x[kPoseAt + i];
    for (int a = 1; a < kFitJoints; ++a) {
      for (int i = 0; i < 3; ++i) {
        const int at = kPoseAt + 3 * a + i;
        to[at] = from.x[at] - step_.joint[a][i];
      }
      to[kScalesAt + a] = from.x[kScalesAt + a] - step_.joint[a][3];
    }
    to[kScalesAt] = from.x[kScalesAt] - step_.root[3];
    const V translation[2] = {from.x[kTranslationAt], from.x[kTranslationAt + 1]};
    V camera[kParameters - kRotationAt];
    step_camera(from.body.raw, translation, from.body.scale, step_.root, camera);
    for (int i = 0; i < kParameters - kRotationAt; ++i) to[kRotationAt + i] = camera[i];
  }

  // The gradient by the unknowns of all joints.
  void find_tangent(const State& from) {
    for (int a = 1; a < kFitJoints; ++a) {
      for (int i = 0; i < 3; ++i) step_.joint[a][i] = gradient_[kPoseAt + 3 * a + i];
      step_.joint[a][3] = gradient_[kScalesAt + a];
    }
    Mat3<V> by_raw;
    for (int i = 0; i < 9; ++i) by_raw.m[i] = gradient_[kRotationAt + i];
    const Vec3<V> torque = turn_slope(from.body.raw, by_raw);
    const V root[kRootUnknowns] = {torque.x,
                                   torque.y,
                                   torque.z,
                                   gradient_[kScalesAt],
                                   gradient_[kTranslationAt],
                                   gradient_[kTranslationAt + 1],
                                   from.body.scale * gradient_[kCameraScaleAt]};
    for (int i = 0; i < kRootUnknowns; ++i) step_.root[i] = root[i];
  }

  // The change of the refreshed objective. A quadratic form changes by ½ ⟨ΔM, Y + Y'⟩: no two large
  // numbers are subtracted, so small changes keep their digits.
  V change(const Setting<T>& setting, const GroupEvidence<T>& evidence, const State& from,
           const State& to) const {
    V twice = T(0);
    for (uint32_t left = evidence.moments().joints(); left != 0; left &= left - 1) {
      const int k = __builtin_ctz(left);
      for (int i = 0; i < 8; ++i) {
        twice += (to.body.rows[k][i] - from.body.rows[k][i]) *
                 (to.pull.image[k][i] + from.pull.image[k][i]);
      }
    }
    if (has_depths(p_, setting)) {
      add_depth_change(
          from, to, evidence.keypoints().joints(),
          [&](int k, int i) { return to.pull.depth[k][i] + from.pull.depth[k][i]; }, twice);
    }
    if (evidence.moments().in_perspective()) {
      add_depth_change(
          from, to, evidence.moments().joints(),
          [&](int k, int i) { return to.pull.toward[k][i] + from.pull.toward[k][i]; }, twice);
    }
    const GroupNormals<T>& normals = evidence.normals();
    for (uint32_t left = normals.joints; left != 0; left &= left - 1) {
      const int k = __builtin_ctz(left);
      const Vec3<V> before = normals.view(k, from.body.joint[k].turn);
      const Vec3<V> after = normals.view(k, to.body.joint[k].turn);
      twice += dot(after - before, normals.gradient(k, after) + normals.gradient(k, before));
    }
    return V(T(0.5)) * twice + parameter_change(p_, setting, from.x, from.body, to.x, to.body);
  }

  // Of the rows z of some joints; pulls(k, i): the sum of those before and after.
  template <typename F>
  static void add_depth_change(const State& from, const State& to, uint32_t joints, const F& pulls,
                               V& twice) {
    for (uint32_t left = joints; left != 0; left &= left - 1) {
      const int k = __builtin_ctz(left);
      V before[4], after[4];
      depth_row(from.body.joint[k], from.body.size[k], before);
      depth_row(to.body.joint[k], to.body.size[k], after);
      for (int i = 0; i < 4; ++i) twice += (after[i] - before[i]) * pulls(k, i);
    }
  }

  // Moves the lanes that are better there. Nearly always all are, or none.
  static void move(const LaneMask<T>& better, State*& here, State*& there) {
    if (!any(!better)) {
      State* const old = here;
      here = there;
      there = old;
    } else if (any(better)) {
      static_assert(sizeof(State) % sizeof(V) == 0);
      V* const to = reinterpret_cast<V*>(here);
      const V* const from = reinterpret_cast<const V*>(there);
      for (std::size_t i = 0; i < sizeof(State) / sizeof(V); ++i)
        to[i] = select(better, from[i], to[i]);
    }
  }

  const FitProblem<T>& p_;
  Tree tree_;
  NormalAssembly<T> assembly_;
  TreeSolver<T> solver_;
  NormalMatrix<T> matrix_;
  State states_[2];
  GradientScratch<T> scratch_;
  ParameterLanes<T> gradient_;
  TangentLanes<T> step_;
};

}  // namespace bodyreg::BODYREG_ISA
