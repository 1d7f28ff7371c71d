#include "stream.h"

#include <dlfcn.h>

#include <cstdint>
#include <stdexcept>

namespace bodyreg {
namespace {

using GetStream = int32_t (*)(int32_t device, void** stream);

// Looked up in the torch that is already loaded: an extension that links libtorch_cuda would not
// load beside a CPU-only torch, and a weak symbol stays null when the linker drops the library.
GetStream find_get_stream() {
  void* torch_cuda = dlopen("libtorch_cuda.so", RTLD_LAZY | RTLD_NOLOAD);
  if (torch_cuda == nullptr) return nullptr;
  return reinterpret_cast<GetStream>(dlsym(torch_cuda, "aoti_torch_get_current_cuda_stream"));
}

}  // namespace

cudaStream_t current_stream(int device) {
  static const GetStream get_stream = find_get_stream();
  void* stream = nullptr;
  if (get_stream == nullptr || get_stream(device, &stream) != 0) {
    throw std::runtime_error("bodyreg: this torch gives no CUDA stream");
  }
  return static_cast<cudaStream_t>(stream);
}

}  // namespace bodyreg
