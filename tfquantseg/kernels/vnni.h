// Tiles of int8 matrix products: bytes A (unsigned) times bytes B (signed), summed in 32 bits.
//
// The words of this file and of all that include it:
//
// * A *quad* is four neighbouring bytes of the summed index k. AVX-512 VNNI multiplies four pairs
//   of bytes and adds them to one 32-bit sum in one instruction (vpdpbusd), 16 sums at a time.
// * A *panel* is 32 columns of B: for each quad of k, 32 columns of 4 bytes, 128 bytes in a row.
//   The last panel may be 16 columns wide.
// * A *tile* is the product of up to 12 rows of A with one panel; its sums stay in registers.
// * Signed integers n of A enter as n + 128, which is n with its highest bit flipped; 128 times
//   the sum of B's column has then to be subtracted from each sum.
#ifndef TFQUANTSEG_KERNELS_VNNI_H_
#define TFQUANTSEG_KERNELS_VNNI_H_

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

#include "tfquantseg/kernels/cpu.h"

namespace tfquantseg {

inline constexpr int kTileRows = 12;
inline constexpr int kPanel = 32;
inline constexpr int kHalfPanel = 16;
inline constexpr uint8_t kZero = 128;  // the integer 0 among the bytes of A

inline int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t RoundUp(int64_t a, int64_t b) { return CeilDiv(a, b) * b; }

// Columns that a panel which holds `columns` of B is wide: 16 or 32.
inline int PanelWidth(int64_t columns) { return columns > kHalfPanel ? kPanel : kHalfPanel; }

// Where a tile reads its rows of A: `quads` quads in each of `runs` runs in each of `groups`.
struct Rows {
  const uint8_t* first;  // byte 0 of row 0
  int64_t stride;        // bytes from one row to the next
  int64_t quads;         // in one run
  int64_t runs = 1;      // in one group
  int64_t run_stride = 0;
  int64_t groups = 1;
  int64_t group_stride = 0;
};

// sums[row][column] of a tile, all 32-bit; `sums` has kTileRows * kPanel places.
template <int kRows, int kVectors>
TFQUANTSEG_AVX512_VNNI inline void Tile(const Rows& a, const int8_t* b, int32_t* sums) {
  __m512i sum[kRows][kVectors];
  for (int i = 0; i < kRows; ++i) {
    for (int v = 0; v < kVectors; ++v) sum[i][v] = _mm512_setzero_si512();
  }
  const int64_t stride = a.stride;
  for (int64_t r = 0; r < a.runs * a.groups; ++r) {
    const uint8_t* at = a.first + r / a.runs * a.group_stride + r % a.runs * a.run_stride;
    for (int64_t q = 0; q < a.quads; ++q, at += 4, b += 64 * kVectors) {
      __m512i columns[kVectors];
      for (int v = 0; v < kVectors; ++v) columns[v] = _mm512_loadu_si512(b + 64 * v);
#pragma GCC unroll 12
      for (int i = 0; i < kRows; ++i) {
        int32_t quad;
        std::memcpy(&quad, at + i * stride, 4);
        const __m512i bytes = _mm512_set1_epi32(quad);
        for (int v = 0; v < kVectors; ++v) {
          sum[i][v] = _mm512_dpbusd_epi32(sum[i][v], bytes, columns[v]);
        }
      }
    }
  }
  for (int i = 0; i < kRows; ++i) {
    for (int v = 0; v < kVectors; ++v) {
      _mm512_storeu_si512(sums + i * kPanel + 16 * v, sum[i][v]);
    }
  }
}

using TileFunction = void (*)(const Rows&, const int8_t*, int32_t*);

template <int kVectors, int... kCounts>
constexpr std::array<TileFunction, sizeof...(kCounts)> Tiles(
    std::integer_sequence<int, kCounts...>) {
  return {&Tile<kCounts + 1, kVectors>...};
}

// Computes a tile of `rows` rows, 1 to 12, with a panel of `width` columns, 16 or 32.
inline void MultiplyTile(int rows, int width, const Rows& a, const int8_t* b, int32_t* sums) {
  static constexpr auto kNarrow = Tiles<1>(std::make_integer_sequence<int, kTileRows>());
  static constexpr auto kWide = Tiles<2>(std::make_integer_sequence<int, kTileRows>());
  (width == kPanel ? kWide : kNarrow)[rows - 1](a, b, sums);
}

// Lays four rows of 16 bytes out as quads: to[4 * column + row]. A null row is zeros.
//
// Args:
//   rows: the four rows.
//   columns: how many bytes of each are there, 0 to 16; the others are zeros.
//   to: 64 bytes.
TFQUANTSEG_AVX512_VNNI inline void Interleave(const int8_t* const rows[4], int64_t columns, int8_t* to) {
  const __mmask16 there = static_cast<__mmask16>((1u << std::min<int64_t>(columns, 16)) - 1);
  __m128i row[4];
  for (int i = 0; i < 4; ++i) {
    row[i] = rows[i] == nullptr ? _mm_setzero_si128() : _mm_maskz_loadu_epi8(there, rows[i]);
  }
  const __m128i low01 = _mm_unpacklo_epi8(row[0], row[1]);
  const __m128i low23 = _mm_unpacklo_epi8(row[2], row[3]);
  const __m128i high01 = _mm_unpackhi_epi8(row[0], row[1]);
  const __m128i high23 = _mm_unpackhi_epi8(row[2], row[3]);
  auto* out = reinterpret_cast<__m128i*>(to);
  _mm_storeu_si128(out, _mm_unpacklo_epi16(low01, low23));
  _mm_storeu_si128(out + 1, _mm_unpackhi_epi16(low01, low23));
  _mm_storeu_si128(out + 2, _mm_unpacklo_epi16(high01, high23));
  _mm_storeu_si128(out + 3, _mm_unpackhi_epi16(high01, high23));
}

// Adds the sum of each of a panel's columns, over `quads` quads, to sums[0..width).
TFQUANTSEG_AVX512_VNNI inline void AddColumns(const int8_t* panel, int64_t quads, int width,
                                       int32_t* sums) {
  const __m512i ones = _mm512_set1_epi8(1);
  for (int v = 0; v < width / 16; ++v) {
    __m512i sum = _mm512_loadu_si512(sums + 16 * v);
    for (int64_t q = 0; q < quads; ++q) {
      sum = _mm512_dpbusd_epi32(sum, ones, _mm512_loadu_si512(panel + 4 * width * q + 64 * v));
    }
    _mm512_storeu_si512(sums + 16 * v, sum);
  }
}

// Copies integers as the bytes of A: n becomes n + 128.
TFQUANTSEG_AVX512_VNNI inline void CopyShifted(const int8_t* from, int64_t count, uint8_t* to) {
  const __m512i flip = _mm512_set1_epi8(static_cast<char>(kZero));
  int64_t i = 0;
  for (; i + 64 <= count; i += 64) {
    _mm512_storeu_si512(to + i, _mm512_xor_si512(_mm512_loadu_si512(from + i), flip));
  }
  if (i < count) {
    const __mmask64 rest = ~uint64_t{0} >> (64 - (count - i));
    const __m512i bytes = _mm512_maskz_loadu_epi8(rest, from + i);
    _mm512_mask_storeu_epi8(to + i, rest, _mm512_xor_si512(bytes, flip));
  }
}

// The first and the number of rows of part `index`, where `count` rows lie in `parts` even parts.
struct Part {
  int64_t first;
  int64_t count;
};
inline Part EvenPart(int64_t count, int64_t parts, int64_t index) {
  const int64_t first = count * index / parts;
  return {first, count * (index + 1) / parts - first};
}

}  // namespace tfquantseg

#endif  // TFQUANTSEG_KERNELS_VNNI_H_
