// TfquantsegMaxPool and TfquantsegMaxPoolGradient: pooling by maximum that keeps for the backward
// pass, in place of the floats before and behind it, a byte a window: which tap was the largest.

#include <algorithm>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tfquantseg/kernels/blocks.h"
#include "tfquantseg/kernels/cpu.h"
#include "tfquantseg/kernels/geometry.h"
#include "tfquantseg/kernels/tasks.h"

namespace tfquantseg {
namespace {

using absl::InvalidArgumentError;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::shape_inference::InferenceContext;

// Windows of an image [N, H, W, C].
struct Windows {
  int64_t images, channels;
  Axis rows, columns;

  int64_t tap(int64_t row, int64_t column) const { return row * columns.kernel + column; }
};

// What both ops share.
class Pooling : public tensorflow::OpKernel {
 public:
  explicit Pooling(OpKernelConstruction* context) : OpKernel(context) {
    std::string padding;
    OP_REQUIRES_OK(context, context->GetAttr("size", &size_));
    OP_REQUIRES_OK(context, context->GetAttr("strides", &strides_));
    OP_REQUIRES_OK(context, context->GetAttr("padding", &padding));
    same_ = padding == "SAME";
    OP_REQUIRES(context,
                size_.size() == 2 && strides_.size() == 2 && size_[0] > 0 && size_[1] > 0 &&
                    strides_[0] > 0 && strides_[1] > 0 && size_[0] * size_[1] <= 256,
                InvalidArgumentError("size and strides are two positive numbers each, vertical "
                                     "and horizontal, and a window has at most 256 taps."));
  }

 protected:
  Windows Of(const tensorflow::TensorShape& image) const {
    return {image.dim_size(0), image.dim_size(3),
            Axis::Of(image.dim_size(1), size_[0], strides_[0], 1, same_),
            Axis::Of(image.dim_size(2), size_[1], strides_[1], 1, same_)};
  }

 private:
  std::vector<int32_t> size_, strides_;
  bool same_;
};

absl::Status ShapeOfWindows(InferenceContext* c) {
  tensorflow::shape_inference::ShapeHandle x;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &x));
  std::vector<int32_t> size, strides;
  std::string padding;
  TF_RETURN_IF_ERROR(c->GetAttr("size", &size));
  TF_RETURN_IF_ERROR(c->GetAttr("strides", &strides));
  TF_RETURN_IF_ERROR(c->GetAttr("padding", &padding));
  const auto length = [&](int axis) {
    const int64_t input = c->Value(c->Dim(x, axis + 1));
    if (input < 0 || size.size() != 2 || strides.size() != 2 || strides[axis] < 1) {
      return c->UnknownDim();
    }
    return c->MakeDim(Axis::Of(input, size[axis], strides[axis], 1, padding == "SAME").output);
  };
  const auto shape = c->MakeShape({c->Dim(x, 0), length(0), length(1), c->Dim(x, 3)});
  c->set_output(0, shape);
  c->set_output(1, shape);
  return absl::OkStatus();
}

REGISTER_OP("TfquantsegMaxPool")
    .Input("x: float")
    .Output("y: float")
    .Output("taps: uint8")
    .Attr("size: list(int)")
    .Attr("strides: list(int)")
    .Attr("padding: {'SAME', 'VALID'}")
    .SetShapeFn(ShapeOfWindows)
    .Doc("The largest value of each window [N, H', W', C], and the number of the first tap with it.");

TFQUANTSEG_VECTORIZED void RaiseTo(const float* x, int32_t tap, int64_t n, float* most,
                                   int32_t* taps) {
  for (int64_t i = 0; i < n; ++i) {
    taps[i] = x[i] > most[i] ? tap : taps[i];
    most[i] = x[i] > most[i] ? x[i] : most[i];
  }
}

TFQUANTSEG_VECTORIZED void Narrow(const int32_t* from, int64_t n, uint8_t* to) {
  for (int64_t i = 0; i < n; ++i) to[i] = static_cast<uint8_t>(from[i]);
}

class MaxPoolOp : public Pooling {
 public:
  using Pooling::Pooling;

  void Compute(OpKernelContext* context) override {
    const Tensor& x = context->input(0);
    OP_REQUIRES(context, x.dims() == 4, InvalidArgumentError("an image has four axes"));
    const Windows windows = Of(x.shape());
    const tensorflow::TensorShape shape(
        {windows.images, windows.rows.output, windows.columns.output, windows.channels});
    Tensor *y, *taps;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &y));
    OP_REQUIRES_OK(context, context->allocate_output(1, shape, &taps));
    if (y->NumElements() == 0) return;
    const float* from = x.flat<float>().data();
    float* to = y->flat<float>().data();
    uint8_t* numbers = taps->flat<uint8_t>().data();
    const int64_t row_of_y = windows.columns.output * windows.channels;
    ForTasks(context, windows.images * windows.rows.output,
             row_of_y * windows.rows.kernel * windows.columns.kernel / 8, [&](int64_t task) {
               PoolRow(windows, from, task, to + task * row_of_y, numbers + task * row_of_y);
             });
  }

 private:
  static void PoolRow(const Windows& windows, const float* x, int64_t task, float* y,
                      uint8_t* taps) {
    const auto& [images, channels, rows, columns] = windows;
    const float* image = x + task / rows.output * rows.input * columns.input * channels;
    const int64_t row = task % rows.output;
    std::vector<int32_t> numbers(channels);
    for (int64_t column = 0; column < columns.output; ++column, y += channels, taps += channels) {
      bool first = true;
      for (int64_t i = 0; i < rows.kernel; ++i) {
        const int64_t at_row = row * rows.stride + rows.Offset(i);
        if (at_row < 0 || at_row >= rows.input) continue;
        for (int64_t j = 0; j < columns.kernel; ++j) {
          const int64_t at_column = column * columns.stride + columns.Offset(j);
          if (at_column < 0 || at_column >= columns.input) continue;
          const float* pixel = image + (at_row * columns.input + at_column) * channels;
          const int32_t tap = static_cast<int32_t>(windows.tap(i, j));
          if (first) {
            std::copy_n(pixel, channels, y);
            std::fill(numbers.begin(), numbers.end(), tap);
            first = false;
          } else {
            RaiseTo(pixel, tap, channels, y, numbers.data());
          }
        }
      }
      Narrow(numbers.data(), channels, taps);
    }
  }
};

REGISTER_KERNEL_BUILDER(Name("TfquantsegMaxPool").Device(tensorflow::DEVICE_CPU), MaxPoolOp);

REGISTER_OP("TfquantsegMaxPoolGradient")
    .Input("input_sizes: int32")
    .Input("taps: uint8")
    .Input("error: float")
    .Output("to_x: float")
    .Attr("size: list(int)")
    .Attr("strides: list(int)")
    .Attr("padding: {'SAME', 'VALID'}")
    .SetShapeFn([](InferenceContext* c) {
      tensorflow::shape_inference::ShapeHandle image;
      TF_RETURN_IF_ERROR(c->MakeShapeFromShapeTensor(0, &image));
      c->set_output(0, image);
      return absl::OkStatus();
    })
    .Doc("The error of each window at the tap that was its largest, summed over windows.");

TFQUANTSEG_VECTORIZED void AddWhere(const uint8_t* taps, uint8_t tap, const float* error, int64_t n,
                                    float* to_x) {
  for (int64_t i = 0; i < n; ++i) to_x[i] += taps[i] == tap ? error[i] : 0.0f;
}

class MaxPoolGradientOp : public Pooling {
 public:
  using Pooling::Pooling;

  void Compute(OpKernelContext* context) override {
    const Tensor &sizes = context->input(0), &taps = context->input(1), &error = context->input(2);
    OP_REQUIRES(context, sizes.NumElements() == 4, InvalidArgumentError("an image has four axes"));
    tensorflow::TensorShape image;
    OP_REQUIRES_OK(context, tensorflow::TensorShapeUtils::MakeShape(sizes.flat<int32_t>().data(),
                                                                    4, &image));
    const Windows windows = Of(image);
    const tensorflow::TensorShape shape(
        {windows.images, windows.rows.output, windows.columns.output, windows.channels});
    OP_REQUIRES(context, taps.shape() == shape && error.shape() == shape,
                InvalidArgumentError(absl::StrCat("taps and error must have the shape ",
                                                  shape.DebugString(), ", got ",
                                                  taps.shape().DebugString(), " and ",
                                                  error.shape().DebugString())));
    Tensor* to_x;
    OP_REQUIRES_OK(context, context->allocate_output(0, image, &to_x));
    float* to = to_x->flat<float>().data();
    const int64_t row_of_x = windows.columns.input * windows.channels;
    ForTasks(context, windows.images * windows.rows.input, row_of_x, [&](int64_t task) {
      ScatterRow(windows, taps.flat<uint8_t>().data(), error.flat<float>().data(), task,
                 to + task * row_of_x);
    });
  }

 private:
  // Gathers what the windows over one row of x send to it, in their order.
  static void ScatterRow(const Windows& windows, const uint8_t* taps, const float* error,
                         int64_t task, float* to_x) {
    const auto& [images, channels, rows, columns] = windows;
    std::fill_n(to_x, columns.input * channels, 0.0f);
    const int64_t image = task / rows.input, row = task % rows.input;
    const int64_t last = std::min((row + rows.before) / rows.stride, rows.output - 1);
    const int64_t reach = row + rows.before - rows.kernel + 1;
    for (int64_t window = reach > 0 ? CeilDiv(reach, rows.stride) : 0; window <= last; ++window) {
      const int64_t i = row + rows.before - window * rows.stride;
      int64_t at = (image * rows.output + window) * columns.output * channels;
      for (int64_t column = 0; column < columns.output; ++column, at += channels) {
        for (int64_t j = 0; j < columns.kernel; ++j) {
          const int64_t to_column = column * columns.stride + columns.Offset(j);
          if (to_column < 0 || to_column >= columns.input) continue;
          AddWhere(taps + at, static_cast<uint8_t>(windows.tap(i, j)), error + at, channels,
                   to_x + to_column * channels);
        }
      }
    }
  }
};

REGISTER_KERNEL_BUILDER(Name("TfquantsegMaxPoolGradient").Device(tensorflow::DEVICE_CPU),
                        MaxPoolGradientOp);

}  // namespace
}  // namespace tfquantseg
