// float32 numbers as their bits.

#ifndef TFQUANTSEG_KERNELS_BITS_H_
#define TFQUANTSEG_KERNELS_BITS_H_

#include <cstdint>

#include "tfquantseg/kernels/cpu.h"

namespace tfquantseg {

TFQUANTSEG_INLINE uint32_t BitsOf(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof(bits));
  return bits;
}

TFQUANTSEG_INLINE float FloatOf(uint32_t bits) {
  float x;
  __builtin_memcpy(&x, &bits, sizeof(x));
  return x;
}

// The bits of |x|. As integers they are in the order of the magnitudes, infinity above all numbers
// and NaN above infinity: their maximum forgets neither.
TFQUANTSEG_INLINE uint32_t MagnitudeBits(float x) { return BitsOf(x) & 0x7fffffff; }

// x where a flag of 0 or 1 is 1, and 0 where it is 0. In a loop it is quicker than a choice.
TFQUANTSEG_INLINE uint32_t Masked(uint32_t x, uint8_t flag) { return x & -uint32_t{flag}; }
TFQUANTSEG_INLINE float Masked(float x, uint8_t flag) { return FloatOf(Masked(BitsOf(x), flag)); }
TFQUANTSEG_INLINE int8_t Masked(int8_t x, uint8_t flag) { return x & -flag; }

}  // namespace tfquantseg

#endif  // TFQUANTSEG_KERNELS_BITS_H_
