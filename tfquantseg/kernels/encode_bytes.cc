// TfquantsegEncodeBytes: the integers of an activation as the convolution that reads them wants them,
// and where batch norm made it, with its normalization and ReLU in the same pass.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "absl/status/status.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tfquantseg/kernels/bits.h"
#include "tfquantseg/kernels/blocks.h"
#include "tfquantseg/kernels/grid.h"
#include "tfquantseg/kernels/magnitude.h"
#include "tfquantseg/kernels/normalize.h"

namespace tfquantseg {
namespace {

using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;

REGISTER_OP("TfquantsegEncodeBytes")
    .Input("x: float")
    .Input("mu: float")
    .Input("deviation: float")
    .Input("gamma: float")
    .Input("beta: float")
    .Input("scale: float")
    .Output("integers: int8")
    .Output("one: float")
    .Attr("relu: bool")
    .TFQUANTSEG_SCALED_GRID_ATTRIBUTES
    .SetShapeFn([](tensorflow::shape_inference::InferenceContext* c) {
      c->set_output(0, c->input(0));
      c->set_output(1, c->Scalar());
      return absl::OkStatus();
    })
    .Doc(R"(The integers of y, or of max(y, 0), on a grid of this scale that is not stochastic.

y is (x - mu) / deviation * gamma + beta, all of the last axis; or x, where these four are empty.
one: 1, or NaN if any integer would be NaN.
)");

struct Job {
  const ScaledGrid* grid;
  float unit;
  bool normalizes;
  bool relu;
  const Normalization* normalization;
  const float* x;
  int8_t* integers;
};

// Returns the bits of the largest magnitude in steps.
TFQUANTSEG_VECTORIZED uint32_t EncodeRange(const Job& job, int64_t start, int64_t end) {
  alignas(64) float y[kBlock];
  uint32_t most = 0;
  const float unit = job.unit, divisor = job.grid->divisor;
  for (int64_t block = start; block < end; block += kBlock) {
    const int64_t n = std::min(kBlock, end - block);
    if (job.normalizes) {
      NormalizeBlock(*job.normalization, job.x + block, block, n, y);
    } else {
      std::copy_n(job.x + block, n, y);
    }
    if (job.relu) {
      for (int64_t i = 0; i < n; ++i) y[i] = y[i] < 0 ? 0.0f : y[i];
    }
    for (int64_t i = 0; i < n; ++i) y[i] = y[i] / unit * divisor;
    for (int64_t i = 0; i < n; ++i) most = std::max(most, MagnitudeBits(y[i]));
    RoundBlock(job.grid->rounding, y, nullptr, job.grid->most, n, job.integers + block);
  }
  return most;
}

class EncodeBytesOp : public tensorflow::OpKernel {
 public:
  explicit EncodeBytesOp(OpKernelConstruction* context) : OpKernel(context), grid_(context) {
    OP_REQUIRES_OK(context, context->GetAttr("relu", &relu_));
    OP_REQUIRES(context, grid_.rounding != Rounding::kStochastic && grid_.most <= 127,
                absl::InvalidArgumentError("int8 holds integers to 127, of a grid without draws"));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& x = context->input(0);
    const bool normalizes = context->input(1).NumElements() > 0;
    OP_REQUIRES(context, !normalizes || HaveChannels(context, 1, 5),
                absl::InvalidArgumentError(kNoChannels));
    Tensor *integers, *one;
    OP_REQUIRES_OK(context, context->allocate_output(0, x.shape(), &integers));
    OP_REQUIRES_OK(context, context->allocate_output(1, {}, &one));
    one->scalar<float>()() = 1;
    if (x.NumElements() == 0) return;
    const Normalization normalization(context, 1);
    Job job;
    job.grid = &grid_;
    job.unit = grid_.Unit(context->input(5).scalar<float>()());
    job.normalizes = normalizes;
    job.relu = relu_;
    job.normalization = &normalization;
    job.x = x.flat<float>().data();
    job.integers = integers->flat<int8_t>().data();
    std::atomic<uint32_t> most{0};
    ForRanges(context, x.NumElements(), 3, [&](int64_t start, int64_t end) {
      Raise(most, EncodeRange(job, start, end));
    });
    if (std::isnan(FloatOf(most))) {
      one->scalar<float>()() = std::numeric_limits<float>::quiet_NaN();
    }
  }

 private:
  ScaledGrid grid_;
  bool relu_;
};

REGISTER_KERNEL_BUILDER(Name("TfquantsegEncodeBytes").Device(tensorflow::DEVICE_CPU),
                        EncodeBytesOp);

}  // namespace
}  // namespace tfquantseg
