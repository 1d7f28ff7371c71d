// A second stack for the running OS thread: enter() goes there, leave() comes back.
//
// ucontext begins it; from then on _setjmp/_longjmp do the switching, because they do not ask the
// kernel for the signal mask each time.
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <cstddef>
#include <memory>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace simt {

class Stack {
 public:
  // The next enter() begins at main(), which must call arrived() first and never return.
  void prepare(void (*main)()) {
    if (!memory_) memory_.reset(new char[kBytes]);
    begun_ = false;
    getcontext(&context_);
    context_.uc_stack.ss_sp = memory_.get();
    context_.uc_stack.ss_size = kBytes;
    context_.uc_link = nullptr;
    makecontext(&context_, main, 0);
  }

  bool prepared() const { return memory_ != nullptr; }

  // Runs on this stack until it calls leave().
  void enter() {
    void* hidden = nullptr;
    about_to_switch(&hidden, memory_.get(), kBytes);
    if (_setjmp(outside_) == 0) {
      if (begun_) _longjmp(inside_, 1);
      begun_ = true;
      setcontext(&context_);
    }
    switched(hidden, nullptr, nullptr);
  }

  void arrived() { switched(nullptr, &outer_bottom_, &outer_bytes_); }

  // Back to where enter() was called; returns at the next enter().
  void leave() {
    void* hidden = nullptr;
    about_to_switch(&hidden, outer_bottom_, outer_bytes_);
    if (_setjmp(inside_) == 0) _longjmp(outside_, 1);
    switched(hidden, &outer_bottom_, &outer_bytes_);
  }

 private:
  static constexpr std::size_t kBytes = 256 * 1024;

  // AddressSanitizer must be told which stack it is on; `hidden` keeps the left stack's fake
  // frames.
  static void about_to_switch([[maybe_unused]] void** hidden, [[maybe_unused]] const void* bottom,
                              [[maybe_unused]] std::size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(hidden, bottom, bytes);
#endif
  }
  static void switched([[maybe_unused]] void* hidden, [[maybe_unused]] const void** old_bottom,
                       [[maybe_unused]] std::size_t* old_bytes) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(hidden, old_bottom, old_bytes);
#endif
  }

  ucontext_t context_;
  jmp_buf inside_;
  jmp_buf outside_;
  std::unique_ptr<char[]> memory_;  // uninitialised, so that untouched pages cost nothing
  bool begun_ = false;
  const void* outer_bottom_ = nullptr;
  std::size_t outer_bytes_ = 0;
};

}  // namespace simt
