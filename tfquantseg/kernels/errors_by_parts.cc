// TfquantsegEncodeErrorByParts: the error of a convolution with a step a channel, and once more, times
// a factor a channel, with a step a position, an image, or one. Two passes over memory.

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

// What one range adds to the channels' sums.
template <typename T>
using Sum = std::conditional_t<std::is_same_v<T, float>, double, int32_t>;

// The error, and what acts on it. A row is the channels of one position.
struct Rows {
  const float* error;
  const float* factor;           // Or nullptr.
  const uint8_t* masked_before;  // Or nullptr.
  const uint8_t* masked_after;   // Or nullptr.
  int64_t channels;
};

// The largest bits of |x|: of each channel as it is encoded, and of what arrived.
struct Magnitudes {
  explicit Magnitudes(int64_t channels) : of_channel(channels) {}
  std::vector<uint32_t> of_channel;
  uint32_t arrived = 0;
  uint32_t arrived_scaled = 0;
};

// Measures a row. Returns the largest bits of it times the factor.
TFQUANTSEG_VECTORIZED uint32_t MeasureRow(const Rows& rows, int64_t row, Magnitudes* most) {
  const int64_t n = rows.channels;
  const float* x = rows.error + row * n;
  const uint8_t* passes = rows.masked_before == nullptr ? nullptr : rows.masked_before + row * n;
  uint32_t* of_channel = most->of_channel.data();
  uint32_t arrived = most->arrived, arrived_scaled = most->arrived_scaled, largest = 0;
  for (int64_t c = 0; c < n; ++c) {
    const uint32_t bits = MagnitudeBits(x[c]);
    arrived = std::max(arrived, bits);
    of_channel[c] = std::max(of_channel[c], passes == nullptr ? bits : Masked(bits, passes[c]));
  }
  if (rows.factor != nullptr) {
    for (int64_t c = 0; c < n; ++c) {
      const uint32_t bits = MagnitudeBits(x[c] * rows.factor[c]);
      arrived_scaled = std::max(arrived_scaled, bits);
      largest = std::max(largest, passes == nullptr ? bits : Masked(bits, passes[c]));
    }
  }
  most->arrived = arrived;
  most->arrived_scaled = arrived_scaled;
  return largest;
}

// Encodes a block: element i of it is x * factor in units of unit.
template <typename T>
TFQUANTSEG_INLINE void EncodeBlock(const Rows& rows, const ScaledGrid& grid, const float* factor,
                                   const float* unit, const uint16_t* draws, int64_t start,
                                   int64_t n, T* integers) {
  alignas(64) float steps[kBlock];
  const float* x = rows.error + start;
  const float divisor = grid.divisor;
  if (rows.masked_before != nullptr) {
    const uint8_t* passes = rows.masked_before + start;
    for (int64_t i = 0; i < n; ++i) {
      steps[i] = Masked(x[i] * factor[i], passes[i]) / unit[i] * divisor;
    }
  } else {
    for (int64_t i = 0; i < n; ++i) steps[i] = x[i] * factor[i] / unit[i] * divisor;
  }
  RoundBlock(grid.rounding, steps, draws, grid.most, n, integers + start);
  if (rows.masked_after != nullptr) {
    const uint8_t* passes = rows.masked_after + start;
    for (int64_t i = 0; i < n; ++i) {
      integers[start + i] = Masked(integers[start + i], passes[i]);
    }
  }
}

template <typename T>
struct Job {
  const ScaledGrid* grid;
  Rows rows;
  Philox philox;
  const Repeated* ones;
  const Repeated* factors;
  const Repeated* units;       // Of the first pair, one a channel.
  const float* units_of_rows;  // Of the second pair, one a row.
  T* integers;
  T* scaled_integers;
};

// Writes the unit of each element of a block.
TFQUANTSEG_INLINE void SpreadRows(const float* of_rows, int64_t channels, int64_t start, int64_t n,
                                  float* units) {
  for (int64_t i = 0; i < n;) {
    const int64_t row = (start + i) / channels;
    const int64_t end = std::min(n, (row + 1) * channels - start);
    for (; i < end; ++i) units[i] = of_rows[row];
  }
}

template <typename T>
TFQUANTSEG_VECTORIZED TFQUANTSEG_INLINE void EncodeBlocks(const Job<T>& job, int64_t start,
                                                          int64_t end, Sum<T>* sums) {
  alignas(64) uint16_t draws[kBlock];
  alignas(64) float units[kBlock];
  const int64_t channels = job.rows.channels;
  for (int64_t block = start; block < end; block += kBlock) {
    const int64_t n = std::min(kBlock, end - block);
    if (job.grid->rounding == Rounding::kStochastic) DrawBlock(job.philox, block, draws);
    EncodeBlock(job.rows, *job.grid, job.ones->At(block), job.units->At(block), draws, block, n,
                job.integers);
    const T* integers = job.integers + block;
    Sum<T>* sum = sums + block % channels;
    for (int64_t i = 0; i < n; ++i) sum[i] += static_cast<Sum<T>>(integers[i]);
    if (job.scaled_integers != nullptr) {
      SpreadRows(job.units_of_rows, channels, block, n, units);
      EncodeBlock(job.rows, *job.grid, job.factors->At(block), units, draws, block, n,
                  job.scaled_integers);
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
class EncodeErrorByPartsOp : public tensorflow::OpKernel {
 public:
  explicit EncodeErrorByPartsOp(OpKernelConstruction* context) : OpKernel(context), grid_(context) {
    OP_REQUIRES_OK(context, context->GetAttr("salt", &salt_));
    OP_REQUIRES_OK(context, context->GetAttr("mask_first", &mask_first_));
    OP_REQUIRES_OK(context, context->GetAttr("scaled_per", &scaled_per_));
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
    Tensor *integers, *steps, *scaled_integers, *scaled_steps, *sums;
    const TensorShape none({0});
    OP_REQUIRES_OK(context, context->allocate_output(0, error.shape(), &integers));
    OP_REQUIRES_OK(context, context->allocate_output(1, {channels}, &steps));
    OP_REQUIRES_OK(context,
                   context->allocate_output(2, scaled ? error.shape() : none, &scaled_integers));
    OP_REQUIRES_OK(context, context->allocate_output(
                                3, scaled ? ShapeOfSteps(error.shape()) : none, &scaled_steps));
    OP_REQUIRES_OK(context, context->allocate_output(4, {channels}, &sums));

    const uint8_t* mask = masked ? reinterpret_cast<const uint8_t*>(passes.flat<bool>().data()) : nullptr;
    Job<T> job;
    job.grid = &grid_;
    job.rows.error = error.flat<float>().data();
    job.rows.factor = scaled ? factor.flat<float>().data() : nullptr;
    job.rows.masked_before = mask_first_ ? mask : nullptr;
    job.rows.masked_after = mask_first_ ? nullptr : mask;
    job.rows.channels = std::max<int64_t>(channels, 1);
    job.integers = integers->flat<T>().data();
    job.scaled_integers = scaled ? scaled_integers->flat<T>().data() : nullptr;

    std::vector<float> of_rows(scaled ? size / job.rows.channels : 0);
    const Magnitudes most = Measure(context, job.rows, size, of_rows.data());
    std::vector<float> units(job.rows.channels);
    uint32_t largest = 0;
    const bool finite = IsFinite(job.rows, most.arrived, size, nullptr);
    for (int64_t c = 0; c < channels; ++c) {
      largest = std::max(largest, most.of_channel[c]);
      units[c] = grid_.Unit(FloatOf(most.of_channel[c]));
      steps->flat<float>()(c) = Step(units[c], finite);
    }
    const bool scaled_finite = IsFinite(job.rows, most.arrived_scaled, size, job.rows.factor);
    UnitsOfParts(scaled_finite, &of_rows, scaled_steps->flat<float>());

    const Repeated ones(1.0f);
    const Repeated of_channels(units.data(), job.rows.channels, 1);
    const Repeated factors = scaled ? Repeated(job.rows.factor, channels, 1) : Repeated(1.0f);
    job.ones = &ones;
    job.factors = &factors;
    job.units = &of_channels;
    job.units_of_rows = of_rows.data();
    job.philox = PhiloxOfSeed(salt_, static_cast<int32_t>(largest));
    Encode(context, job, size, sums->flat<float>());
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

  // The first pass: the largest magnitudes of the channels, and of the scaled rows.
  Magnitudes Measure(OpKernelContext* context, const Rows& rows, int64_t size,
                     float* of_rows) const {
    std::mutex mutex;
    Magnitudes all(rows.channels);
    const int64_t grain = std::max<int64_t>(kBlock / rows.channels, 1);
    const auto measure = [&](int64_t start, int64_t end) {
      Magnitudes most(rows.channels);
      for (int64_t row = start; row < end; ++row) {
        const uint32_t largest = MeasureRow(rows, row, &most);
        if (rows.factor != nullptr) of_rows[row] = FloatOf(largest);
      }
      std::lock_guard<std::mutex> lock(mutex);
      all.arrived = std::max(all.arrived, most.arrived);
      all.arrived_scaled = std::max(all.arrived_scaled, most.arrived_scaled);
      for (int64_t c = 0; c < rows.channels; ++c) {
        all.of_channel[c] = std::max(all.of_channel[c], most.of_channel[c]);
      }
    };
    ForRanges(context, size / rows.channels, 0.7 * rows.channels, measure, grain);
    return all;
  }

  static bool IsFinite(const Rows& rows, uint32_t arrived, int64_t size, const float* factor) {
    return SumIsFinite(FloatOf(arrived), size, [&](int64_t i) {
      return factor == nullptr ? rows.error[i] : rows.error[i] * factor[i % rows.channels];
    });
  }

  // Makes of the rows' scales the units of the parts that they lie in, and the parts' steps.
  void UnitsOfParts(bool finite, std::vector<float>* of_rows,
                    tensorflow::TTypes<float>::Flat steps) const {
    const int64_t parts = steps.size(), length = parts == 0 ? 0 : of_rows->size() / parts;
    for (int64_t part = 0; part < parts; ++part) {
      float* first = of_rows->data() + part * length;
      const float unit = grid_.Unit(length == 0 ? 0.0f : *std::max_element(first, first + length));
      std::fill(first, first + length, unit);
      steps(part) = Step(unit, finite);
    }
  }

  float Step(float unit, bool finite) const {
    return finite ? grid_.Step(unit) : std::numeric_limits<float>::quiet_NaN();
  }

  // The second pass: writes the integers of both pairs, and the sums.
  void Encode(OpKernelContext* context, const Job<T>& job, int64_t size,
              tensorflow::TTypes<float>::Flat sums) const {
    std::mutex mutex;
    std::vector<double> totals(job.rows.channels);
    ForRanges(context, size, 3, [&](int64_t start, int64_t end) {
      std::vector<Sum<T>> of_range(job.rows.channels + kBlock);
      EncodeRange(job, start, end, of_range.data());
      std::lock_guard<std::mutex> lock(mutex);
      for (size_t i = 0; i < of_range.size(); ++i) totals[i % job.rows.channels] += of_range[i];
    });
    for (int64_t c = 0; c < sums.size(); ++c) sums(c) = static_cast<float>(totals[c]);
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
