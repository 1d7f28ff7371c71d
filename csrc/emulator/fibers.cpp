// The first engine: one fiber per CUDA thread, all on the launching OS thread.
//
// A round runs every ready thread, in an order the seed decides, up to its next meeting point. When
// nobody is ready, one meeting whose members have all arrived is chosen at random and released; so
// one warp may run far ahead of another, as on a GPU. When no meeting can be released, the barrier
// is divergent and the launch throws, saying who waits where.
#include <algorithm>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "emulator.h"
#include "stack.h"

namespace {

enum class State { ready, at_barrier, at_warp_meeting, ended };

struct Fiber {
  simt::Stack stack;
  uint3 thread;
  State state;
  simt::Place place;
  unsigned mask;         // lanes of the warp meeting
  std::uint64_t posted;  // value brought to it
};

// Everything about the launch in progress. Fibers outlive it, for their stacks.
struct Engine {
  std::deque<Fiber> fibers;              // their addresses must last
  std::vector<std::uint64_t> exchanged;  // the values of each lane's last warp meeting
  std::vector<int> ready;
  std::unique_ptr<unsigned char[]> shared;
  const std::function<void()>* kernel = nullptr;
  std::exception_ptr failure;
  std::mt19937_64 random;
  int running = -1;
  int threads = 0;

  std::size_t pick(std::size_t count) { return static_cast<std::size_t>(random() % count); }
};

Engine engine;
std::mutex one_launch_at_a_time;

Fiber& running() { return engine.fibers[static_cast<std::size_t>(engine.running)]; }

// Runs a kernel as this fiber's thread, again and again: once for each time it is made ready.
void fiber_main() {
  Fiber& fiber = running();
  fiber.stack.arrived();
  for (;;) {
    try {
      (*engine.kernel)();
    } catch (...) {
      engine.failure = std::current_exception();
    }
    fiber.state = State::ended;
    fiber.stack.leave();
  }
}

void resume(int index) {
  engine.running = index;
  threadIdx = running().thread;
  running().stack.enter();
}

bool same(const simt::Place& a, const simt::Place& b) {
  return a.line == b.line && std::strcmp(a.what, b.what) == 0 && std::strcmp(a.file, b.file) == 0;
}

std::string describe(int index) {
  const Fiber& fiber = engine.fibers[static_cast<std::size_t>(index)];
  const std::string who = "thread " + std::to_string(index);
  if (fiber.state == State::ended) return who + " has ended";
  return who + " waits in " + fiber.place.what + " at " + fiber.place.file + ":" +
         std::to_string(fiber.place.line);
}

// The thread that keeps thread `index` from going on, or -1 if all it waits for have arrived.
int missing(int index) {
  const Fiber& fiber = engine.fibers[static_cast<std::size_t>(index)];
  const bool block = fiber.state == State::at_barrier;
  const int first = block ? 0 : index / 32 * 32;
  const int last = block ? engine.threads : first + 32;
  for (int other = first; other < last; ++other) {
    if (!block && (fiber.mask >> (other - first) & 1u) == 0) continue;
    if (other >= engine.threads) return other;
    const Fiber& peer = engine.fibers[static_cast<std::size_t>(other)];
    if (peer.state != fiber.state || !same(peer.place, fiber.place)) return other;
    if (!block && peer.mask != fiber.mask) return other;
  }
  return -1;
}

void release(int index) {
  const bool block = engine.fibers[static_cast<std::size_t>(index)].state == State::at_barrier;
  const unsigned mask = engine.fibers[static_cast<std::size_t>(index)].mask;
  const int first = block ? 0 : index / 32 * 32;
  const int last = block ? engine.threads : std::min(first + 32, engine.threads);
  for (int member = first; member < last; ++member) {
    if (!block && (mask >> (member - first) & 1u) == 0) continue;
    Fiber& fiber = engine.fibers[static_cast<std::size_t>(member)];
    engine.exchanged[static_cast<std::size_t>(member)] = fiber.posted;
    fiber.state = State::ready;
    engine.ready.push_back(member);
  }
}

[[noreturn]] void report_divergence() {
  for (int index = 0; index < engine.threads; ++index) {
    if (engine.fibers[static_cast<std::size_t>(index)].state == State::ended) continue;
    const int other = missing(index);
    const std::string absent = other < engine.threads
                                   ? describe(other)
                                   : "lane " + std::to_string(other % 32) + " does not exist";
    throw std::runtime_error("divergent barrier in block " + std::to_string(blockIdx.x) + ": " +
                             describe(index) + ", but " + absent);
  }
  throw std::logic_error("no thread waits");
}

// Releases a meeting whose members have all arrived; false when every thread has ended.
bool release_one() {
  const int start = static_cast<int>(engine.pick(static_cast<std::size_t>(engine.threads)));
  bool all_ended = true;
  for (int step = 0; step < engine.threads; ++step) {
    const int index = (start + step) % engine.threads;
    if (engine.fibers[static_cast<std::size_t>(index)].state == State::ended) continue;
    all_ended = false;
    if (missing(index) < 0) {
      release(index);
      return true;
    }
  }
  if (!all_ended) report_divergence();
  return false;
}

void start_fiber(int index, dim3 block) {
  Fiber& fiber = engine.fibers[static_cast<std::size_t>(index)];
  const unsigned flat = static_cast<unsigned>(index);
  fiber.thread = {flat % block.x, flat / block.x % block.y, flat / (block.x * block.y)};
  fiber.state = State::ready;
  if (!fiber.stack.prepared()) fiber.stack.prepare(fiber_main);
  engine.ready.push_back(index);
}

void run_block(dim3 block, std::size_t shared_bytes) {
  engine.shared.reset(new unsigned char[shared_bytes]);
  std::memset(engine.shared.get(), 0xff, shared_bytes);
  engine.ready.clear();
  for (int index = 0; index < engine.threads; ++index) start_fiber(index, block);
  do {
    while (!engine.ready.empty()) {
      std::swap(engine.ready[engine.pick(engine.ready.size())], engine.ready.back());
      const int next = engine.ready.back();
      engine.ready.pop_back();
      resume(next);
      if (engine.failure) std::rethrow_exception(std::exchange(engine.failure, nullptr));
    }
  } while (release_one());
}

}  // namespace

namespace simt {

void meet_block(const Place& place) {
  Fiber& fiber = running();
  fiber.state = State::at_barrier;
  fiber.place = place;
  fiber.stack.leave();
}

const std::uint64_t* meet_warp(unsigned mask, std::uint64_t posted, bool, const Place& place) {
  const std::size_t index = static_cast<std::size_t>(engine.running);
  Fiber& fiber = running();
  if ((mask >> (index % 32) & 1u) == 0) {
    throw std::runtime_error(std::string(place.what) + " at " + place.file + ":" +
                             std::to_string(place.line) + ": its mask does not name the caller");
  }
  fiber.state = State::at_warp_meeting;
  fiber.place = place;
  fiber.mask = mask;
  fiber.posted = posted;
  fiber.stack.leave();
  return engine.exchanged.data() + index / 32 * 32;
}

void* shared_memory() { return engine.shared.get(); }

void run(dim3 grid, dim3 block, std::size_t shared_bytes, const std::function<void()>& thread) {
  const std::lock_guard<std::mutex> lock(one_launch_at_a_time);
  engine.kernel = &thread;
  engine.random.seed(seed());
  engine.threads = static_cast<int>(block.x * block.y * block.z);
  const std::size_t threads = static_cast<std::size_t>(engine.threads);
  while (engine.fibers.size() < threads) engine.fibers.emplace_back();
  engine.exchanged.assign((threads + 31) / 32 * 32, 0);

  std::vector<std::uint64_t> blocks(std::uint64_t{grid.x} * grid.y * grid.z);
  for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i] = i;
  std::shuffle(blocks.begin(), blocks.end(), engine.random);
  blockDim = block;
  gridDim = grid;
  for (const std::uint64_t flat : blocks) {
    blockIdx = {static_cast<unsigned>(flat % grid.x), static_cast<unsigned>(flat / grid.x % grid.y),
                static_cast<unsigned>(flat / (std::uint64_t{grid.x} * grid.y))};
    try {
      run_block(block, shared_bytes);
    } catch (...) {
      engine.fibers.clear();  // some are stuck in the middle of the kernel
      throw;
    }
  }
}

}  // namespace simt
