// Philox4x32-10, the words that tf.random.stateless_uniform(alg="philox") draws for a seed.
//
// J. Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (SC 2011).

#ifndef TFQUANTSEG_KERNELS_PHILOX_H_
#define TFQUANTSEG_KERNELS_PHILOX_H_

#include <immintrin.h>

#include <cstdint>

#include "tfquantseg/kernels/cpu.h"

namespace tfquantseg {

// Draws of 16 bits that one call of FillDraws makes.
constexpr int kDraws = 64;

struct Philox {
  uint32_t key[2];
  // The upper half of the counter; the lower one counts groups of four words from 0.
  uint32_t stream[2];
};

// The ten rounds on eight counters, one in each column. A word is the lower half of a lane, which is
// what the processor multiplies; the upper half holds leavings.
TFQUANTSEG_VECTORIZED TFQUANTSEG_INLINE void PhiloxRounds(uint32_t key0, uint32_t key1,
                                                          __m512i words[4]) {
  const __m512i multiplier0 = _mm512_set1_epi64(0xD2511F53);
  const __m512i multiplier2 = _mm512_set1_epi64(0xCD9E8D57);
  constexpr int kXor = 0x96;  // Of three.
  for (int round = 0; round < 10; ++round) {
    const __m512i product0 = _mm512_mul_epu32(words[0], multiplier0);
    const __m512i product2 = _mm512_mul_epu32(words[2], multiplier2);
    words[0] = _mm512_ternarylogic_epi32(_mm512_srli_epi64(product2, 32), words[1],
                                         _mm512_set1_epi32(key0), kXor);
    words[1] = product2;
    words[2] = _mm512_ternarylogic_epi32(_mm512_srli_epi64(product0, 32), words[3],
                                         _mm512_set1_epi32(key1), kXor);
    words[3] = product0;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
}

// Makes draws 64 * block .. 64 * block + 63, each of 16 bits, in the order of TensorFlow's words.
TFQUANTSEG_VECTORIZED TFQUANTSEG_INLINE void FillDraws(const Philox& philox, uint64_t block,
                                                       uint16_t* draws) {
  // Eight groups of four words, of eight draws each.
  const __m512i group = _mm512_add_epi64(_mm512_set1_epi64(8 * block),
                                         _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0));
  __m512i words[4] = {group, _mm512_srli_epi64(group, 32), _mm512_set1_epi64(philox.stream[0]),
                      _mm512_set1_epi64(philox.stream[1])};
  PhiloxRounds(philox.key[0], philox.key[1], words);
  constexpr int kUpperHalves = 0xaaaa;
  const __m512i first =
      _mm512_mask_mov_epi32(words[0], kUpperHalves, _mm512_slli_epi64(words[1], 32));
  const __m512i second =
      _mm512_mask_mov_epi32(words[2], kUpperHalves, _mm512_slli_epi64(words[3], 32));
  // Lane i of both is group i: from 8 on, a lane is one of the second.
  const __m512i groups0to3 = _mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0);
  const __m512i groups4to7 = _mm512_set_epi64(15, 7, 14, 6, 13, 5, 12, 4);
  _mm512_storeu_si512(draws, _mm512_permutex2var_epi64(first, groups0to3, second));
  _mm512_storeu_si512(draws + 32, _mm512_permutex2var_epi64(first, groups4to7, second));
}

// The generator of a seed (first, second): its key and stream are drawn by Philox too, as
// TensorFlow's StatelessRandomGetKeyCounter does.
TFQUANTSEG_VECTORIZED inline Philox PhiloxOfSeed(uint64_t first, uint64_t second) {
  __m512i words[4] = {_mm512_set1_epi64(first), _mm512_set1_epi64(first >> 32),
                      _mm512_set1_epi64(second), _mm512_set1_epi64(second >> 32)};
  PhiloxRounds(0x3ec8f720u, 0x02461e29u, words);
  uint32_t drawn[4];
  for (int i = 0; i < 4; ++i) drawn[i] = _mm_cvtsi128_si32(_mm512_castsi512_si128(words[i]));
  return {{drawn[0], drawn[1]}, {drawn[2], drawn[3]}};
}

}  // namespace tfquantseg

#endif  // TFQUANTSEG_KERNELS_PHILOX_H_
