// A convolution's error in blocks: what the ops that encode it share. Where they differ is how many
// scales they find, and for what.

#ifndef TFQUANTSEG_KERNELS_ERROR_BLOCKS_H_
#define TFQUANTSEG_KERNELS_ERROR_BLOCKS_H_

#include <algorithm>
#include <cstdint>
#include <limits>
#include <mutex>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tfquantseg/kernels/bits.h"
#include "tfquantseg/kernels/blocks.h"
#include "tfquantseg/kernels/grid.h"
#include "tfquantseg/kernels/magnitude.h"

namespace tfquantseg {

// The error, and where an activation's derivative is 1. Its last axis has the channels.
struct ErrorInput {
  const float* values = nullptr;
  const uint8_t* masked_before = nullptr;  // Or nullptr: before scales are taken,
  const uint8_t* masked_after = nullptr;   // or nullptr: on the integers.
  const float* factor = nullptr;           // One a channel, or nullptr.
  int64_t size = 0;
  int64_t channels = 1;
};

// Reads the inputs error, passes and factor of an op, and checks that they fit.
inline absl::Status ReadError(tensorflow::OpKernelContext* context, bool mask_first,
                              ErrorInput* input) {
  using absl::InvalidArgumentError;
  const tensorflow::Tensor& error = context->input(0);
  const tensorflow::Tensor& passes = context->input(1);
  const tensorflow::Tensor& factor = context->input(2);
  if (error.dims() == 0) return InvalidArgumentError("an error has channels, got a scalar");
  const int64_t channels = error.dim_size(error.dims() - 1);
  const bool masked = passes.NumElements() > 0, scaled = factor.NumElements() > 0;
  if (masked && passes.shape() != error.shape()) {
    return InvalidArgumentError(absl::StrCat("passes must have the error's shape ",
                                             error.shape().DebugString(), ", got ",
                                             passes.shape().DebugString()));
  }
  if (scaled && (factor.dims() != 1 || factor.dim_size(0) != channels)) {
    return InvalidArgumentError(absl::StrCat("factor must have one number for each of ", channels,
                                             " channels, got ", factor.shape().DebugString()));
  }
  input->values = error.flat<float>().data();
  input->size = error.NumElements();
  input->channels = std::max<int64_t>(channels, 1);
  if (scaled) input->factor = factor.flat<float>().data();
  if (masked) {
    const auto* mask = reinterpret_cast<const uint8_t*>(passes.flat<bool>().data());
    (mask_first ? input->masked_before : input->masked_after) = mask;
  }
  return absl::OkStatus();
}

// Whether the sum of the error, times the factor or not, is finite; of its largest magnitude's bits.
inline bool ErrorIsFinite(const ErrorInput& input, uint32_t largest, const float* factor) {
  return SumIsFinite(FloatOf(largest), input.size, [&](int64_t i) {
    return factor == nullptr ? input.values[i] : input.values[i] * factor[i % input.channels];
  });
}

// The step of a unit, or NaN.
inline float StepIf(bool finite, const ScaledGrid& grid, float unit) {
  return finite ? grid.Step(unit) : std::numeric_limits<float>::quiet_NaN();
}

// One number for each element: of its channel, of its position, or one for all.
struct Along {
  const Repeated* repeated = nullptr;
  const float* of_positions = nullptr;  // Instead, if not nullptr.

  // The numbers of the block that begins at this element, in a buffer where they are not at hand.
  TFQUANTSEG_INLINE const float* At(int64_t start, int64_t n, int64_t channels,
                                    float* buffer) const {
    if (of_positions == nullptr) return repeated->At(start);
    for (int64_t i = 0; i < n;) {
      const int64_t position = (start + i) / channels;
      const int64_t end = std::min(n, (position + 1) * channels - start);
      const float value = of_positions[position];
      for (; i < end; ++i) buffer[i] = value;
    }
    return buffer;
  }
};

// One of the two pairs: integers of error * factor / unit.
template <typename T>
struct ErrorPair {
  const Repeated* factor = nullptr;
  Along unit;
  T* integers = nullptr;  // Nullptr where there is no such pair.
};

// What one range adds to the channels' sums.
template <typename T>
using Sum = std::conditional_t<std::is_same_v<T, float>, double, int32_t>;

template <typename T>
struct ErrorJob {
  const ScaledGrid* grid;
  ErrorInput input;
  Philox philox;
  ErrorPair<T> first;
  ErrorPair<T> second;
};

template <typename T>
TFQUANTSEG_INLINE void EncodeErrorBlock(const ErrorJob<T>& job, const ErrorPair<T>& pair,
                                        const uint16_t* draws, int64_t start, int64_t n) {
  alignas(64) float steps[kBlock];
  alignas(64) float buffer[kBlock];
  const float* x = job.input.values + start;
  const float* factor = pair.factor->At(start);
  const float* unit = pair.unit.At(start, n, job.input.channels, buffer);
  const float divisor = job.grid->divisor;
  if (job.input.masked_before != nullptr) {
    const uint8_t* passes = job.input.masked_before + start;
    for (int64_t i = 0; i < n; ++i) {
      steps[i] = Masked(x[i] * factor[i], passes[i]) / unit[i] * divisor;
    }
  } else {
    for (int64_t i = 0; i < n; ++i) steps[i] = x[i] * factor[i] / unit[i] * divisor;
  }
  T* integers = pair.integers + start;
  RoundBlock(job.grid->rounding, steps, draws, job.grid->most, n, integers);
  if (job.input.masked_after != nullptr) {
    const uint8_t* passes = job.input.masked_after + start;
    for (int64_t i = 0; i < n; ++i) integers[i] = Masked(integers[i], passes[i]);
  }
}

template <typename T>
TFQUANTSEG_VECTORIZED TFQUANTSEG_INLINE void EncodeErrorBlocks(const ErrorJob<T>& job,
                                                               int64_t start, int64_t end,
                                                               Sum<T>* sums) {
  alignas(64) uint16_t draws[kBlock];
  for (int64_t block = start; block < end; block += kBlock) {
    const int64_t n = std::min(kBlock, end - block);
    if (job.grid->rounding == Rounding::kStochastic) DrawBlock(job.philox, block, draws);
    EncodeErrorBlock(job, job.first, draws, block, n);
    const T* integers = job.first.integers + block;
    Sum<T>* sum = sums + block % job.input.channels;
    for (int64_t i = 0; i < n; ++i) sum[i] += static_cast<Sum<T>>(integers[i]);
    if (job.second.integers != nullptr) EncodeErrorBlock(job, job.second, draws, block, n);
  }
}

TFQUANTSEG_VECTORIZED inline void EncodeErrorRange(const ErrorJob<int8_t>& job, int64_t start,
                                                   int64_t end, int32_t* sums) {
  EncodeErrorBlocks(job, start, end, sums);
}

TFQUANTSEG_VECTORIZED inline void EncodeErrorRange(const ErrorJob<float>& job, int64_t start,
                                                   int64_t end, double* sums) {
  EncodeErrorBlocks(job, start, end, sums);
}

// The second pass: writes the integers of both pairs, and the sums of the first one's, one a channel.
template <typename T>
void EncodeError(tensorflow::OpKernelContext* context, const ErrorJob<T>& job,
                 tensorflow::TTypes<float>::Flat sums) {
  const int64_t channels = job.input.channels;
  std::mutex mutex;
  std::vector<double> totals(channels);
  ForRanges(context, job.input.size, 3, [&](int64_t start, int64_t end) {
    std::vector<Sum<T>> of_range(channels + kBlock);
    EncodeErrorRange(job, start, end, of_range.data());
    std::lock_guard<std::mutex> lock(mutex);
    for (size_t i = 0; i < of_range.size(); ++i) totals[i % channels] += of_range[i];
  });
  for (int64_t c = 0; c < sums.size(); ++c) sums(c) = static_cast<float>(totals[c]);
}

}  // namespace tfquantseg

#endif  // TFQUANTSEG_KERNELS_ERROR_BLOCKS_H_
