// bodyreg._C: what was built. The ops themselves are registered with torch when this module loads.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <vector>

#include "common/isa.h"

namespace py = pybind11;

namespace {

const std::vector<std::string> kIsaNames = {"baseline", "avx2", "avx512"};

// "80 90" -> ["80", "90"]
std::vector<std::string> words(const std::string& text) {
  return py::cast(text).attr("split")().cast<std::vector<std::string>>();
}

py::dict build_info() {
  const int best = static_cast<int>(bodyreg::best_isa());
  py::dict info;
  info["version"] = BODYREG_VERSION;
  info["compiler"] = BODYREG_COMPILER;
  info["torch_target"] = BODYREG_TORCH_TARGET;
  info["nvcc"] = std::string(BODYREG_NVCC).empty() ? py::object(py::none())
                                                   : py::object(py::str(BODYREG_NVCC));
  info["cuda_archs"] = words(BODYREG_CUDA_ARCHS);
  info["isa"] = std::vector<std::string>(kIsaNames.begin(), kIsaNames.begin() + best + 1);
  return info;
}

void set_isa(const std::string& name) {
  for (std::size_t i = 0; i < kIsaNames.size(); ++i) {
    if (kIsaNames[i] == name) return bodyreg::set_isa(static_cast<bodyreg::Isa>(i));
  }
  throw py::value_error("isa: expected baseline, avx2 or avx512, got " + name);
}

}  // namespace

PYBIND11_MODULE(_C, m) {
  m.doc() = "Native part of bodyreg: loading it registers torch.ops.bodyreg.*";
  m.def(
      "build_info", &build_info,
      "What was built: version, compiler, torch_target, nvcc (None without CUDA), cuda_archs, and\n"
      "the instruction sets (isa) that the CPU ops can use on this machine.");
  m.def("set_isa", &set_isa, py::arg("name"),
        "Makes the CPU ops use an instruction set: for tests. ValueError or RuntimeError where "
        "there\n"
        "is no such thing.");
}
