// What the CPU at hand offers. Asked at run time: the library is compiled for any x86-64.

#ifndef TFQUANTSEG_KERNELS_CPU_H_
#define TFQUANTSEG_KERNELS_CPU_H_

// Put before a function that uses AVX-512 VNNI intrinsics, and call it only where HasAvx512Vnni().
#define TFQUANTSEG_AVX512_VNNI \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))

// Put before a function of plain loops, which the compiler turns into AVX-512 of whole registers,
// and call it only where HasAvx512Vnni().
#define TFQUANTSEG_VECTORIZED \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,prefer-vector-width=512")))

// Put before what such a function calls in its loops: it is then compiled as a part of it.
#define TFQUANTSEG_INLINE inline __attribute__((always_inline))

namespace tfquantseg {

// Whether the CPU multiplies and adds bytes in 512-bit registers, and the system saves these.
bool HasAvx512Vnni();

}  // namespace tfquantseg

#endif  // TFQUANTSEG_KERNELS_CPU_H_
