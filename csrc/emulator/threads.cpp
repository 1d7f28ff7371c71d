// The second engine, for ThreadSanitizer: one OS thread per CUDA thread of a block. Each goes from
// block to block without waiting for the others, as another thread of each, so that races between
// blocks show as well.
//
// A meeting is a barrier of the C library, one per warp and one per block, so that a warp's meeting
// orders nothing between warps. Shuffles and ballots are hidden from the sanitizer: in CUDA they
// exchange values and do not order memory. At a divergent barrier all threads wait, and the alarm
// ends the program; the first engine says which thread is missing.
//
// Compile this file without -fsanitize=thread and link it with: the sanitizer then knows the
// barriers and does not suspect the meetings themselves.
#include <pthread.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <deque>
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

constexpr unsigned kPatienceSeconds = 240;  // for one launch

[[noreturn]] void die(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::abort();
}

std::string text(const simt::Place& place) {
  return std::string(place.what) + " at " + place.file + ":" + std::to_string(place.line);
}

// Where `threads` threads meet, each bringing a value and its place in the source. Two sets of
// values, used in turn: a thread that runs ahead into the next meeting does not overwrite what a
// slower one still reads, and cannot leave it before the slower one has arrived.
class Meeting {
 public:
  explicit Meeting(unsigned threads) : values_{Values(threads), Values(threads)}, places_(threads) {
    pthread_barrier_init(&barrier_, nullptr, threads);
  }
  Meeting(const Meeting&) = delete;
  Meeting& operator=(const Meeting&) = delete;
  ~Meeting() { pthread_barrier_destroy(&barrier_); }

  // turn: how many meetings the thread has had here.
  const std::uint64_t* arrive(unsigned member, unsigned turn, std::uint64_t value,
                              const simt::Place& place) {
    Values& values = values_[turn % 2];
    values[member] = value;
    places_[member][turn % 2] = place;
    pthread_barrier_wait(&barrier_);
    const simt::Place& other = places_[0][turn % 2];
    if (other.line != place.line) {
      die("divergent barrier: " + text(place) + " meets " + text(other));
    }
    return values.data();
  }

 private:
  using Values = std::vector<std::uint64_t>;
  pthread_barrier_t barrier_;
  std::array<Values, 2> values_;
  std::vector<std::array<simt::Place, 2>> places_;
};

struct Block {
  Block(unsigned threads, std::size_t shared_bytes)
      : barrier(threads), shared(new unsigned char[shared_bytes]) {
    for (unsigned first = 0; first < threads; first += 32) warps.emplace_back(32);
    std::memset(shared.get(), 0xff, shared_bytes);
  }
  Meeting barrier;
  std::deque<Meeting> warps;
  std::unique_ptr<unsigned char[]> shared;
};

std::mutex one_launch_at_a_time;

// The block this thread is in, and how often it has met its block and its warp.
thread_local Block* current = nullptr;
thread_local unsigned block_turn = 0;
thread_local unsigned warp_turn = 0;

void enter(Block& block, std::uint64_t flat, unsigned index) {
  current = &block;
  block_turn = 0;
  warp_turn = 0;
  blockIdx = {static_cast<unsigned>(flat % gridDim.x),
              static_cast<unsigned>(flat / gridDim.x % gridDim.y),
              static_cast<unsigned>(flat / (std::uint64_t{gridDim.x} * gridDim.y))};
  threadIdx = {index % blockDim.x, index / blockDim.x % blockDim.y,
               index / (blockDim.x * blockDim.y)};
}

}  // namespace

namespace simt {

void meet_block(const Place& place) {
  current->barrier.arrive(thread_index(), block_turn++, 0, place);
}

const std::uint64_t* meet_warp(unsigned mask, std::uint64_t posted, bool orders_memory,
                               const Place& place) {
  if (mask != 0xffffffffu) die(text(place) + ": this engine knows full warps only");
  const bool hide = !orders_memory && AnnotateIgnoreSyncBegin != nullptr;
  if (hide) AnnotateIgnoreSyncBegin(__FILE__, __LINE__);
  Meeting& warp = current->warps[thread_index() / 32];
  const std::uint64_t* const values = warp.arrive(thread_index() % 32, warp_turn++, posted, place);
  if (hide) AnnotateIgnoreSyncEnd(__FILE__, __LINE__);
  return values;
}

void* shared_memory() { return current->shared.get(); }

void run(dim3 grid, dim3 block, std::size_t shared_bytes, const std::function<void()>& thread) {
  const std::lock_guard<std::mutex> lock(one_launch_at_a_time);
  const unsigned threads = block.x * block.y * block.z;
  std::deque<Block> blocks;
  while (blocks.size() < std::uint64_t{grid.x} * grid.y * grid.z) {
    blocks.emplace_back(threads, shared_bytes);
  }
  alarm(kPatienceSeconds);
  std::vector<std::thread> running;
  for (unsigned own = 0; own < threads; ++own) {
    running.emplace_back([&, own] {
      blockDim = block;
      gridDim = grid;
      try {
        for (std::uint64_t flat = 0; flat < blocks.size(); ++flat) {
          enter(blocks[flat], flat, static_cast<unsigned>((own + flat) % threads));
          thread();
        }
      } catch (const std::exception& error) {
        die(error.what());
      }
    });
  }
  for (std::thread& one : running) one.join();
  alarm(0);
}

}  // namespace simt
