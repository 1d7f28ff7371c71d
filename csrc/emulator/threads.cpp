// The second engine, for ThreadSanitizer: one OS thread per CUDA thread.
//
// A meeting is a mutex and a condition variable, one pair per warp and one per block, so that a
// warp's meeting orders nothing between warps. Shuffles and ballots are hidden from the sanitizer:
// in CUDA they exchange values and do not order memory. Who waits in a divergent barrier is the
// fibers' business; here it shows as a meeting that nobody completes, and ends the program.
//
// Compile this file without -fsanitize=thread and link it with: the sanitizer then knows the
// mutexes and does not suspect the meetings themselves.
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "emulator.h"

// The sanitizer's own: between the two, its thread's locks order nothing. Null where it is absent.
extern "C" void AnnotateIgnoreSyncBegin(const char* file, int line) __attribute__((weak));
extern "C" void AnnotateIgnoreSyncEnd(const char* file, int line) __attribute__((weak));

namespace {

constexpr std::chrono::seconds kPatience{60};

[[noreturn]] void die(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::abort();
}

std::string text(const simt::Place& place) {
  return std::string(place.what) + " at " + place.file + ":" + std::to_string(place.line);
}

// A meeting of `expected` threads, used again and again.
class Meeting {
 public:
  // The last to arrive calls `complete`, under the lock, before the others go on.
  template <typename Complete>
  void arrive(int expected, const simt::Place& place, Complete complete) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (arrived_ > 0 && place.line != place_.line) {
      die("divergent barrier: " + text(place) + " meets " + text(place_));
    }
    place_ = place;
    if (++arrived_ == expected) {
      complete();
      arrived_ = 0;
      ++generation_;
      condition_.notify_all();
      return;
    }
    const unsigned generation = generation_;
    const bool met =
        condition_.wait_for(lock, kPatience, [&] { return generation_ != generation; });
    if (!met) die("divergent barrier: nobody completes " + text(place));
  }

 private:
  std::mutex mutex_;
  std::condition_variable condition_;
  simt::Place place_{};
  int arrived_ = 0;
  unsigned generation_ = 0;
};

struct Warp {
  Meeting meeting;
  std::array<std::uint64_t, 32> posted{};
  std::array<std::uint64_t, 32> exchanged{};
};

struct Block {
  Block(int threads, std::size_t shared_bytes)
      : threads(threads),
        warps(static_cast<std::size_t>((threads + 31) / 32)),
        shared(new unsigned char[shared_bytes]) {
    std::memset(shared.get(), 0xff, shared_bytes);
  }
  int threads;
  Meeting barrier;
  std::vector<Warp> warps;
  std::unique_ptr<unsigned char[]> shared;
};

Block* block_in_progress = nullptr;
std::mutex one_launch_at_a_time;

}  // namespace

namespace simt {

void meet_block(const Place& place) {
  block_in_progress->barrier.arrive(block_in_progress->threads, place, [] {});
}

const std::uint64_t* meet_warp(unsigned mask, std::uint64_t posted, bool orders_memory,
                               const Place& place) {
  if (mask != 0xffffffffu) die(text(place) + ": this engine knows full warps only");
  const bool hide = !orders_memory && AnnotateIgnoreSyncBegin != nullptr;
  if (hide) AnnotateIgnoreSyncBegin(__FILE__, __LINE__);
  Warp& warp = block_in_progress->warps[thread_index() / 32];
  warp.posted[thread_index() % 32] = posted;
  // A slower lane may still read `exchanged` while this one posts its next value; nobody completes
  // the next meeting before every lane has arrived there, having read.
  warp.meeting.arrive(32, place, [&] { warp.exchanged = warp.posted; });
  if (hide) AnnotateIgnoreSyncEnd(__FILE__, __LINE__);
  return warp.exchanged.data();
}

void* shared_memory() { return block_in_progress->shared.get(); }

void run(dim3 grid, dim3 block, std::size_t shared_bytes, const std::function<void()>& thread) {
  const std::lock_guard<std::mutex> lock(one_launch_at_a_time);
  const unsigned threads = block.x * block.y * block.z;
  const std::uint64_t blocks = std::uint64_t{grid.x} * grid.y * grid.z;
  for (std::uint64_t flat = 0; flat < blocks; ++flat) {
    Block state(static_cast<int>(threads), shared_bytes);
    block_in_progress = &state;
    std::vector<std::thread> running;
    for (unsigned index = 0; index < threads; ++index) {
      running.emplace_back([&, index] {
        blockDim = block;
        gridDim = grid;
        blockIdx = {static_cast<unsigned>(flat % grid.x),
                    static_cast<unsigned>(flat / grid.x % grid.y),
                    static_cast<unsigned>(flat / (std::uint64_t{grid.x} * grid.y))};
        threadIdx = {index % block.x, index / block.x % block.y, index / (block.x * block.y)};
        try {
          thread();
        } catch (const std::exception& error) {
          die(error.what());
        }
      });
    }
    for (std::thread& one : running) one.join();
  }
}

}  // namespace simt
