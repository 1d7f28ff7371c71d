#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "../common/library.h"
#include "fit.h"

namespace bodyreg {
namespace {

// The last people of a range would leave many lanes of the widest vectors empty. Narrower groups
// take less time and give the same bits.
template <typename T>
void fit_range(const FitParams<T>& p, int64_t begin, int64_t end) {
#ifdef __x86_64__
  if (current_isa() != Isa::baseline) {
    constexpr int64_t in_avx2 = 32 / sizeof(T);
    const int64_t width = current_isa() == Isa::avx512 ? 2 * in_avx2 : in_avx2;
    const int64_t rest = (end - begin) % width, first = end - rest;
    if (rest > 0) {
      auto* const fit_rest = rest == 1 && !p.has_lm() ? one::fit_cpu<T>
                             : rest <= 4              ? four::fit_cpu<T>
                             : rest <= in_avx2        ? avx2::fit_cpu<T>
                                                      : fit_cpu<T>;
      fit_rest(p, first, end);
    }
    end = first;
  }
#endif
  if (begin < end) fit_cpu(p, begin, end);
}

// A person is hundreds of iterations: any number of them is worth a thread.
template <typename T>
void run(Cpu, const FitParams<T>& p, const Tensor&) {
  Cpu::parallel(p.problem.people, 1, [&](int64_t b, int64_t e) { fit_range(p, b, e); });
}
template <typename T>
void run(Cpu, const FitGradientParams<T>& p, const Tensor&) {
  Cpu::parallel(p.problem.people, 16, [&](int64_t b, int64_t e) { fit_gradient_cpu(p, b, e); });
}
template <typename T>
void run(Cpu, const FitVarianceParams<T>& p, const Tensor&) {
  Cpu::parallel(p.problem.people, 16, [&](int64_t b, int64_t e) { fit_variance_cpu(p, b, e); });
}
template <typename T>
void run(Cuda, const FitParams<T>& p, const Tensor& on) {
  const int64_t B = p.problem.people, C = p.candidates;
  Tensor parameters = empty_like(on, {B, C, kParameters});
  Tensor loss = empty_like(on, {B, C});
  Tensor order = empty_index(on, {B, 2, C});
  const FitPaths<T> paths{parameters.mutable_data_ptr<T>(), loss.mutable_data_ptr<T>(),
                          order.mutable_data_ptr<int32_t>()};
  Cuda::launch(on, [&](cudaStream_t stream) { fit_cuda(p, paths, stream); });
}
template <typename T>
void run(Cuda, const FitGradientParams<T>& p, const Tensor& on) {
  Cuda::launch(on, [&](cudaStream_t stream) { fit_gradient_cuda(p, stream); });
}

template <typename T>
void run(Cuda, const FitVarianceParams<T>& p, const Tensor& on) {
  Cuda::launch(on, [&](cudaStream_t stream) { fit_variance_cuda(p, stream); });
}

// What the ops read beside their first argument. The lists of tensors and numbers are those of
// Rig, Evidence and Plan in bodyreg/ops/fit.py, in the same order.
struct Inputs {
  const Tensor& joints;
  const Tensor& vertex_ids;
  const Tensor& vertex_anchors;
  const Tensor& vertex_normals;
  const Tensor& keypoint_ids;
  const Tensor& keypoint_anchors;
  const Tensor& pose_terms;
  const Tensor& mode;
  const Tensor& mode_weight;
  const Tensor& surface_normals;
  const Tensor& surface_area;
  const std::vector<int64_t>& parents;
  const std::vector<int64_t>& mirror;
  const Tensor& point_start;
  const Tensor& point_vertex;
  const Tensor& point_barycentric;
  const Tensor& point_xy;
  const Tensor& point_weight;
  const Tensor& keypoint_xy;
  const Tensor& keypoint_weight;
  const Tensor& keypoint_depth;
  const Tensor& depth_weight;
  const Tensor& perspective;
  double facing_margin;
  double visibility_sharpness;
  double scale_low;
  double scale_high;
  bool six_numbers;

  static Inputs unpack(const Arguments& arguments, const std::vector<Tensor>& rig,
                       const std::vector<int64_t>& parents, const std::vector<int64_t>& mirror,
                       const std::vector<Tensor>& evidence, const std::vector<double>& numbers,
                       bool six_numbers) {
    expect(arguments, "rig", rig.size(), 11, "tensors");
    expect(arguments, "evidence", evidence.size(), 10, "tensors");
    expect(arguments, "numbers", numbers.size(), 4, "numbers");
    return {rig[0],      rig[1],      rig[2],      rig[3],      rig[4],      rig[5],
            rig[6],      rig[7],      rig[8],      rig[9],      rig[10],     parents,
            mirror,      evidence[0], evidence[1], evidence[2], evidence[3], evidence[4],
            evidence[5], evidence[6], evidence[7], evidence[8], evidence[9], numbers[0],
            numbers[1],  numbers[2],  numbers[3],  six_numbers};
  }

  void check(const Arguments& arguments, int64_t people) const {
    constexpr int64_t J = kFitJoints;
    arguments.real("joints", joints, {J, 3});
    check_tree(arguments);
    arguments.index("vertex_ids", vertex_ids, {kAny, kAny});
    const int64_t V = vertex_ids.size(0);
    arguments.real("vertex_anchors", vertex_anchors, {V, vertex_ids.size(1), 4});
    arguments.real("vertex_normals", vertex_normals, {V, 3});
    arguments.typed("point_start", point_start, ScalarType::Long, {people + 1});
    arguments.index("point_vertex", point_vertex, {kAny, 3});
    const int64_t P = point_vertex.size(0);
    arguments.real("point_barycentric", point_barycentric, {P, 3});
    arguments.real("point_xy", point_xy, {P, 2});
    arguments.real("point_weight", point_weight, {P});
    arguments.index("keypoint_ids", keypoint_ids, {kAny, kAny});
    if (keypoint_ids.size(0) < 1) {
      arguments.fail("keypoint_ids", "a row for the pelvis", "0 rows");
    }
    const int64_t K = keypoint_ids.size(0) - 1;
    arguments.real("keypoint_anchors", keypoint_anchors, {K + 1, keypoint_ids.size(1), 4});
    arguments.real("keypoint_xy", keypoint_xy, {people, K, 2});
    arguments.real("keypoint_weight", keypoint_weight, {people, K});
    arguments.real("keypoint_depth", keypoint_depth, {people, K});
    arguments.real("depth_weight", depth_weight, {people, K});
    arguments.real("perspective", perspective, {people, 3});
    arguments.real("pose_terms", pose_terms, {4, J, 3});
    arguments.real("mode", mode, {J, 3, kFitModes});
    arguments.real("mode_weight", mode_weight, {kFitModes});
    arguments.real("surface_normals", surface_normals, {J, kAny, 3});
    arguments.real("surface_area", surface_area, {J, surface_normals.size(1)});
  }

  void check_settings(const Arguments& arguments, const Tensor& settings, int64_t rows) const {
    arguments.typed("settings", settings, ScalarType::Double, {rows, kFitSettings});
  }

  template <typename T>
  FitProblem<T> problem(int64_t people) const {
    FitProblem<T> p{};
    p.people = people;
    p.joints = joints.const_data_ptr<T>();
    std::copy(parents.begin(), parents.end(), p.parent);
    std::copy(mirror.begin(), mirror.end(), p.mirror);
    p.vertices = vertex_ids.size(0);
    p.vertex_influences = static_cast<int>(vertex_ids.size(1));
    p.vertex_ids = vertex_ids.const_data_ptr<int32_t>();
    p.vertex_anchors = vertex_anchors.const_data_ptr<T>();
    p.vertex_normals = vertex_normals.const_data_ptr<T>();
    p.points = point_vertex.size(0);
    p.point_start = point_start.const_data_ptr<int64_t>();
    p.point_vertex = point_vertex.const_data_ptr<int32_t>();
    p.point_barycentric = point_barycentric.const_data_ptr<T>();
    p.point_xy = point_xy.const_data_ptr<T>();
    p.point_weight = point_weight.const_data_ptr<T>();
    p.keypoints = static_cast<int>(keypoint_ids.size(0) - 1);
    p.keypoint_influences = static_cast<int>(keypoint_ids.size(1));
    p.keypoint_ids = keypoint_ids.const_data_ptr<int32_t>();
    p.keypoint_anchors = keypoint_anchors.const_data_ptr<T>();
    p.keypoint_xy = keypoint_xy.const_data_ptr<T>();
    p.keypoint_weight = keypoint_weight.const_data_ptr<T>();
    p.keypoint_depth = keypoint_depth.const_data_ptr<T>();
    p.depth_weight = depth_weight.const_data_ptr<T>();
    p.perspective = perspective.const_data_ptr<T>();
    p.pose_terms = pose_terms.const_data_ptr<T>();
    p.mode = mode.const_data_ptr<T>();
    p.mode_weight = mode_weight.const_data_ptr<T>();
    p.surface_samples = static_cast<int>(surface_normals.size(1));
    p.surface_normals = surface_normals.const_data_ptr<T>();
    p.surface_area = surface_area.const_data_ptr<T>();
    p.facing_margin = static_cast<T>(facing_margin);
    p.visibility_sharpness = static_cast<T>(visibility_sharpness);
    p.scale_low = static_cast<T>(scale_low);
    p.scale_high = static_cast<T>(scale_high);
    p.six_numbers = six_numbers;
    return p;
  }

 private:
  static void expect(const Arguments& arguments, const char* name, std::size_t got,
                     std::size_t count, const char* what) {
    if (got != count) {
      arguments.fail(name, std::to_string(count) + " " + what, std::to_string(got));
    }
  }

  void check_tree(const Arguments& arguments) const {
    expect(arguments, "parents", parents.size(), kFitJoints, "joints");
    expect(arguments, "mirror", mirror.size(), kFitJoints, "joints");
    for (int64_t k = 0; k < kFitJoints; ++k) {
      const bool valid = k == 0 ? parents[0] == -1 : parents[k] >= 0 && parents[k] < k;
      if (!valid) {
        arguments.fail("parents", "-1 for the root and an earlier joint for every other one",
                       std::to_string(parents[k]) + " for joint " + std::to_string(k));
      }
    }
    for (int64_t k = 0; k < kFitJoints; ++k) {
      if (mirror[k] < 0 || mirror[k] >= kFitJoints || mirror[mirror[k]] != k) {
        arguments.fail("mirror", "a joint whose own mirror is this one",
                       std::to_string(mirror[k]) + " for joint " + std::to_string(k));
      }
    }
  }
};

void check_ids(const Arguments& arguments, const char* name, const Tensor& tensor, int64_t limit) {
  const int32_t* const ids = tensor.const_data_ptr<int32_t>();
  const int32_t* const end = ids + tensor.numel();
  const int32_t* const wrong =
      std::find_if(ids, end, [&](int32_t id) { return id < 0 || id >= limit; });
  if (wrong == end) return;
  arguments.fail(name, "ids in [0, " + std::to_string(limit) + ")", std::to_string(*wrong));
}

// What lies inside the tensors; a kernel would have to wait for the device to tell.
void check_content(Cpu, const Arguments& arguments, const Inputs& in) {
  check_ids(arguments, "vertex_ids", in.vertex_ids, kFitJoints);
  check_ids(arguments, "keypoint_ids", in.keypoint_ids, kFitJoints);
  check_ids(arguments, "point_vertex", in.point_vertex, in.vertex_ids.size(0));
  const int64_t* const start = in.point_start.const_data_ptr<int64_t>();
  const int64_t people = in.point_start.size(0) - 1, points = in.point_vertex.size(0);
  if (start[0] != 0 || start[people] != points || !std::is_sorted(start, start + people + 1)) {
    arguments.fail("point_start", "numbers that rise from 0 to " + std::to_string(points),
                   "others, " + std::to_string(start[0]) + " to " + std::to_string(start[people]));
  }
}
inline void check_content(Cuda, const Arguments&, const Inputs&) {}

// The phases of a fit, and how many iterations they have together.
template <typename T>
void set_phases(const Arguments& arguments, const std::vector<int64_t>& phases, FitParams<T>& p) {
  const int64_t count = static_cast<int64_t>(phases.size()) / 3;
  if (phases.size() % 3 != 0 || count < 1 || count > kFitMaxPhases) {
    arguments.fail(
        "phases",
        "solver, iterations and kept for 1 to " + std::to_string(kFitMaxPhases) + " phases",
        std::to_string(phases.size()) + " numbers");
  }
  p.phase_count = static_cast<int>(count);
  p.iterations = 0;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t solver = phases[3 * i], iterations = phases[3 * i + 1], kept = phases[3 * i + 2];
    const std::string got = std::to_string(solver) + ", " + std::to_string(iterations) + ", " +
                            std::to_string(kept) + " for phase " + std::to_string(i);
    if (solver != kAdam && solver != kLevenbergMarquardt) {
      arguments.fail("phases", "solver 0 or 1", got);
    }
    if (iterations < 0 || iterations > 1'000'000) {
      arguments.fail("phases", "0 to 1000000 iterations", got);
    }
    if (kept < 1 || (i == count - 1 && kept != 1)) {
      arguments.fail("phases", "at least 1 kept, and 1 in the last phase", got);
    }
    p.phases[i] = {static_cast<int>(solver), static_cast<int>(iterations),
                   static_cast<int>(std::min<int64_t>(kept, p.candidates))};
    p.iterations += iterations;
  }
}

template <typename Device>
std::tuple<Tensor, Tensor, Tensor> fit(const Tensor& start, std::vector<Tensor> rig,
                                       std::vector<int64_t> parents, std::vector<int64_t> mirror,
                                       std::vector<Tensor> evidence, const Tensor& settings,
                                       std::vector<double> numbers, bool six_numbers,
                                       std::vector<int64_t> phases, int64_t refresh) {
  const Arguments arguments("fit", start, "start");
  const Inputs in = Inputs::unpack(arguments, rig, parents, mirror, evidence, numbers, six_numbers);
  arguments.real("start", start, {kAny, kAny, kParameters});
  const int64_t people = start.size(0);
  if (start.size(1) < 1 || start.size(1) > 1024) {
    arguments.fail("start", "1 to 1024 candidates", std::to_string(start.size(1)));
  }
  in.check(arguments, people);
  check_content(Device(), arguments, in);
  if (refresh < 1) arguments.fail("refresh", "at least 1", std::to_string(refresh));
  Tensor parameters = empty_like(start, {people, kParameters});
  Tensor loss = empty_like(start, {people});
  Tensor terms = empty_like(start, {people, kFitTerms});
  with_scalar(start, [&](auto zero) {
    using T = decltype(zero);
    FitParams<T> p{};
    p.problem = in.problem<T>(people);
    p.candidates = static_cast<int>(start.size(1));
    p.start = start.const_data_ptr<T>();
    set_phases(arguments, phases, p);
    in.check_settings(arguments, settings, p.iterations + 1);
    p.settings = settings.const_data_ptr<double>();
    p.refresh = static_cast<int>(std::min<int64_t>(refresh, 1'000'000));
    p.parameters = parameters.mutable_data_ptr<T>();
    p.loss = loss.mutable_data_ptr<T>();
    p.terms = terms.mutable_data_ptr<T>();
    run(Device(), p, start);
  });
  return {parameters, loss, terms};
}

template <typename Device>
std::tuple<Tensor, Tensor, Tensor> fit_gradient(const Tensor& parameters, std::vector<Tensor> rig,
                                                std::vector<int64_t> parents,
                                                std::vector<int64_t> mirror,
                                                std::vector<Tensor> evidence,
                                                const Tensor& settings, std::vector<double> numbers,
                                                bool six_numbers) {
  const Arguments arguments("fit_gradient", parameters, "parameters");
  const Inputs in = Inputs::unpack(arguments, rig, parents, mirror, evidence, numbers, six_numbers);
  arguments.real("parameters", parameters, {kAny, kParameters});
  const int64_t people = parameters.size(0);
  in.check(arguments, people);
  in.check_settings(arguments, settings, 1);
  check_content(Device(), arguments, in);
  Tensor loss = empty_like(parameters, {people});
  Tensor gradient = empty_like(parameters, {people, kParameters});
  Tensor terms = empty_like(parameters, {people, kFitTerms});
  with_scalar(parameters, [&](auto zero) {
    using T = decltype(zero);
    run(Device(),
        FitGradientParams<T>{in.problem<T>(people), parameters.const_data_ptr<T>(),
                             settings.const_data_ptr<double>(), loss.mutable_data_ptr<T>(),
                             gradient.mutable_data_ptr<T>(), terms.mutable_data_ptr<T>()},
        parameters);
  });
  return {loss, gradient, terms};
}

template <typename Device>
std::tuple<Tensor, Tensor> fit_variance(const Tensor& parameters, std::vector<Tensor> rig,
                                        std::vector<int64_t> parents, std::vector<int64_t> mirror,
                                        std::vector<Tensor> evidence, const Tensor& settings,
                                        std::vector<double> numbers, bool six_numbers) {
  const Arguments arguments("fit_variance", parameters, "parameters");
  const Inputs in = Inputs::unpack(arguments, rig, parents, mirror, evidence, numbers, six_numbers);
  arguments.real("parameters", parameters, {kAny, kParameters});
  const int64_t people = parameters.size(0);
  in.check(arguments, people);
  in.check_settings(arguments, settings, 1);
  check_content(Device(), arguments, in);
  Tensor place = empty_like(parameters, {people, kFitJoints, 3});
  Tensor variance = empty_like(parameters, {people, kFitJoints, 3});
  with_scalar(parameters, [&](auto zero) {
    using T = decltype(zero);
    run(Device(),
        FitVarianceParams<T>{in.problem<T>(people), parameters.const_data_ptr<T>(),
                             settings.const_data_ptr<double>(), place.mutable_data_ptr<T>(),
                             variance.mutable_data_ptr<T>()},
        parameters);
  });
  return {place, variance};
}

void fit_schemas(torch::stable::detail::StableLibrary& library) {
  library.def(
      "fit(Tensor start, Tensor[] rig, int[] parents, int[] mirror, Tensor[] evidence,"
      " Tensor settings, float[] numbers, bool six_numbers, int[] phases, int refresh)"
      " -> (Tensor parameters, Tensor loss, Tensor terms)");
  library.def(
      "fit_gradient(Tensor parameters, Tensor[] rig, int[] parents, int[] mirror,"
      " Tensor[] evidence, Tensor settings, float[] numbers, bool six_numbers)"
      " -> (Tensor loss, Tensor gradient, Tensor terms)");
  library.def(
      "fit_variance(Tensor parameters, Tensor[] rig, int[] parents, int[] mirror,"
      " Tensor[] evidence, Tensor settings, float[] numbers, bool six_numbers)"
      " -> (Tensor place, Tensor variance)");
}

template <typename Device>
void fit_kernels(torch::stable::detail::StableLibrary& library) {
  library.impl("fit", TORCH_BOX(&fit<Device>));
  library.impl("fit_gradient", TORCH_BOX(&fit_gradient<Device>));
  library.impl("fit_variance", TORCH_BOX(&fit_variance<Device>));
}

BODYREG_LIBRARY(fit)

}  // namespace
}  // namespace bodyreg
