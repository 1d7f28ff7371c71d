// The first engine: one fiber per CUDA thread, all on the launching OS thread.
//
// A step picks a warp and runs some of its ready threads, up to their next meeting point, or
// releases a meeting of the warp once all members have arrived. The seed decides which warp, which
// threads, and how long a warp goes on before others get their turn: anything from lockstep to one
// warp at a time can happen on a GPU. When no warp can go on, the whole block must have met at a
// barrier; if not, the barrier is divergent, and the launch throws an error that says where two
// threads wait.
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
  std::vector<std::vector<int>> ready;   // threads of each warp
  std::unique_ptr<unsigned char[]> shared;
  const std::function<void()>* kernel = nullptr;
  std::exception_ptr failure;
  std::mt19937_64 random;
  int running = -1;
  int threads = 0;
  int favourite = 0;         // the warp that went on last
  std::size_t patience = 0;  // of 100 steps, how many it may take before another warp is picked

  std::size_t pick(std::size_t count) { return static_cast<std::size_t>(random() % count); }
};

Engine engine;
std::mutex one_launch_at_a_time;

Fiber& running() { return engine.fibers[static_cast<std::size_t>(engine.running)]; }

// Runs a kernel as this fiber's thread: once each time the fiber is made ready.
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
  const std::string thread = "thread " + std::to_string(index);
  if (fiber.state == State::ended) return thread + " has ended";
  return thread + " waits in " + fiber.place.what + " at " + fiber.place.file + ":" +
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
    engine.ready[static_cast<std::size_t>(member / 32)].push_back(member);
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

bool has_ended(int index) {
  return engine.fibers[static_cast<std::size_t>(index)].state == State::ended;
}

void run_one_of(std::vector<int>& ready) {
  std::swap(ready[engine.pick(ready.size())], ready.back());
  const int next = ready.back();
  ready.pop_back();
  resume(next);
  if (engine.failure) std::rethrow_exception(std::exchange(engine.failure, nullptr));
}

// Lets a warp go on; false if all its threads wait for others, or have ended.
bool advance(int warp) {
  std::vector<int>& ready = engine.ready[static_cast<std::size_t>(warp)];
  if (!ready.empty()) {
    for (std::size_t count = 1 + engine.pick(ready.size()); count > 0; --count) run_one_of(ready);
    return true;
  }
  const int last = std::min(warp * 32 + 32, engine.threads);
  for (int index = warp * 32; index < last; ++index) {
    const State state = engine.fibers[static_cast<std::size_t>(index)].state;
    if (state == State::at_warp_meeting && missing(index) < 0) {
      release(index);
      return true;
    }
  }
  return false;
}

bool advance_some_warp() {
  const int warps = static_cast<int>(engine.ready.size());
  if (engine.pick(100) >= engine.patience) {
    engine.favourite = static_cast<int>(engine.pick(static_cast<std::size_t>(warps)));
  }
  for (int step = 0; step < warps; ++step, engine.favourite = (engine.favourite + 1) % warps) {
    if (advance(engine.favourite)) return true;
  }
  return false;
}

// For when no warp can go on; false if every thread has ended.
bool release_block() {
  int index = 0;
  while (index < engine.threads && has_ended(index)) ++index;
  if (index == engine.threads) return false;
  if (missing(index) >= 0) report_divergence();
  release(index);
  return true;
}

void start_fiber(int index, dim3 block) {
  Fiber& fiber = engine.fibers[static_cast<std::size_t>(index)];
  const unsigned flat = static_cast<unsigned>(index);
  fiber.thread = {flat % block.x, flat / block.x % block.y, flat / (block.x * block.y)};
  fiber.state = State::ready;
  if (!fiber.stack.prepared()) fiber.stack.prepare(fiber_main);
  engine.ready[static_cast<std::size_t>(index / 32)].push_back(index);
}

void run_block(dim3 block, std::size_t shared_bytes) {
  engine.shared.reset(new unsigned char[shared_bytes]);
  std::memset(engine.shared.get(), 0xff, shared_bytes);
  engine.ready.assign(static_cast<std::size_t>((engine.threads + 31) / 32), {});
  engine.favourite = static_cast<int>(engine.pick(engine.ready.size()));
  engine.patience = std::size_t{50} * engine.pick(3);
  for (int index = 0; index < engine.threads; ++index) start_fiber(index, block);
  while (advance_some_warp() || release_block()) {
  }
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
