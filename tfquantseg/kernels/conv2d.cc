// Convolutions of int8 integers with 32-bit sums: the output and the input gradient.
//
//   output:          activation(conv(A, W) * scale + bias)
//   input gradient:  activation(convT(E, W) * scale + bias), which is a transposed convolution's
//                    output too
//
// A sum is exact where it fits 32 bits, as that of 133,000 products (2^31 / 127^2) always does: by
// what the bytes n + 128 overflow on the way, as much less is subtracted at the end.
#include <string>
#include <vector>

#include "tfquantseg/kernels/geometry.h"
#include "tfquantseg/kernels/patches.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace tfquantseg {
namespace {

using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

absl::Status OutputShape(InferenceContext* c) {
  Attributes attributes;
  TF_RETURN_IF_ERROR(attributes.Read(c));
  ShapeHandle image, kernel;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &image));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 4, &kernel));
  std::vector<DimensionHandle> sizes = {c->Dim(image, 0)};
  for (int axis = 0; axis < 2; ++axis) {
    const int64_t length = c->Value(c->Dim(image, axis + 1));
    const int64_t taps = c->Value(c->Dim(kernel, axis));
    sizes.push_back(length < 0 || taps < 0 ? c->UnknownDim()
                                           : c->MakeDim(attributes.Of(axis, length, taps).output));
  }
  sizes.push_back(c->Dim(kernel, 3));
  c->set_output(0, c->MakeShape(sizes));
  return absl::OkStatus();
}

absl::Status GradientShape(InferenceContext* c) {
  ShapeHandle shape;
  TF_RETURN_IF_ERROR(c->MakeShapeFromShapeTensor(0, &shape));
  c->set_output(0, shape);
  return absl::OkStatus();
}

// What is common to both ops: their attributes, and the last two inputs, scale and bias.
class Convolution : public tensorflow::OpKernel {
 public:
  explicit Convolution(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, attributes_.Read(context));
    std::string activation;
    OP_REQUIRES_OK(context, context->GetAttr("activation", &activation));
    activation_ = ActivationOf(activation);
  }

 protected:
  absl::Status ReadEpilogue(OpKernelContext* context, int64_t channels, Epilogue* epilogue) {
    const Tensor& scale = context->input(context->num_inputs() - 2);
    const Tensor& bias = context->input(context->num_inputs() - 1);
    if (scale.NumElements() != 1 && scale.NumElements() != channels) {
      return absl::InvalidArgumentError(absl::StrCat("scale has ", scale.NumElements(), " elements; give one, or one for ",
                             "each of the ", channels, " channels."));
    }
    if (bias.NumElements() != 0 && bias.NumElements() != channels) {
      return absl::InvalidArgumentError(absl::StrCat("bias has ", bias.NumElements(), " elements; give none, or one for ",
                             "each of the ", channels, " channels."));
    }
    *epilogue = {scale.flat<float>().data(), scale.NumElements() > 1,
                 bias.NumElements() ? bias.flat<float>().data() : nullptr, activation_};
    return absl::OkStatus();
  }

  Attributes attributes_;
  Activation activation_;
};

class Output : public Convolution {
 public:
  using Convolution::Convolution;

  void Compute(OpKernelContext* context) override {
    const Tensor& image = context->input(0);
    const Tensor& kernel = context->input(1);
    OP_REQUIRES(context, image.dims() == 4 && kernel.dims() == 4, absl::InvalidArgumentError(absl::StrCat("rank is not 4")));
    OP_REQUIRES(context, image.dim_size(3) == kernel.dim_size(2),
                absl::InvalidArgumentError(absl::StrCat("the image has ", image.dim_size(3), " channels, the kernel takes ",
                                kernel.dim_size(2), ".")));
    const Axis rows = attributes_.Of(0, image.dim_size(1), kernel.dim_size(0));
    const Axis columns = attributes_.Of(1, image.dim_size(2), kernel.dim_size(1));
    const int64_t channels = kernel.dim_size(3);
    Tensor* output = nullptr;
    OP_REQUIRES_OK(context,
                   context->allocate_output(
                       0, {image.dim_size(0), rows.output, columns.output, channels}, &output));
    Epilogue epilogue;
    OP_REQUIRES_OK(context, ReadEpilogue(context, channels, &epilogue));
    Positions positions{rows.output, columns.output, rows.stride, columns.stride, {}};
    for (int64_t i = 0; i < rows.kernel; ++i) {
      for (int64_t j = 0; j < columns.kernel; ++j) {
        positions.taps.push_back({rows.Offset(i), columns.Offset(j), i * columns.kernel + j});
      }
    }
    OP_REQUIRES_OK(
        context,
        MultiplyPatches(context,
                        {image.flat<int8_t>().data(), image.dim_size(0), image.dim_size(1),
                         image.dim_size(2), image.dim_size(3)},
                        positions, {kernel.flat<int8_t>().data(), kernel.dim_size(2), channels, false},
                        epilogue,
                        {output->flat<float>().data(), rows.output, columns.output, channels, 0, 0,
                         1, 1}));
  }
};

// Taps of one axis that meet positions `phase`, phase + stride, ... of the convolution's input,
// and which position of its output each of them reads there.
struct PhaseTap {
  int64_t tap, offset;
};
std::vector<PhaseTap> TapsOfPhase(const Axis& axis, int64_t phase) {
  std::vector<PhaseTap> taps;
  for (int64_t tap = axis.kernel - 1; tap >= 0; --tap) {  // so that offsets grow
    const int64_t distance = phase - axis.Offset(tap);
    if (distance % axis.stride == 0) taps.push_back({tap, distance / axis.stride});
  }
  return taps;
}

class InputGradient : public Convolution {
 public:
  using Convolution::Convolution;

  void Compute(OpKernelContext* context) override {
    const Tensor& sizes = context->input(0);
    const Tensor& kernel = context->input(1);
    const Tensor& error = context->input(2);
    OP_REQUIRES(context, sizes.NumElements() == 4 && kernel.dims() == 4 && error.dims() == 4,
                absl::InvalidArgumentError(absl::StrCat("input_sizes has ", sizes.NumElements(), " elements, not 4, or a ",
                                "rank is not 4.")));
    const auto size = sizes.flat<int32_t>();
    const Axis rows = attributes_.Of(0, size(1), kernel.dim_size(0));
    const Axis columns = attributes_.Of(1, size(2), kernel.dim_size(1));
    const int64_t channels = kernel.dim_size(2);
    OP_REQUIRES(context,
                error.shape() == TensorShape({size(0), rows.output, columns.output,
                                              kernel.dim_size(3)}) &&
                    size(3) == channels,
                absl::InvalidArgumentError(absl::StrCat("an error of shape ", error.shape().DebugString(),
                                " and a kernel of ", kernel.shape().DebugString(),
                                " do not fit an input of ", sizes.SummarizeValue(4), ".")));
    Tensor* output = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, {size(0), size(1), size(2), channels},
                                                     &output));
    Epilogue epilogue;
    OP_REQUIRES_OK(context, ReadEpilogue(context, channels, &epilogue));
    const Image image{error.flat<int8_t>().data(), size(0), rows.output, columns.output,
                      error.dim_size(3)};
    const Weights weights{kernel.flat<int8_t>().data(), channels, kernel.dim_size(3), true};
    for (int64_t y = 0; y < rows.stride; ++y) {
      for (int64_t x = 0; x < columns.stride; ++x) {
        Positions positions{CeilDiv(rows.input - y, rows.stride),
                            CeilDiv(columns.input - x, columns.stride), 1, 1, {}};
        if (y >= rows.input || x >= columns.input) continue;
        for (const PhaseTap& row : TapsOfPhase(rows, y)) {
          for (const PhaseTap& column : TapsOfPhase(columns, x)) {
            positions.taps.push_back(
                {row.offset, column.offset, row.tap * columns.kernel + column.tap});
          }
        }
        OP_REQUIRES_OK(context,
                       MultiplyPatches(context, image, positions, weights, epilogue,
                                       {output->flat<float>().data(), rows.input, columns.input,
                                        channels, y, x, rows.stride, columns.stride}));
      }
    }
  }
};

REGISTER_OP("TfquantsegConv2D")
    .Input("input: int8")
    .Input("filter: int8")
    .Input("scale: float")
    .Input("bias: float")
    .Output("output: float")
    .Attr("strides: list(int)")
    .Attr("dilations: list(int)")
    .Attr("padding: {'SAME', 'VALID'}")
    .Attr("activation: {'linear', 'relu', 'relu6'} = 'linear'")
    .SetShapeFn(OutputShape);

REGISTER_OP("TfquantsegConv2DBackpropInput")
    .Input("input_sizes: int32")
    .Input("filter: int8")
    .Input("out_backprop: int8")
    .Input("scale: float")
    .Input("bias: float")
    .Output("output: float")
    .Attr("strides: list(int)")
    .Attr("dilations: list(int)")
    .Attr("padding: {'SAME', 'VALID'}")
    .Attr("activation: {'linear', 'relu', 'relu6'} = 'linear'")
    .SetShapeFn(GradientShape);

REGISTER_KERNEL_BUILDER(Name("TfquantsegConv2D").Device(tensorflow::DEVICE_CPU), Output);
REGISTER_KERNEL_BUILDER(Name("TfquantsegConv2DBackpropInput").Device(tensorflow::DEVICE_CPU),
                        InputGradient);

}  // namespace
}  // namespace tfquantseg
