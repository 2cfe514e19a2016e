// TfquantsegEncodeError: the error of a convolution, masked by its activation's derivative and
// encoded once or, where the kernel has one step a channel, twice. Two passes over memory.

#include <algorithm>
#include <atomic>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tfquantseg/kernels/error_blocks.h"

namespace tfquantseg {
namespace {

using absl::InvalidArgumentError;
using absl::StrCat;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;

REGISTER_OP("TfquantsegEncodeError")
    .Input("error: float")
    .Input("passes: bool")
    .Input("factor: float")
    .Input("largest: float")
    .Output("integers: T")
    .Output("step: float")
    .Output("scaled_integers: T")
    .Output("scaled_step: float")
    .Output("sums: float")
    .Attr("T: {int8, float}")
    .Attr("salt: int")
    .Attr("mask_first: bool")
    .TFQUANTSEG_SCALED_GRID_ATTRIBUTES
    .SetShapeFn([](tensorflow::shape_inference::InferenceContext* c) {
      tensorflow::shape_inference::ShapeHandle error;
      TF_RETURN_IF_ERROR(c->WithRankAtLeast(c->input(0), 1, &error));
      const bool scaled = c->Value(c->NumElements(c->input(2))) != 0;
      c->set_output(0, error);
      c->set_output(1, c->Scalar());
      c->set_output(2, scaled ? error : c->Vector(0));
      c->set_output(3, c->Scalar());
      c->set_output(4, c->Vector(c->Dim(error, -1)));
      return absl::OkStatus();
    })
    .Doc(R"(The pairs of a convolution's error [..., C] and of that error times factor [C].

passes: of the error's shape, where the activation's derivative is 1; or empty, for everywhere.
factor: [C], or empty for no second pair.
largest: the largest magnitude of each channel [C], or empty where it is not known.
sums: of the integers of each channel, exact before they are rounded to float32.
salt: the first half of the seed; the second is the bits of the first pair's scale.
mask_first: whether the mask acts before the scale is taken, or on the integers.
)");

// The largest bits of |x| of a pair.
struct Magnitudes {
  uint32_t arrived = 0;  // Of what arrived,
  uint32_t scale = 0;    // and of what is encoded.
};

TFQUANTSEG_VECTORIZED void Measure(const float* error, const float* factor, const uint8_t* passes,
                               int64_t n, Magnitudes* most) {
  uint32_t arrived = most->arrived, scale = most->scale;
  if (passes == nullptr) {
    for (int64_t i = 0; i < n; ++i) arrived = std::max(arrived, MagnitudeBits(error[i] * factor[i]));
    scale = arrived;
  } else {
    for (int64_t i = 0; i < n; ++i) {
      const uint32_t bits = MagnitudeBits(error[i] * factor[i]);
      arrived = std::max(arrived, bits);
      scale = std::max(scale, Masked(bits, passes[i]));
    }
  }
  *most = {arrived, scale};
}

template <typename T>
class EncodeErrorOp : public tensorflow::OpKernel {
 public:
  explicit EncodeErrorOp(OpKernelConstruction* context) : OpKernel(context), grid_(context) {
    OP_REQUIRES_OK(context, context->GetAttr("salt", &salt_));
    OP_REQUIRES_OK(context, context->GetAttr("mask_first", &mask_first_));
  }

  void Compute(OpKernelContext* context) override {
    ErrorJob<T> job;
    ErrorInput& input = job.input;
    OP_REQUIRES_OK(context, ReadError(context, mask_first_, &input));
    const Tensor& error = context->input(0);
    const Tensor& most = context->input(3);
    const bool scaled = input.factor != nullptr;
    const bool masked = input.masked_before != nullptr || input.masked_after != nullptr;
    const int64_t channels = error.dim_size(error.dims() - 1);
    OP_REQUIRES(context, most.NumElements() == 0 || (most.NumElements() == channels && !masked),
                InvalidArgumentError(StrCat("most must have one number for each of ", channels,
                                            " channels of an error that nothing masks, got ",
                                            most.shape().DebugString())));
    Tensor *integers, *step, *scaled_integers, *scaled_step, *sums;
    OP_REQUIRES_OK(context, context->allocate_output(0, error.shape(), &integers));
    OP_REQUIRES_OK(context, context->allocate_output(1, {}, &step));
    OP_REQUIRES_OK(context,
                   context->allocate_output(2, scaled ? error.shape() : tensorflow::TensorShape({0}),
                                            &scaled_integers));
    OP_REQUIRES_OK(context, context->allocate_output(3, {}, &scaled_step));
    OP_REQUIRES_OK(context, context->allocate_output(4, {channels}, &sums));

    const Repeated ones(1.0f);
    const Repeated factors =
        scaled && input.size > 0 ? Repeated(input.factor, channels, 1) : Repeated(1.0f);
    const Repeated* both[] = {&ones, &factors};
    const int pairs = scaled ? 2 : 1;
    Magnitudes measured[2];
    if (most.NumElements() > 0 && input.size > 0) {
      MeasureChannels(most.flat<float>().data(), input.channels, both, pairs, measured);
    } else {
      MeasureAll(context, input, both, pairs, measured);
    }
    const Repeated units[] = {Repeated(grid_.Unit(FloatOf(measured[0].scale))),
                              Repeated(grid_.Unit(FloatOf(measured[1].scale)))};
    const auto step_of = [&](int pair, const float* factor) {
      const bool finite = ErrorIsFinite(input, measured[pair].arrived, factor);
      return StepIf(finite, grid_, *units[pair].At(0));
    };
    step->scalar<float>()() = step_of(0, nullptr);
    scaled_step->scalar<float>()() = scaled ? step_of(1, input.factor) : 0.0f;
    job.grid = &grid_;
    job.philox = PhiloxOfSeed(salt_, static_cast<int32_t>(measured[0].scale));
    job.first = {&ones, {&units[0]}, integers->flat<T>().data()};
    job.second = {&factors, {&units[1]}, scaled ? scaled_integers->flat<T>().data() : nullptr};
    EncodeError(context, job, sums->flat<float>());
  }

 private:
  // The first pass: finds the scales of both pairs.
  static void MeasureAll(OpKernelContext* context, const ErrorInput& input,
                         const Repeated* const* factors, int pairs, Magnitudes* all) {
    std::atomic<uint32_t> arrived[2] = {0, 0}, scale[2] = {0, 0};
    ForRanges(context, input.size, 0.5 * pairs, [&](int64_t start, int64_t end) {
      Magnitudes most[2];
      for (int64_t block = start; block < end; block += kBlock) {
        const uint8_t* passes = input.masked_before ? input.masked_before + block : nullptr;
        for (int pair = 0; pair < pairs; ++pair) {
          Measure(input.values + block, factors[pair]->At(block), passes,
                  std::min(kBlock, end - block), &most[pair]);
        }
      }
      for (int pair = 0; pair < pairs; ++pair) {
        Raise(arrived[pair], most[pair].arrived);
        Raise(scale[pair], most[pair].scale);
      }
    });
    for (int pair = 0; pair < pairs; ++pair) all[pair] = {arrived[pair], scale[pair]};
  }

  // The same from the largest magnitudes of the channels: rounding does not change an order.
  static void MeasureChannels(const float* most, int64_t channels, const Repeated* const* factors,
                              int pairs, Magnitudes* all) {
    for (int pair = 0; pair < pairs; ++pair) {
      for (int64_t c = 0; c < channels; c += kBlock) {
        Measure(most + c, factors[pair]->At(c), nullptr, std::min(kBlock, channels - c),
                &all[pair]);
      }
    }
  }

  ScaledGrid grid_;
  int64_t salt_;
  bool mask_first_;
};

REGISTER_KERNEL_BUILDER(
    Name("TfquantsegEncodeError").Device(tensorflow::DEVICE_CPU).TypeConstraint<int8_t>("T"),
    EncodeErrorOp<int8_t>);
REGISTER_KERNEL_BUILDER(
    Name("TfquantsegEncodeError").Device(tensorflow::DEVICE_CPU).TypeConstraint<float>("T"),
    EncodeErrorOp<float>);

}  // namespace
}  // namespace tfquantseg
