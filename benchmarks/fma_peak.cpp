// The most fused multiply-adds a CPU does: prints float32 operations a second, two for each.
//
//   c++ -O3 -march=native -ffp-contract=fast -pthread fma_peak.cpp && ./a.out THREADS
//
// A thread keeps sixteen vectors in registers, more than the latency of an addition times the
// number of units, so that nothing waits and no memory is touched.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
typedef float Vector __attribute__((vector_size(4 * kLanes)));

constexpr int kChains = 16;
constexpr long kSteps = 20'000'000;

static void work(float x, float* out) {
  Vector sums[kChains], factor, addend;
  for (int l = 0; l < kLanes; ++l) factor[l] = x, addend[l] = 1 - x;
  for (int i = 0; i < kChains; ++i) sums[i] = addend + float(i);
  for (long step = 0; step < kSteps; ++step) {
#pragma GCC unroll 16
    for (int i = 0; i < kChains; ++i) sums[i] = sums[i] * factor + addend;
  }
  for (int i = 0; i < kChains; ++i) *out += sums[i][0];
}

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  std::vector<float> results(threads * 64);
  double best = 0;
  for (int repeat = 0; repeat < 5; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> workers;
    for (int t = 0; t < threads; ++t) workers.emplace_back(work, 0.5f, &results[t * 64]);
    for (std::thread& worker : workers) worker.join();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    const double rate = 2.0 * kLanes * kChains * kSteps * threads / seconds.count();
    if (rate > best) best = rate;
  }
  std::printf("%g\n", best);
  return results[0] < 0;
}
