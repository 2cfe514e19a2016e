// Rounding and clipping, bit for bit as tfquantseg/numerics/grids.py has them.

#ifndef TFQUANTSEG_KERNELS_ROUNDING_H_
#define TFQUANTSEG_KERNELS_ROUNDING_H_

#include <cmath>
#include <cstdint>
#include <string>

#include "tfquantseg/kernels/cpu.h"

namespace tfquantseg {

enum class Rounding { kHalfUp, kHalfAway, kHalfEven, kStochastic };

// Of the attribute of an op.
inline Rounding RoundingOf(const std::string& name) {
  if (name == "half_up") return Rounding::kHalfUp;
  if (name == "half_away") return Rounding::kHalfAway;
  return name == "half_even" ? Rounding::kHalfEven : Rounding::kStochastic;
}

constexpr float kBelowHalf = 0x1.fffffep-2f;  // The largest float below one half.

TFQUANTSEG_INLINE float HalfUp(float x) { return std::floor(x + (x > 0 ? kBelowHalf : 0.5f)); }

TFQUANTSEG_INLINE float HalfAway(float x) {
  const float sign = x > 0 ? 1.0f : x < 0 ? -1.0f : 0.0f;
  return sign * std::floor(std::fabs(x) + kBelowHalf);
}

// To the even neighbour, in the processor's usual mode.
TFQUANTSEG_INLINE float HalfEven(float x) { return std::nearbyint(x); }

// To a neighbour, upwards where the draw of 16 bits lies below the fraction.
TFQUANTSEG_INLINE float Stochastic(float x, uint16_t draw) {
  // TensorFlow reads its bits as a signed number, whose smallest is the smallest draw.
  const float uniform = (static_cast<int16_t>(draw) + (0x1p15f + 0.5f)) * 0x1p-16f;
  const float below = std::floor(x);
  return below + (uniform < x - below ? 1.0f : 0.0f);
}

// Between -most and most; NaN stays NaN.
TFQUANTSEG_INLINE float Clip(float x, float most) {
  x = x > most ? most : x;
  return x < -most ? -most : x;
}

}  // namespace tfquantseg

#endif  // TFQUANTSEG_KERNELS_ROUNDING_H_
