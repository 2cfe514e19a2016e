// Scale(x) = max|x| of a tensor, and whether its sum is finite: one pass.

#ifndef TFQUANTSEG_KERNELS_MAGNITUDE_H_
#define TFQUANTSEG_KERNELS_MAGNITUDE_H_

#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>

namespace tfquantseg {

// Raises a maximum that several threads share.
inline void Raise(std::atomic<uint32_t>& most, uint32_t value) {
  uint32_t old = most.load();
  while (old < value && !most.compare_exchange_weak(old, value)) {
  }
}

// Whether the float32 sum of values with this largest magnitude is finite: value(i) is the i-th.
// Only where it could overflow are the values added, in double precision.
template <typename Value>
bool SumIsFinite(float largest, int64_t size, const Value& value) {
  constexpr double kMost = std::numeric_limits<float>::max();
  if (!std::isfinite(largest)) return false;
  if (static_cast<double>(largest) * static_cast<double>(size) <= kMost) return true;
  double sum = 0;
  for (int64_t i = 0; i < size; ++i) sum += value(i);
  return std::isfinite(static_cast<float>(sum));
}

}  // namespace tfquantseg

#endif  // TFQUANTSEG_KERNELS_MAGNITUDE_H_
