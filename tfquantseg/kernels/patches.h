// Products of an image's patches with weights: what a convolution's output and its input gradient
// have in common.
//
// A position (i, j) of the output reads, for each tap, the image's pixel
//   (i * row_step + tap.row, j * column_step + tap.column),
// zeros outside; its sum goes to the result's pixel
//   (first_row + i * row_stride, first_column + j * column_stride).
#ifndef TFQUANTSEG_KERNELS_PATCHES_H_
#define TFQUANTSEG_KERNELS_PATCHES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tensorflow/core/framework/op_kernel.h"

namespace tfquantseg {

enum class Activation { kLinear, kRelu, kRelu6 };

// Returns the activation of an attribute's value.
Activation ActivationOf(const std::string& name);

// What becomes of a sum: activation(sum * scale + bias), each step rounded to float32.
struct Epilogue {
  const float* scale;  // one a channel, or a single one
  bool scale_per_channel;
  const float* bias;   // one a channel, or null
  Activation activation;
};

// An image of integers, [batch, height, width, channels].
struct Image {
  const int8_t* integers;
  int64_t batch, height, width, channels;
};

// Where the sums go, float32 [batch, height, width, channels].
struct Result {
  float* values;
  int64_t height, width, channels;
  int64_t first_row, first_column, row_stride, column_stride;
};

struct Tap {
  int64_t row, column;  // of the image's pixel, relative to the position
  int64_t place;        // which of the kernel's taps it is
};

// One grid of positions in each image of the batch.
struct Positions {
  int64_t rows, columns;
  int64_t row_step, column_step;
  std::vector<Tap> taps;
};

// How weights int8 [taps, first, second] are laid out.
struct Weights {
  const int8_t* integers;
  int64_t first, second;
  bool sum_over_second;  // the image's channels are the second axis: an input gradient
};

// Writes activation(sum over taps and channels of pixel * weight * scale + bias) for every position.
absl::Status MultiplyPatches(tensorflow::OpKernelContext* context, const Image& image,
                                   const Positions& positions, const Weights& weights,
                                   const Epilogue& epilogue, const Result& result);

}  // namespace tfquantseg

#endif  // TFQUANTSEG_KERNELS_PATCHES_H_
