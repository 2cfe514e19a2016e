// Batch norm's normalization of blocks, for the ops that compute it and those that have it in them.

#ifndef TFQUANTSEG_KERNELS_NORMALIZE_H_
#define TFQUANTSEG_KERNELS_NORMALIZE_H_

#include <cstdint>

#include "tensorflow/core/framework/op_kernel.h"
#include "tfquantseg/kernels/blocks.h"
#include "tfquantseg/kernels/cpu.h"

namespace tfquantseg {

inline constexpr char kNoChannels[] =
    "all vectors must have one number for each channel, the last axis";

// Checks that inputs from .. to - 1 have one number a channel of input 0.
inline bool HaveChannels(tensorflow::OpKernelContext* context, int from, int to) {
  const tensorflow::Tensor& x = context->input(0);
  if (x.dims() == 0) return false;
  for (int i = from; i < to; ++i) {
    const tensorflow::Tensor& vector = context->input(i);
    if (vector.dims() != 1 || vector.dim_size(0) != x.dim_size(x.dims() - 1)) return false;
  }
  return true;
}

// One value a channel, repeated; nothing of an empty vector may be read.
inline Repeated OfChannels(const tensorflow::Tensor& vector) {
  if (vector.NumElements() == 0) return Repeated(0.0f);
  return Repeated(vector.flat<float>().data(), vector.NumElements(), 1);
}

// (x - mu) / divisor * gamma + beta, of the inputs from first on.
struct Normalization {
  Normalization(tensorflow::OpKernelContext* context, int first)
      : mu(OfChannels(context->input(first))),
        divisor(OfChannels(context->input(first + 1))),
        gamma(OfChannels(context->input(first + 2))),
        beta(OfChannels(context->input(first + 3))) {}

  Repeated mu, divisor, gamma, beta;
};

// Of the n elements of a block that begins at this one.
TFQUANTSEG_INLINE void NormalizeBlock(const Normalization& normalization, const float* x,
                                      int64_t start, int64_t n, float* y) {
  const float* mu = normalization.mu.At(start);
  const float* divisor = normalization.divisor.At(start);
  const float* gamma = normalization.gamma.At(start);
  const float* beta = normalization.beta.At(start);
  for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - mu[i]) / divisor[i] * gamma[i] + beta[i];
}

}  // namespace tfquantseg

#endif  // TFQUANTSEG_KERNELS_NORMALIZE_H_
