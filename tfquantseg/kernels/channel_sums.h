// Sums and maxima over all axes but the last, the same for any number of threads.

#ifndef TFQUANTSEG_KERNELS_CHANNEL_SUMS_H_
#define TFQUANTSEG_KERNELS_CHANNEL_SUMS_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <mutex>
#include <vector>

#include "tensorflow/core/framework/op_kernel.h"
#include "tfquantseg/kernels/blocks.h"

namespace tfquantseg {

constexpr int64_t kChunk = 64 * kBlock;  // Added in float32; chunks are added in float64, in order.

// Of each channel.
template <int kSums, int kMaxima>
struct Reduced {
  std::array<std::vector<double>, kSums> sums;
  std::array<std::vector<float>, kMaxima> maxima;  // Minus infinity of no elements.
};

// Where the elements of a block go, which repeat with the channels: the i-th of them to
// sums[k][i], by adding, and to maxima[k][i].
template <int kSums, int kMaxima>
struct Places {
  std::array<float*, kSums> sums;
  std::array<float*, kMaxima> maxima;
};

// Returns kSums sums and kMaxima maxima of each channel. add(start, n, places) takes a block.
template <int kSums, int kMaxima, typename Add>
Reduced<kSums, kMaxima> ReduceChannels(tensorflow::OpKernelContext* context, int64_t size,
                                       int64_t channels, double cycles, const Add& add) {
  const int64_t chunks = (size + kChunk - 1) / kChunk;
  constexpr float kLeast = -std::numeric_limits<float>::infinity();
  std::vector<double> of_chunks(kSums * chunks * channels);
  Reduced<kSums, kMaxima> all;
  for (auto& sums : all.sums) sums.assign(channels, 0.0);
  for (auto& maxima : all.maxima) maxima.assign(channels, kLeast);
  std::mutex mutex;
  const auto reduce_chunks = [&](int64_t start, int64_t end) {
    std::array<std::vector<float>, kSums> sums;
    std::array<std::vector<float>, kMaxima> maxima;
    for (auto& places : maxima) places.assign(channels + kBlock, kLeast);
    for (int64_t chunk = start; chunk < end; chunk += kChunk) {
      for (auto& places : sums) places.assign(channels + kBlock, 0.0f);
      for (int64_t block = chunk; block < std::min(end, chunk + kChunk); block += kBlock) {
        Places<kSums, kMaxima> places;
        for (int k = 0; k < kSums; ++k) places.sums[k] = sums[k].data() + block % channels;
        for (int k = 0; k < kMaxima; ++k) places.maxima[k] = maxima[k].data() + block % channels;
        add(block, std::min(kBlock, end - block), places);
      }
      double* total = of_chunks.data() + chunk / kChunk * kSums * channels;
      for (int k = 0; k < kSums; ++k, total += channels) {
        for (int64_t i = 0; i < channels + kBlock; ++i) total[i % channels] += sums[k][i];
      }
    }
    std::lock_guard<std::mutex> lock(mutex);
    for (int k = 0; k < kMaxima; ++k) {
      for (int64_t i = 0; i < channels + kBlock; ++i) {
        all.maxima[k][i % channels] = std::max(all.maxima[k][i % channels], maxima[k][i]);
      }
    }
  };
  ForRanges(context, size, cycles, reduce_chunks, kChunk);
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const double* of_chunk = of_chunks.data() + chunk * kSums * channels;
    for (int k = 0; k < kSums; ++k, of_chunk += channels) {
      for (int64_t c = 0; c < channels; ++c) all.sums[k][c] += of_chunk[c];
    }
  }
  return all;
}

}  // namespace tfquantseg

#endif  // TFQUANTSEG_KERNELS_CHANNEL_SUMS_H_
