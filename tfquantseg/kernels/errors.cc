// TfquantsegEncodeError: the error of a convolution, masked by its activation's derivative and
// encoded once or, where the kernel has one step a channel, twice. Two passes over memory.

#include <atomic>
#include <mutex>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tfquantseg/kernels/bits.h"
#include "tfquantseg/kernels/blocks.h"
#include "tfquantseg/kernels/grid.h"
#include "tfquantseg/kernels/magnitude.h"

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

// How one of the two pairs is made.
struct Encoding {
  const Repeated* factor;
  float arrived;  // The largest magnitude of what arrived.
  float scale;
  float unit;
};

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

// What one range adds to the channels' sums.
template <typename T>
using Sum = std::conditional_t<std::is_same_v<T, float>, double, int32_t>;

template <typename T>
struct Job {
  const ScaledGrid* grid;
  const float* error;
  const uint8_t* masked_before;  // Or nullptr.
  const uint8_t* masked_after;   // Or nullptr.
  Philox philox;
  Encoding first;
  Encoding second;
  T* integers;
  T* scaled_integers;
  int pairs;  // 1, or 2.
  int64_t channels;
};

template <typename T>
TFQUANTSEG_INLINE void EncodeBlock(const Job<T>& job, const Encoding& encoding,
                                   const uint16_t* draws, int64_t start, int64_t n, T* integers) {
  alignas(64) float steps[kBlock];
  const float* x = job.error + start;
  const float* factor = encoding.factor->At(start);
  const float unit = encoding.unit, divisor = job.grid->divisor;
  if (job.masked_before != nullptr) {
    const uint8_t* passes = job.masked_before + start;
    for (int64_t i = 0; i < n; ++i) {
      steps[i] = Masked(x[i] * factor[i], passes[i]) / unit * divisor;
    }
  } else {
    for (int64_t i = 0; i < n; ++i) steps[i] = x[i] * factor[i] / unit * divisor;
  }
  RoundBlock(job.grid->rounding, steps, draws, job.grid->most, n, integers + start);
  if (job.masked_after != nullptr) {
    const uint8_t* passes = job.masked_after + start;
    for (int64_t i = 0; i < n; ++i) {
      integers[start + i] = Masked(integers[start + i], passes[i]);
    }
  }
}

template <typename T>
TFQUANTSEG_VECTORIZED TFQUANTSEG_INLINE void EncodeBlocks(const Job<T>& job, int64_t start, int64_t end, Sum<T>* sums) {
  alignas(64) uint16_t draws[kBlock];
  for (int64_t block = start; block < end; block += kBlock) {
    const int64_t n = std::min(kBlock, end - block);
    if (job.grid->rounding == Rounding::kStochastic) DrawBlock(job.philox, block, draws);
    EncodeBlock(job, job.first, draws, block, n, job.integers);
    const T* integers = job.integers + block;
    Sum<T>* sum = sums + block % job.channels;
    for (int64_t i = 0; i < n; ++i) sum[i] += static_cast<Sum<T>>(integers[i]);
    if (job.pairs == 2) {
      EncodeBlock(job, job.second, draws, block, n, job.scaled_integers);
    }
  }
}

TFQUANTSEG_VECTORIZED void EncodeRange(const Job<int8_t>& job, int64_t start, int64_t end,
                                   int32_t* sums) {
  EncodeBlocks(job, start, end, sums);
}

TFQUANTSEG_VECTORIZED void EncodeRange(const Job<float>& job, int64_t start, int64_t end,
                                   double* sums) {
  EncodeBlocks(job, start, end, sums);
}

template <typename T>
class EncodeErrorOp : public tensorflow::OpKernel {
 public:
  explicit EncodeErrorOp(OpKernelConstruction* context) : OpKernel(context), grid_(context) {
    OP_REQUIRES_OK(context, context->GetAttr("salt", &salt_));
    OP_REQUIRES_OK(context, context->GetAttr("mask_first", &mask_first_));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& error = context->input(0);
    const Tensor& passes = context->input(1);
    const Tensor& factor = context->input(2);
    OP_REQUIRES(context, error.dims() > 0, InvalidArgumentError("an error has channels, got a scalar"));
    const int64_t size = error.NumElements(), channels = error.dim_size(error.dims() - 1);
    const bool masked = passes.NumElements() > 0, scaled = factor.NumElements() > 0;
    OP_REQUIRES(context, !masked || passes.shape() == error.shape(),
                InvalidArgumentError(StrCat("passes must have the error's shape ",
                                            error.shape().DebugString(), ", got ",
                                            passes.shape().DebugString())));
    OP_REQUIRES(context, !scaled || (factor.dims() == 1 && factor.dim_size(0) == channels),
                InvalidArgumentError(StrCat("factor must have one number for each of ", channels,
                                            " channels, got ", factor.shape().DebugString())));
    const Tensor& most = context->input(3);
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
    const Repeated factors = scaled && size > 0
                                 ? Repeated(factor.flat<float>().data(), channels, 1)
                                 : Repeated(1.0f);
    Job<T> job;
    job.grid = &grid_;
    job.error = error.flat<float>().data();
    const uint8_t* mask = masked ? reinterpret_cast<const uint8_t*>(passes.flat<bool>().data()) : nullptr;
    job.masked_before = mask_first_ ? mask : nullptr;
    job.masked_after = mask_first_ ? nullptr : mask;
    job.first.factor = &ones;
    job.second.factor = &factors;
    job.integers = integers->flat<T>().data();
    job.scaled_integers = scaled_integers->flat<T>().data();
    job.pairs = scaled ? 2 : 1;
    job.channels = std::max<int64_t>(channels, 1);

    if (most.NumElements() > 0 && size > 0) {
      SetKnownScales(most.flat<float>().data(), &job);
    } else {
      SetScales(context, size, &job);
    }
    step->scalar<float>()() = StepOf(job, job.first, size);
    scaled_step->scalar<float>()() = scaled ? StepOf(job, job.second, size) : 0.0f;
    job.philox = PhiloxOfSeed(salt_, static_cast<int32_t>(BitsOf(job.first.scale)));
    Encode(context, job, size, sums->flat<float>());
  }

 private:
  // The first pass: finds the scale and the unit of both pairs.
  void SetScales(OpKernelContext* context, int64_t size, Job<T>* job) const {
    std::atomic<uint32_t> arrived[2] = {0, 0}, scale[2] = {0, 0};
    Encoding* encodings[2] = {&job->first, &job->second};
    const int pairs = job->pairs;
    ForRanges(context, size, 0.5 * pairs, [&](int64_t start, int64_t end) {
      Magnitudes most[2];
      for (int64_t block = start; block < end; block += kBlock) {
        const uint8_t* passes = job->masked_before ? job->masked_before + block : nullptr;
        for (int pair = 0; pair < pairs; ++pair) {
          Measure(job->error + block, encodings[pair]->factor->At(block), passes,
                  std::min(kBlock, end - block), &most[pair]);
        }
      }
      for (int pair = 0; pair < pairs; ++pair) {
        Raise(arrived[pair], most[pair].arrived);
        Raise(scale[pair], most[pair].scale);
      }
    });
    for (int pair = 0; pair < pairs; ++pair) {
      encodings[pair]->arrived = FloatOf(arrived[pair]);
      encodings[pair]->scale = FloatOf(scale[pair]);
      encodings[pair]->unit = grid_.Unit(encodings[pair]->scale);
    }
  }

  // The same from the largest magnitudes of the channels: rounding does not change an order.
  void SetKnownScales(const float* most, Job<T>* job) const {
    for (Encoding* encoding : {&job->first, &job->second}) {
      Magnitudes largest;
      for (int64_t c = 0; c < job->channels; c += kBlock) {
        Measure(most + c, encoding->factor->At(c), nullptr, std::min(kBlock, job->channels - c),
                &largest);
      }
      encoding->arrived = encoding->scale = FloatOf(largest.scale);
      encoding->unit = grid_.Unit(encoding->scale);
    }
  }

  // The step of a pair, NaN if the sum of what arrived is not finite.
  float StepOf(const Job<T>& job, const Encoding& encoding, int64_t size) const {
    const bool finite = SumIsFinite(encoding.arrived, size, [&](int64_t i) {
      return job.error[i] * *encoding.factor->At(i);
    });
    return finite ? grid_.Step(encoding.unit) : std::numeric_limits<float>::quiet_NaN();
  }

  // The second pass: writes the integers of both pairs, and the sums.
  void Encode(OpKernelContext* context, const Job<T>& job, int64_t size,
              tensorflow::TTypes<float>::Flat sums) const {
    std::mutex mutex;
    std::vector<double> totals(job.channels);
    ForRanges(context, size, 3, [&](int64_t start, int64_t end) {
      std::vector<Sum<T>> of_range(job.channels + kBlock);
      EncodeRange(job, start, end, of_range.data());
      std::lock_guard<std::mutex> lock(mutex);
      for (size_t i = 0; i < of_range.size(); ++i) totals[i % job.channels] += of_range[i];
    });
    for (int64_t c = 0; c < sums.size(); ++c) sums(c) = static_cast<float>(totals[c]);
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
