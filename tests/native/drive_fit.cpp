#include <algorithm>

#include "../../csrc/fit/fit.h"
#include "driver.h"

using namespace bodyreg;

// A body and people at random: every array has its exact size, and ids are in any order.
template <typename T>
struct Scene {
  std::vector<T> joints = driver::normal<T>(72), anchors, normals, barycentric, xy, weight;
  std::vector<std::int32_t> vertex_ids, point_vertex, keypoint_ids;
  std::vector<std::int64_t> point_start = {0};
  std::vector<T> keypoint_anchors, keypoint_xy, keypoint_weight, depth, depth_weight, perspective;
  std::vector<T> pose_terms = driver::normal<T>(288), surface_normals, surface_area;
  std::vector<T> mode = driver::normal<T>(24 * 72), mode_weight = driver::normal<T>(24);
  FitProblem<T> problem{};

  // person b has counts[b] points
  Scene(const std::vector<int>& counts, int influences, int keypoints, int keypoint_influences) {
    const int people = static_cast<int>(counts.size()), vertices = 40, samples = 3;
    for (int count : counts) point_start.push_back(point_start.back() + count);
    const std::int64_t points = point_start.back();
    vertex_ids = driver::indices(vertices * influences, kFitJoints);
    anchors = driver::normal<T>(vertices * influences * 4);
    for (std::size_t i = 0; i < vertex_ids.size(); i += 3) {  // slots that are not needed
      vertex_ids[i] = 0;
      std::fill_n(anchors.begin() + static_cast<std::ptrdiff_t>(4 * i), 4, T(0));
    }
    normals = driver::normal<T>(vertices * 3);
    point_vertex = driver::indices(points * 3, vertices);
    barycentric = driver::normal<T>(points * 3);
    xy = driver::normal<T>(points * 2);
    weight = positive(points);
    keypoint_ids = driver::indices((keypoints + 1) * keypoint_influences, kFitJoints);
    keypoint_anchors = driver::normal<T>((keypoints + 1) * keypoint_influences * 4);
    keypoint_xy = driver::normal<T>(people * keypoints * 2);
    keypoint_weight = positive(people * keypoints);
    depth = driver::normal<T>(people * keypoints);
    depth_weight = positive(people * keypoints);
    perspective = driver::normal<T>(people * 3);
    for (int b = 0; b < people; ++b) {  // every third person in weak perspective
      T& inverse_focal = perspective[static_cast<std::size_t>(3 * b)];
      inverse_focal = b % 3 == 1 ? T(0) : std::abs(inverse_focal) / T(16);
    }
    for (int i = 144; i < 216; ++i) pose_terms[i] = -std::abs(pose_terms[i]);
    for (int i = 216; i < 288; ++i) pose_terms[i] = std::abs(pose_terms[i]);
    std::fill_n(pose_terms.begin(), 3, T(0));  // the root's pose is zero and costs nothing
    std::fill_n(mode.begin(), 72, T(0));
    surface_normals = driver::normal<T>(kFitJoints * samples * 3);
    surface_area = std::vector<T>(kFitJoints * samples, T(1) / samples);
    problem.people = people;
    problem.joints = joints.data();
    for (int k = 0; k < kFitJoints; ++k) {
      problem.parent[k] = static_cast<std::int8_t>(k == 0 ? -1 : driver::indices(1, k)[0]);
      problem.mirror[k] = static_cast<std::int8_t>(k < 20 ? k ^ 1 : k);
    }
    problem.vertices = vertices;
    problem.vertex_influences = influences;
    problem.vertex_ids = vertex_ids.data();
    problem.vertex_anchors = anchors.data();
    problem.vertex_normals = normals.data();
    problem.points = points;
    problem.point_start = point_start.data();
    problem.point_vertex = point_vertex.data();
    problem.point_barycentric = barycentric.data();
    problem.point_xy = xy.data();
    problem.point_weight = weight.data();
    problem.keypoints = keypoints;
    problem.keypoint_influences = keypoint_influences;
    problem.keypoint_ids = keypoint_ids.data();
    problem.keypoint_anchors = keypoint_anchors.data();
    problem.keypoint_xy = keypoint_xy.data();
    problem.keypoint_weight = keypoint_weight.data();
    problem.keypoint_depth = depth.data();
    problem.depth_weight = depth_weight.data();
    problem.perspective = perspective.data();
    problem.pose_terms = pose_terms.data();
    problem.mode = mode.data();
    problem.mode_weight = mode_weight.data();
    problem.surface_samples = samples;
    problem.surface_normals = surface_normals.data();
    problem.surface_area = surface_area.data();
    problem.facing_margin = T(0.3);
    problem.visibility_sharpness = T(2);
    problem.scale_low = T(0.8);
    problem.scale_high = T(1.1);
  }

  // Some are 0: absent.
  static std::vector<T> positive(std::int64_t count) {
    std::vector<T> values = driver::normal<T>(count);
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = i % 5 == 3 ? T(0) : std::abs(values[i]) / T(8);
    }
    return values;
  }
};

template <typename T>
std::vector<T> starts(std::int64_t count) {
  std::vector<T> values = driver::normal<T>(count * kParameters);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t at = i % kParameters;
    values[i] *= T(0.3);
    if (at >= kScalesAt && at < kRotationAt) values[i] += 1;
    if (at >= kRotationAt && at < kTranslationAt && (at - kRotationAt) % 4 == 0) values[i] += 1;
    if (at == kCameraScaleAt) values[i] += 1;
  }
  return values;
}

// Rows of every term's weight, with a robust width or as plain squares.
inline std::vector<double> settings(int rows, bool robust) {
  std::vector<double> values;
  for (int i = 0; i < rows; ++i) {
    for (int term = 0; term < kFitTerms; ++term) values.push_back(0.02 * (term + 1 + i));
    if (!robust) values[values.size() - kFitTerms + kFacing] = 0;
    if (!robust) values[values.size() - kFitTerms + kVisibility] = 0;
    values.push_back(robust ? 0.5 : std::numeric_limits<double>::infinity());
    values.push_back(0.02);
  }
  return values;
}

// The results of one run, on the CPU or by the kernel.
template <typename T>
struct Results {
  std::vector<T> parameters, loss, terms;
  explicit Results(std::int64_t people)
      : parameters(driver::unwritten<T>(people * kParameters)),
        loss(driver::unwritten<T>(people)),
        terms(driver::unwritten<T>(people * kFitTerms)) {}
};

template <typename T>
void compare(const Results<T>& kernel, const Results<T>& cpu, T roundings = 500) {
  driver::compare("parameters", kernel.parameters, cpu.parameters, roundings);
  driver::compare("loss", kernel.loss, cpu.loss, roundings);
  driver::compare("terms", kernel.terms, cpu.terms, roundings);
}

template <typename T>
void drive_fit(const FitProblem<T>& problem, bool robust, int candidates) {
  const std::vector<double> rows = settings(8, robust);
  const auto start = starts<T>(problem.people * candidates);
  const std::int64_t paths = problem.people * candidates;
  auto parameters = driver::unwritten<T>(paths * kParameters), loss = driver::unwritten<T>(paths);
  std::vector<std::int32_t> order(static_cast<std::size_t>(2 * paths), -1);
  Results<T> kernel(problem.people), cpu(problem.people);
  FitParams<T> p{};
  p.problem = problem;
  p.candidates = candidates;
  p.start = start.data();
  p.phase_count = 4;
  p.phases[0] = {kAdam, 2, 2};
  p.phases[1] = {kAdam, 2, 2};
  // A solved system differs by its condition times the rounding: in float32 a comparison would show
  // nothing.
  constexpr bool solves = sizeof(T) == 8;
  p.phases[2] = {solves ? kLevenbergMarquardt : kAdam, 2, 2};
  p.phases[3] = {kAdam, 1, 1};
  p.settings = rows.data();
  p.iterations = 7;
  p.refresh = 2;
  for (Results<T>* results : {&kernel, &cpu}) {
    p.parameters = results->parameters.data();
    p.loss = results->loss.data();
    p.terms = results->terms.data();
    if (results == &cpu) {
      baseline::fit_cpu(p, 0, problem.people);
    } else {
      fit_cuda(p, FitPaths<T>{parameters.data(), loss.data(), order.data()}, nullptr);
    }
  }
  compare(kernel, cpu, solves ? T(1e6) : T(500));
}

template <typename T>
void drive_gradient(const FitProblem<T>& problem) {
  const std::vector<double> rows = settings(1, true);
  const auto parameters = starts<T>(problem.people);
  Results<T> kernel(problem.people), cpu(problem.people);
  for (Results<T>* results : {&kernel, &cpu}) {
    const FitGradientParams<T> p{problem,
                                 parameters.data(),
                                 rows.data(),
                                 results->loss.data(),
                                 results->parameters.data(),
                                 results->terms.data()};
    if (results == &cpu) {
      baseline::fit_gradient_cpu(p, 0, problem.people);
    } else {
      fit_gradient_cuda(p, nullptr);
    }
  }
  compare(kernel, cpu);
}

template <typename T>
void drive_variance(const FitProblem<T>& problem) {
  const std::vector<double> rows = settings(1, true);
  const auto parameters = starts<T>(problem.people);
  std::vector<T> found[2][2];  // by kernel and CPU: places and variances
  for (int cpu : {0, 1}) {
    for (auto& numbers : found[cpu])
      numbers = driver::unwritten<T>(problem.people * 3 * kFitJoints);
    const FitVarianceParams<T> p{problem, parameters.data(), rows.data(), found[cpu][0].data(),
                                 found[cpu][1].data()};
    if (cpu == 1) {
      baseline::fit_variance_cpu(p, 0, problem.people);
    } else {
      fit_variance_cuda(p, nullptr);
    }
  }
  driver::compare("places", found[0][0], found[1][0], T(500));
  driver::compare("variances", found[0][1], found[1][1], T(1e6));
}

int main() {
  Scene<float> few({0, 1, 9}, 1, 5, 2);  // people with few pairs of joints
  drive_fit(few.problem, true, 3);
  few.problem.six_numbers = true;
  drive_gradient(few.problem);
  Scene<double> many({33}, 8, 34, 3);  // all pairs, more keypoints than lanes
  drive_fit(many.problem, false, 1);
  drive_gradient(many.problem);
  Scene<float> crowd(std::vector<int>(259, 1), 1, 3, 1);  // more people than blocks
  drive_gradient(crowd.problem);
  Scene<float> stiff({9, 1}, 1, 0, 1);  // points of one segment: no pair of joints
  std::fill(stiff.vertex_ids.begin(), stiff.vertex_ids.end(), 5);
  drive_fit(stiff.problem, true, 1);
  Scene<double> steady({9, 0, 1, 4}, 1, 3, 1);  // nothing hangs on two branches
  std::fill(steady.vertex_ids.begin(), steady.vertex_ids.end(), 5);
  drive_variance(steady.problem);
  Scene<double> bare({2}, 2, 0, 0);  // no keypoint, and a pelvis without influences
  drive_gradient(bare.problem);
}
