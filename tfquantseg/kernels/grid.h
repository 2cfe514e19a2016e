// Encodes blocks on a grid: the integers of Scaled and Uniform in tfquantseg/numerics/grids.py.

#ifndef TFQUANTSEG_KERNELS_GRID_H_
#define TFQUANTSEG_KERNELS_GRID_H_

#include <algorithm>
#include <cstdint>
#include <string>

#include "tensorflow/core/framework/op_kernel.h"
#include "tfquantseg/kernels/bits.h"
#include "tfquantseg/kernels/blocks.h"
#include "tfquantseg/kernels/cpu.h"
#include "tfquantseg/kernels/philox.h"
#include "tfquantseg/kernels/rounding.h"

// The attributes of an op that encodes with a scale; ScaledGrid says what they are.
#define TFQUANTSEG_SCALED_GRID_ATTRIBUTES                                                       \
  Attr("divisor: float")                                                                        \
      .Attr("most: float")                                                                      \
      .Attr("gain: float")                                                                      \
      .Attr("constant_step: float")                                                             \
      .Attr("scale_kind: {'max', 'power_of_two', 'one'}")                                       \
      .Attr("rounding: {'half_up', 'half_away', 'half_even', 'stochastic'}")

namespace tfquantseg {

// A Scaled: integers are Round(x / unit * divisor), clipped to -most .. most.
struct ScaledGrid {
  explicit ScaledGrid(tensorflow::OpKernelConstruction* context) {
    std::string name;
    OP_REQUIRES_OK(context, context->GetAttr("divisor", &divisor));
    OP_REQUIRES_OK(context, context->GetAttr("most", &most));
    OP_REQUIRES_OK(context, context->GetAttr("gain", &gain));
    OP_REQUIRES_OK(context, context->GetAttr("constant_step", &constant_step));
    OP_REQUIRES_OK(context, context->GetAttr("rounding", &name));
    rounding = RoundingOf(name);
    OP_REQUIRES_OK(context, context->GetAttr("scale_kind", &scale_kind));
  }

  // The scale, or 1 where it counts as zero; or the power of two nearest to it.
  float Unit(float scale) const {
    if (scale_kind == "one") return 1.0f;
    const float unit = scale >= 0x1p-100f ? scale : 1.0f;
    if (scale_kind == "max") return unit;
    constexpr uint32_t kMantissaOfSqrt2 = 0x3504f3;
    const uint32_t bits = BitsOf(unit);
    return FloatOf(((bits >> 23) + ((bits & 0x7fffff) > kMantissaOfSqrt2)) << 23);
  }

  float Step(float unit) const { return constant_step ? constant_step : unit / divisor * gain; }

  float divisor;
  float most;
  float gain;
  float constant_step;  // 0 where the step has the scale in it.
  std::string scale_kind;
  Rounding rounding;
};

// The generator of an op's input: a seed of two numbers.
inline bool ReadSeed(const tensorflow::Tensor& seed, Philox* philox) {
  if (seed.NumElements() != 2) return false;
  *philox = PhiloxOfSeed(seed.flat<int64_t>()(0), seed.flat<int64_t>()(1));
  return true;
}

// Draws for a block that begins at this element, a multiple of kDraws.
TFQUANTSEG_VECTORIZED TFQUANTSEG_INLINE void DrawBlock(const Philox& philox, int64_t start, uint16_t* draws) {
  for (int64_t i = 0; i < kBlock; i += kDraws) FillDraws(philox, (start + i) / kDraws, draws + i);
}

template <typename T>
TFQUANTSEG_INLINE T IntegerAs(float x) {
  if constexpr (std::is_same_v<T, float>) return x;
  return static_cast<T>(static_cast<int32_t>(x == x ? x : 0.0f));
}

template <Rounding kRounding, typename T>
TFQUANTSEG_INLINE void RoundBlockBy(const float* steps, const uint16_t* draws, float most, int64_t n,
                                    T* integers) {
  for (int64_t i = 0; i < n; ++i) {
    float x = steps[i];
    if constexpr (kRounding == Rounding::kHalfUp) x = HalfUp(x);
    if constexpr (kRounding == Rounding::kHalfAway) x = HalfAway(x);
    if constexpr (kRounding == Rounding::kHalfEven) x = HalfEven(x);
    if constexpr (kRounding == Rounding::kStochastic) x = Stochastic(x, draws[i]);
    integers[i] = IntegerAs<T>(Clip(x, most));
  }
}

// Rounds a block of values in steps. Clipping behind the rounding or before it is the same: the
// ends are integers.
template <typename T>
TFQUANTSEG_INLINE void RoundBlock(Rounding rounding, const float* steps, const uint16_t* draws,
                                  float most, int64_t n, T* integers) {
  switch (rounding) {
    case Rounding::kHalfUp:
      return RoundBlockBy<Rounding::kHalfUp>(steps, draws, most, n, integers);
    case Rounding::kHalfAway:
      return RoundBlockBy<Rounding::kHalfAway>(steps, draws, most, n, integers);
    case Rounding::kHalfEven:
      return RoundBlockBy<Rounding::kHalfEven>(steps, draws, most, n, integers);
    case Rounding::kStochastic:
      return RoundBlockBy<Rounding::kStochastic>(steps, draws, most, n, integers);
  }
}

}  // namespace tfquantseg

#endif  // TFQUANTSEG_KERNELS_GRID_H_
