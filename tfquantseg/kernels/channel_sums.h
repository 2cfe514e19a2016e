// Sums over all axes but the last, the same for any number of threads.

#ifndef TFQUANTSEG_KERNELS_CHANNEL_SUMS_H_
#define TFQUANTSEG_KERNELS_CHANNEL_SUMS_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "tensorflow/core/framework/op_kernel.h"
#include "tfquantseg/kernels/blocks.h"

namespace tfquantseg {

constexpr int64_t kChunk = 64 * kBlock;  // Added in float32; chunks are added in float64, in order.

template <int kSums>
using ChannelSums = std::array<std::vector<double>, kSums>;

// Returns kSums sums of each channel. add(start, n, sums) adds the n elements of a block to
// sums[k][0] .. sums[k][n - 1], whose places repeat with the channels.
template <int kSums, typename Add>
ChannelSums<kSums> SumChannels(tensorflow::OpKernelContext* context, int64_t size, int64_t channels,
                               const Add& add) {
  const int64_t chunks = (size + kChunk - 1) / kChunk;
  std::vector<double> of_chunks(kSums * chunks * channels);
  const auto add_chunks = [&](int64_t start, int64_t end) {
    std::array<std::vector<float>, kSums> places;
    for (int64_t chunk = start; chunk < end; chunk += kChunk) {
      std::array<float*, kSums> sums;
      for (auto& place : places) place.assign(channels + kBlock, 0.0f);
      for (int64_t block = chunk; block < std::min(end, chunk + kChunk); block += kBlock) {
        for (int k = 0; k < kSums; ++k) sums[k] = places[k].data() + block % channels;
        add(block, std::min(kBlock, end - block), sums);
      }
      double* total = of_chunks.data() + chunk / kChunk * kSums * channels;
      for (int k = 0; k < kSums; ++k, total += channels) {
        for (int64_t i = 0; i < channels + kBlock; ++i) total[i % channels] += places[k][i];
      }
    }
  };
  ForRanges(context, size, 0.5 * kSums, add_chunks, kChunk);
  ChannelSums<kSums> all;
  for (auto& sums : all) sums.assign(channels, 0.0);
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const double* of_chunk = of_chunks.data() + chunk * kSums * channels;
    for (int k = 0; k < kSums; ++k, of_chunk += channels) {
      for (int64_t c = 0; c < channels; ++c) all[k][c] += of_chunk[c];
    }
  }
  return all;
}

}  // namespace tfquantseg

#endif  // TFQUANTSEG_KERNELS_CHANNEL_SUMS_H_
