// TfquantsegMagnitude, TfquantsegEncodeScaled and TfquantsegEncodeUniform: a tensor's scale, and its
// integers on a dynamic or a constant grid. One pass over memory each. TfquantsegStep: of the scale
// alone, so that it is known where nobody needs these integers.

#include <algorithm>
#include <atomic>

#include "absl/status/status.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tfquantseg/kernels/bits.h"
#include "tfquantseg/kernels/blocks.h"
#include "tfquantseg/kernels/grid.h"
#include "tfquantseg/kernels/magnitude.h"

namespace tfquantseg {
namespace {

using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::shape_inference::InferenceContext;

REGISTER_OP("TfquantsegMagnitude")
    .Input("x: float")
    .Output("most: float")
    .Output("finite: bool")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->Scalar());
      c->set_output(1, c->Scalar());
      return absl::OkStatus();
    })
    .Doc("max|x|, NaN if any is NaN, 0 of an empty tensor; and whether the sum of x is finite.");

TFQUANTSEG_VECTORIZED uint32_t MostOf(const float* x, int64_t n) {
  uint32_t most = 0;
  for (int64_t i = 0; i < n; ++i) most = std::max(most, MagnitudeBits(x[i]));
  return most;
}

class MagnitudeOp : public tensorflow::OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    const auto x = context->input(0).flat<float>();
    Tensor *most, *finite;
    OP_REQUIRES_OK(context, context->allocate_output(0, {}, &most));
    OP_REQUIRES_OK(context, context->allocate_output(1, {}, &finite));
    std::atomic<uint32_t> bits{0};
    ForRanges(context, x.size(), 0.5, [&](int64_t start, int64_t end) {
      Raise(bits, MostOf(x.data() + start, end - start));
    });
    most->scalar<float>()() = FloatOf(bits);
    finite->scalar<bool>()() =
        SumIsFinite(FloatOf(bits), x.size(), [&](int64_t i) { return x(i); });
  }
};

REGISTER_KERNEL_BUILDER(Name("TfquantsegMagnitude").Device(tensorflow::DEVICE_CPU), MagnitudeOp);

REGISTER_OP("TfquantsegEncodeScaled")
    .Input("x: float")
    .Input("scale: float")
    .Input("seed: int64")
    .Output("integers: float")
    .TFQUANTSEG_SCALED_GRID_ATTRIBUTES
    .SetShapeFn(tensorflow::shape_inference::UnchangedShape)
    .Doc(R"(The integers of x on a grid of this scale.

seed: two numbers for stochastic rounding, else none.
)");

TFQUANTSEG_VECTORIZED void EncodeScaled(const ScaledGrid& grid, const Philox& philox, float unit,
                                        const float* x, int64_t start, int64_t end,
                                        float* integers) {
  alignas(64) uint16_t draws[kBlock];
  alignas(64) float steps[kBlock];
  const float divisor = grid.divisor;
  for (int64_t block = start; block < end; block += kBlock) {
    const int64_t n = std::min(kBlock, end - block);
    if (grid.rounding == Rounding::kStochastic) DrawBlock(philox, block, draws);
    for (int64_t i = 0; i < n; ++i) steps[i] = x[block + i] / unit * divisor;
    RoundBlock(grid.rounding, steps, draws, grid.most, n, integers + block);
  }
}

class EncodeScaledOp : public tensorflow::OpKernel {
 public:
  explicit EncodeScaledOp(OpKernelConstruction* context) : OpKernel(context), grid_(context) {}

  void Compute(OpKernelContext* context) override {
    const auto x = context->input(0).flat<float>();
    Tensor* integers;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output(
                                {0}, 0, context->input(0).shape(), &integers));
    const float unit = grid_.Unit(context->input(1).scalar<float>()());
    Philox philox{};
    if (grid_.rounding == Rounding::kStochastic) {
      OP_REQUIRES(context, ReadSeed(context->input(2), &philox),
                  absl::InvalidArgumentError("a seed has two numbers"));
    }
    float* out = integers->flat<float>().data();
    ForRanges(context, x.size(), 2, [&](int64_t start, int64_t end) {
      EncodeScaled(grid_, philox, unit, x.data(), start, end, out);
    });
  }

 private:
  ScaledGrid grid_;
};

REGISTER_KERNEL_BUILDER(Name("TfquantsegEncodeScaled").Device(tensorflow::DEVICE_CPU),
                        EncodeScaledOp);

REGISTER_OP("TfquantsegStep")
    .Input("scale: float")
    .Output("step: float")
    .TFQUANTSEG_SCALED_GRID_ATTRIBUTES
    .SetShapeFn(tensorflow::shape_inference::ScalarShape)
    .Doc("The step of a grid of this scale.");

class StepOp : public tensorflow::OpKernel {
 public:
  explicit StepOp(OpKernelConstruction* context) : OpKernel(context), grid_(context) {}

  void Compute(OpKernelContext* context) override {
    Tensor* step;
    OP_REQUIRES_OK(context, context->allocate_output(0, {}, &step));
    step->scalar<float>()() = grid_.Step(grid_.Unit(context->input(0).scalar<float>()()));
  }

 private:
  ScaledGrid grid_;
};

REGISTER_KERNEL_BUILDER(Name("TfquantsegStep").Device(tensorflow::DEVICE_CPU), StepOp);

REGISTER_OP("TfquantsegEncodeUniform")
    .Input("x: float")
    .Input("steps: float")
    .Output("integers: float")
    .Attr("most: float")
    .Attr("inner: int")
    .Attr("rounding: {'half_up', 'half_away', 'half_even'}")
    .SetShapeFn(tensorflow::shape_inference::UnchangedShape)
    .Doc(R"(The integers of x on a constant grid.

steps: one power of two, or one a channel.
inner: elements of x behind the channels' axis.
)");

TFQUANTSEG_VECTORIZED void EncodeUniform(Rounding rounding, float most, const Repeated& steps,
                                         const float* x, int64_t start, int64_t end,
                                         float* integers) {
  alignas(64) float in_steps[kBlock];
  for (int64_t block = start; block < end; block += kBlock) {
    const int64_t n = std::min(kBlock, end - block);
    const float* step = steps.At(block);
    for (int64_t i = 0; i < n; ++i) in_steps[i] = x[block + i] * (1.0f / step[i]);
    RoundBlock(rounding, in_steps, nullptr, most, n, integers + block);
  }
}

class EncodeUniformOp : public tensorflow::OpKernel {
 public:
  explicit EncodeUniformOp(OpKernelConstruction* context) : OpKernel(context) {
    std::string rounding;
    OP_REQUIRES_OK(context, context->GetAttr("most", &most_));
    OP_REQUIRES_OK(context, context->GetAttr("inner", &inner_));
    OP_REQUIRES_OK(context, context->GetAttr("rounding", &rounding));
    rounding_ = RoundingOf(rounding);
  }

  void Compute(OpKernelContext* context) override {
    const auto x = context->input(0).flat<float>();
    const auto steps = context->input(1).flat<float>();
    Tensor* integers;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output(
                                {0}, 0, context->input(0).shape(), &integers));
    if (x.size() == 0) return;
    const Repeated repeated(steps.data(), steps.size(), steps.size() == 1 ? 1 : inner_);
    float* out = integers->flat<float>().data();
    ForRanges(context, x.size(), 2, [&](int64_t start, int64_t end) {
      EncodeUniform(rounding_, most_, repeated, x.data(), start, end, out);
    });
  }

 private:
  float most_;
  int64_t inner_;
  Rounding rounding_;
};

REGISTER_KERNEL_BUILDER(Name("TfquantsegEncodeUniform").Device(tensorflow::DEVICE_CPU),
                        EncodeUniformOp);

}  // namespace
}  // namespace tfquantseg
