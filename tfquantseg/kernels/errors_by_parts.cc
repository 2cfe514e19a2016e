// TfquantsegEncodeErrorByParts: the error of a convolution with a step a channel, and once more, times
// a factor a channel, with a step a position, an image, or one. Two passes over memory.

#include <algorithm>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tfquantseg/kernels/error_blocks.h"

namespace tfquantseg {
namespace {

using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;

REGISTER_OP("TfquantsegEncodeErrorByParts")
    .Input("error: float")
    .Input("passes: bool")
    .Input("factor: float")
    .Output("integers: T")
    .Output("steps: float")
    .Output("scaled_integers: T")
    .Output("scaled_steps: float")
    .Output("sums: float")
    .Attr("T: {int8, float}")
    .Attr("salt: int")
    .Attr("mask_first: bool")
    .Attr("scaled_per: {'tensor', 'position', 'image'}")
    .TFQUANTSEG_SCALED_GRID_ATTRIBUTES
    .SetShapeFn([](tensorflow::shape_inference::InferenceContext* c) {
      tensorflow::shape_inference::ShapeHandle error, steps;
      TF_RETURN_IF_ERROR(c->WithRankAtLeast(c->input(0), 1, &error));
      const bool scaled = c->Value(c->NumElements(c->input(2))) != 0;
      std::string per;
      TF_RETURN_IF_ERROR(c->GetAttr("scaled_per", &per));
      c->set_output(0, error);
      c->set_output(1, c->Vector(c->Dim(error, -1)));
      c->set_output(2, scaled ? error : c->Vector(0));
      c->set_output(4, c->Vector(c->Dim(error, -1)));
      if (!scaled) {
        c->set_output(3, c->Vector(0));
      } else if (per == "tensor") {
        c->set_output(3, c->Scalar());
      } else if (!c->RankKnown(error)) {
        c->set_output(3, c->UnknownShape());
      } else {
        const int rank = c->Rank(error);
        std::vector<tensorflow::shape_inference::DimensionHandle> sides;
        for (int axis = 0; axis < rank; ++axis) {
          const bool kept = per == "position" ? axis < rank - 1 : axis == 0;
          sides.push_back(kept ? c->Dim(error, axis) : c->MakeDim(1));
        }
        c->set_output(3, c->MakeShape(sides));
      }
      return absl::OkStatus();
    })
    .Doc(R"(The pairs of a convolution's error [N, ..., C] and of that error times factor [C].

passes: of the error's shape, where the activation's derivative is 1; or empty, for everywhere.
factor: [C], or empty for no second pair.
steps: of the first pair, [C].
scaled_steps: of the second pair: a scalar, [N, ..., 1] of positions, [N, 1, ..., 1] of images; or empty.
sums: of the first pair's integers of each channel, exact before they are rounded to float32.
salt: the first half of the seed; the second is the bits of the error's largest magnitude.
mask_first: whether the mask acts before the scales are taken, or on the integers.
)");

// The largest bits of |x|: of each channel as it is encoded, and of what arrived.
struct Magnitudes {
  explicit Magnitudes(int64_t channels) : of_channel(channels) {}
  std::vector<uint32_t> of_channel;
  uint32_t arrived = 0;
  uint32_t arrived_scaled = 0;
};

// Measures the channels of a position. Returns the largest bits of them times the factor.
TFQUANTSEG_VECTORIZED uint32_t MeasurePosition(const ErrorInput& input, int64_t position,
                                               Magnitudes* most) {
  const int64_t n = input.channels, start = position * n;
  const float* x = input.values + start;
  const float* factor = input.factor;
  const uint8_t* passes = input.masked_before == nullptr ? nullptr : input.masked_before + start;
  uint32_t* of_channel = most->of_channel.data();
  uint32_t arrived = most->arrived, arrived_scaled = most->arrived_scaled, largest = 0;
  for (int64_t c = 0; c < n; ++c) {
    const uint32_t bits = MagnitudeBits(x[c]);
    arrived = std::max(arrived, bits);
    of_channel[c] = std::max(of_channel[c], passes == nullptr ? bits : Masked(bits, passes[c]));
  }
  for (int64_t c = 0; factor != nullptr && c < n; ++c) {
    const uint32_t bits = MagnitudeBits(x[c] * factor[c]);
    arrived_scaled = std::max(arrived_scaled, bits);
    largest = std::max(largest, passes == nullptr ? bits : Masked(bits, passes[c]));
  }
  most->arrived = arrived;
  most->arrived_scaled = arrived_scaled;
  return largest;
}

template <typename T>
class EncodeErrorByPartsOp : public tensorflow::OpKernel {
 public:
  explicit EncodeErrorByPartsOp(OpKernelConstruction* context) : OpKernel(context), grid_(context) {
    OP_REQUIRES_OK(context, context->GetAttr("salt", &salt_));
    OP_REQUIRES_OK(context, context->GetAttr("mask_first", &mask_first_));
    OP_REQUIRES_OK(context, context->GetAttr("scaled_per", &scaled_per_));
  }

  void Compute(OpKernelContext* context) override {
    ErrorJob<T> job;
    const ErrorInput& input = job.input;
    OP_REQUIRES_OK(context, ReadError(context, mask_first_, &job.input));
    const TensorShape& shape = context->input(0).shape();
    const TensorShape none({0});
    const bool scaled = input.factor != nullptr;
    const int64_t channels = shape.dim_size(shape.dims() - 1);
    Tensor *integers, *steps, *scaled_integers, *scaled_steps, *sums;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &integers));
    OP_REQUIRES_OK(context, context->allocate_output(1, {channels}, &steps));
    OP_REQUIRES_OK(context, context->allocate_output(2, scaled ? shape : none, &scaled_integers));
    OP_REQUIRES_OK(context, context->allocate_output(3, scaled ? ShapeOfSteps(shape) : none,
                                                     &scaled_steps));
    OP_REQUIRES_OK(context, context->allocate_output(4, {channels}, &sums));

    std::vector<float> of_positions(scaled ? input.size / input.channels : 0);
    const Magnitudes most = Measure(context, input, of_positions.data());
    uint32_t largest = 0;
    std::vector<float> units(input.channels);
    const bool finite = ErrorIsFinite(input, most.arrived, nullptr);
    for (int64_t c = 0; c < channels; ++c) {
      largest = std::max(largest, most.of_channel[c]);
      units[c] = grid_.Unit(FloatOf(most.of_channel[c]));
      steps->flat<float>()(c) = StepIf(finite, grid_, units[c]);
    }
    const bool scaled_finite = ErrorIsFinite(input, most.arrived_scaled, input.factor);
    UnitsOfParts(scaled_finite, &of_positions, scaled_steps->flat<float>());

    const Repeated ones(1.0f);
    const Repeated of_channels(units.data(), input.channels, 1);
    const Repeated factors = scaled ? Repeated(input.factor, channels, 1) : Repeated(1.0f);
    job.grid = &grid_;
    job.philox = PhiloxOfSeed(salt_, static_cast<int32_t>(largest));
    job.first = {&ones, {&of_channels}, integers->flat<T>().data()};
    if (scaled) {
      job.second = {&factors, {nullptr, of_positions.data()}, scaled_integers->flat<T>().data()};
    }
    EncodeError(context, job, sums->flat<float>());
  }

 private:
  TensorShape ShapeOfSteps(const TensorShape& error) const {
    TensorShape shape;
    if (scaled_per_ == "tensor") return shape;
    for (int axis = 0; axis < error.dims(); ++axis) {
      const bool kept = scaled_per_ == "position" ? axis < error.dims() - 1 : axis == 0;
      shape.AddDim(kept ? error.dim_size(axis) : 1);
    }
    return shape;
  }

  // The first pass: the largest magnitudes of the channels, and of the scaled positions.
  static Magnitudes Measure(OpKernelContext* context, const ErrorInput& input,
                            float* of_positions) {
    std::mutex mutex;
    const int64_t channels = input.channels;
    Magnitudes all(channels);
    const auto measure = [&](int64_t start, int64_t end) {
      Magnitudes most(channels);
      for (int64_t position = start; position < end; ++position) {
        const uint32_t largest = MeasurePosition(input, position, &most);
        if (input.factor != nullptr) of_positions[position] = FloatOf(largest);
      }
      std::lock_guard<std::mutex> lock(mutex);
      all.arrived = std::max(all.arrived, most.arrived);
      all.arrived_scaled = std::max(all.arrived_scaled, most.arrived_scaled);
      for (int64_t c = 0; c < channels; ++c) {
        all.of_channel[c] = std::max(all.of_channel[c], most.of_channel[c]);
      }
    };
    ForRanges(context, input.size / channels, 0.7 * channels, measure,
              std::max<int64_t>(kBlock / channels, 1));
    return all;
  }

  // Makes of the positions' scales the units of the parts that they lie in, and the parts' steps.
  void UnitsOfParts(bool finite, std::vector<float>* of_positions,
                    tensorflow::TTypes<float>::Flat steps) const {
    const int64_t parts = steps.size(), length = parts == 0 ? 0 : of_positions->size() / parts;
    for (int64_t part = 0; part < parts; ++part) {
      float* first = of_positions->data() + part * length;
      const float unit = grid_.Unit(length == 0 ? 0.0f : *std::max_element(first, first + length));
      std::fill(first, first + length, unit);
      steps(part) = StepIf(finite, grid_, unit);
    }
  }

  ScaledGrid grid_;
  int64_t salt_;
  bool mask_first_;
  std::string scaled_per_;
};

REGISTER_KERNEL_BUILDER(
    Name("TfquantsegEncodeErrorByParts").Device(tensorflow::DEVICE_CPU).TypeConstraint<int8_t>("T"),
    EncodeErrorByPartsOp<int8_t>);
REGISTER_KERNEL_BUILDER(
    Name("TfquantsegEncodeErrorByParts").Device(tensorflow::DEVICE_CPU).TypeConstraint<float>("T"),
    EncodeErrorByPartsOp<float>);

}  // namespace
}  // namespace tfquantseg
