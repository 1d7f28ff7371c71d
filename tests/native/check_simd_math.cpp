// exp, log and log1p of lanes against libm in long double: prints the largest error of each in
// units in the last place, and fails where a special value differs from libm's.
#include <cmath>
#include <cstdio>
#include <limits>

#include "../../csrc/common/simd_math.h"

using namespace bodyreg;
using namespace bodyreg::BODYREG_ISA;

namespace {

template <typename T>
double units(T ours, long double exact) {
  const T nearest = static_cast<T>(exact);
  if (ours == nearest || (std::isnan(ours) && std::isnan(nearest))) return 0;
  if (!std::isfinite(ours) || !std::isfinite(nearest)) return INFINITY;
  const T size = std::fabs(nearest);
  return std::fabs(
      static_cast<double>((ours - exact) / (std::nextafter(size, T(INFINITY)) - size)));
}

// The largest error of `ours`, a function of lanes, against `exact`, at x(0), …, x(count − 1).
template <typename T, typename X, typename Ours, typename Exact>
double worst(long count, X x, Ours ours, Exact exact) {
  constexpr int W = Lanes<T>::width;
  double most = 0;
  for (long i = 0; i < count; i += W) {
    T in[W], out[W];
    for (int l = 0; l < W; ++l) in[l] = static_cast<T>(x(i + l));
    store_lanes(out, ours(load_lanes(in)));
    for (int l = 0; l < W; ++l) {
      most = std::fmax(most, units(out[l], exact(static_cast<long double>(in[l]))));
    }
  }
  return most;
}

template <typename T>
void check(const char* type) {
  const auto our_exp = [](const Lanes<T>& x) { return exp(x); };
  const auto our_log = [](const Lanes<T>& x) { return log(x); };
  const auto our_log1p = [](const Lanes<T>& x) { return log1p(x); };
  const auto exact_exp = [](long double x) { return std::exp(x); };
  const auto exact_log = [](long double x) { return std::log(x); };
  const auto exact_log1p = [](long double x) { return std::log1p(x); };
  const long count = 400000;
  const double reach = sizeof(T) == 4 ? 110 : 760;
  const int exponents = std::numeric_limits<T>::max_exponent;

  const auto over_all = [&](long i) { return reach * (2.0 * i / count - 1); };
  const auto near_one = [&](long i) { return 0.5 + 1.0 * (i + 1) / count; };
  const auto any_size = [&](long i) {
    return std::ldexp(1 + double(i) / count, int(i * 37 % (2 * exponents - 60)) - exponents + 30);
  };
  const auto small = [&](long i) { return std::ldexp(1 + double(i) / count, -int(i % 60)); };
  const T special[] = {0,
                       T(-0.0),
                       T(INFINITY),
                       T(-INFINITY),
                       T(NAN),
                       -1,
                       std::numeric_limits<T>::denorm_min(),
                       std::numeric_limits<T>::min(),
                       std::numeric_limits<T>::max()};
  const auto specials = [&](long i) { return special[i % 9]; };

  std::printf("%s exp %g\n", type, worst<T>(count, over_all, our_exp, exact_exp));
  std::printf("%s exp %g\n", type, worst<T>(144, specials, our_exp, exact_exp));
  std::printf("%s log %g\n", type, worst<T>(count, near_one, our_log, exact_log));
  std::printf("%s log %g\n", type, worst<T>(count, any_size, our_log, exact_log));
  std::printf("%s log %g\n", type, worst<T>(144, specials, our_log, exact_log));
  std::printf("%s log1p %g\n", type, worst<T>(count, small, our_log1p, exact_log1p));
}

}  // namespace

int main() {
  check<float>("float");
  check<double>("double");
}
