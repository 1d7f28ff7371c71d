// Fits of whole people: 108 parameters from points and keypoints on a picture, all iterations in
// one call. Parameters, CPU functions, launchers.
//
// The objective is that of bodyreg/registration, term by term. The ops are in fit_op.cpp (checks),
// fit_cpu.cpp and fit.cu (people, candidates, phases). Below them, in reading order:
//
//   parameters.h      where the 108 numbers of a person lie
//   term_math.h       the list of terms; values, slope, curvature and change of each
//   ray_math.h        points in perspective, and the rays along which segments are seen
//   joint_math.h      one joint at a time: posing, moments, wrenches, a step of Adam
//   rotation_math.h   axis-angle vectors as rotations, and back
//   lm_math.h         two joints at a time: levers, the normal matrix, small dense systems
//   lm_tree.h         which blocks the normal matrix has
//
//   cpu/ and gpu/     the same steps under the same names: a group of people, one person
//   body.h            the bodies, posed by their parameters
//   tree.h            the skeleton in the lanes of a warp (GPU)
//   points.h          rig points of the evidence (CPU; on a GPU in evidence.h)
//   moments.h         any number of points as one quadratic form of the joints
//   lone_moments.h    the same for a group of one person (CPU)
//   depths.h          the depths of keypoints; on a CPU also the exact terms of keypoints
//   point_terms.h     one person's points: residuals, normals, terms (CPU; on a GPU in evidence.h)
//   evidence.h        refreshes, and the exact values of the evidence's terms
//   terms.h           the terms over all joints: pulls, values, curvature, change
//   objective.h       the gradient by the parameters
//   person.h          what a warp works with; finds a person's evidence, stores results (GPU)
//   adam.h            a phase of Adam
//   lm_normal.h       the normal matrix
//   lm_solve.h        the normal equations, solved from the leaves to the root
//   lm.h              a phase of Levenberg–Marquardt
//   variance.h        how well the joints' places are determined
//
// Words:
//
//   influence     a pair (joint, anchor) of a rig point
//   joint pair    two joints that influence the same rig point; also their block of the moments
//   lane          one number of a vector (CPU, a person); one thread of a warp (GPU, a joint)
//   group         the people that a CPU fits in one pass, one in each lane
//   phase         a run of iterations of one solver; the best candidates enter the next phase
//   candidate     one start of a person, and the parameters that it has reached
//   path          the iterations of one candidate in one phase
//   settings row  the weights of the terms in one iteration; the last row: of the final loss
//   refresh       replaces terms that are not squares by squares or tangents at the current body
//   pull          Y_k, the gradient of the loss by the image and depth rows of segment k
//   wrench        a force and a torque
//   judge         computes the exact value of every term, under the last settings row
#pragma once

#include <cstdint>

#include "../common/isa.h"
#include "../common/stream.h"
#include "term_math.h"

namespace bodyreg {

enum FitSolver : int { kAdam, kLevenbergMarquardt };

// A run of iterations of one solver, after which only the best candidates are kept.
struct FitPhase {
  int solver;  // a FitSolver
  int iterations;
  int kept;  // candidates that go on; 1 in the last phase
};
constexpr int kFitMaxPhases = 8;

// A body and the evidence of B people. Sent to a kernel by value.
template <typename T>
struct FitProblem {
  int64_t people;               // B
  const T* joints;              // (24, 3) rest positions J_k, metres
  int8_t parent[kFitJoints];    // parent[0] = -1, parent[k] < k
  int8_t mirror[kFitJoints];    // the joint on the other side
  int64_t vertices;             // V
  int vertex_influences;        // n
  const int32_t* vertex_ids;    // (V, n) the body's vertices as rig points
  const T* vertex_anchors;      // (V, n, 4)
  const T* vertex_normals;      // (V, 3) unit, rest pose
  int64_t points;               // P, of all people together
  const int64_t* point_start;   // (B + 1,) person b owns points point_start[b] … point_start[b + 1]
  const int32_t* point_vertex;  // (P, 3)
  const T* point_barycentric;   // (P, 3)
  const T* point_xy;            // (P, 2) frame units
  const T* point_weight;        // (P,) divided by counts already
  int keypoints;                // K
  int keypoint_influences;      // m
  const int32_t* keypoint_ids;  // (K + 1, m) row 0 is the pelvis, row j + 1 is keypoint j
  const T* keypoint_anchors;    // (K + 1, m, 4)
  const T* keypoint_xy;         // (B, K, 2) frame units
  const T* keypoint_weight;     // (B, K) 0 = absent
  const T* keypoint_depth;      // (B, K) frame units, relative to the pelvis
  const T* depth_weight;        // (B, K) 0 = absent
  const T* perspective;         // (B, 3) φ and c, see ray_math.h
  const T* pose_terms;          // (4, 24, 3) prior mean (root: 0), inverse spread, limits low, high
  const T* mode;                // (24, 3, 24) directions in which joints move together (root: 0)
  const T* mode_weight;         // (24,) of either sign
  int surface_samples;          // M
  const T* surface_normals;     // (24, M, 3) samples of each segment's rest surface
  const T* surface_area;        // (24, M)
  T facing_margin;              // m
  T visibility_sharpness;       // per unit of a normal's z
  T scale_low;                  // smallest segment scale that costs nothing
  T scale_high;                 // largest such scale
  bool six_numbers;             // the rotation's third column is a cross product
};

template <typename T>
struct FitParams {
  FitProblem<T> problem;
  int candidates;   // C starts per person, at least 1
  const T* start;   // (B, C, 108)
  int phase_count;  // at least 1
  FitPhase phases[kFitMaxPhases];
  const double* settings;  // (I + 1, kFitSettings) a row per iteration, then the judge's
  int64_t iterations;      // I
  int refresh;             // iterations from one refresh to the next
  T* parameters;           // (B, 108) out
  T* loss;                 // (B,) out
  T* terms;                // (B, kFitTerms) out: weighted

  bool has_lm() const {
    for (int i = 0; i < phase_count; ++i) {
      if (phases[i].solver == kLevenbergMarquardt) return true;
    }
    return false;
  }
};

template <typename T>
struct FitGradientParams {
  FitProblem<T> problem;
  const T* parameters;     // (B, 108)
  const double* settings;  // (1, kFitSettings)
  T* loss;                 // (B,) out
  T* gradient;             // (B, 108) out
  T* terms;                // (B, kFitTerms) out: weighted
};

template <typename T>
struct FitVarianceParams {
  FitProblem<T> problem;
  const T* parameters;     // (B, 108)
  const double* settings;  // (1, kFitSettings)
  T* place;                // (B, 24, 3) out
  T* variance;             // (B, 24, 3) out
};

// Ranges are over people.
BODYREG_CPU_FUNCTION(fit_cpu, FitParams)
BODYREG_CPU_FUNCTION(fit_gradient_cpu, FitGradientParams)
BODYREG_CPU_FUNCTION(fit_variance_cpu, FitVarianceParams)

#ifdef __x86_64__
// fit_cpu in groups of four people and of one, for machines with AVX2. The group of one has only
// Adam.
BODYREG_CPU_DECLARATION(four, fit_cpu, FitParams)
BODYREG_CPU_DECLARATION(one, fit_cpu, FitParams)
#endif

// Where the kernel keeps a person's paths from one phase to the next, in global memory.
template <typename T>
struct FitPaths {
  T* parameters;   // (B, C, 108)
  T* loss;         // (B, C)
  int32_t* order;  // (B, 2, C)
};

template <typename T>
void fit_cuda(const FitParams<T>& p, const FitPaths<T>& paths, cudaStream_t stream);
template <typename T>
void fit_gradient_cuda(const FitGradientParams<T>& p, cudaStream_t stream);
template <typename T>
void fit_variance_cuda(const FitVarianceParams<T>& p, cudaStream_t stream);

}  // namespace bodyreg
