// TfquantsegChannelStatistics, TfquantsegChannelMeans, TfquantsegNormalize and
// TfquantsegNormalizeGradient: batch norm in three passes forward and two backward, as
// numerics/batch_norm.py writes it out.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <type_traits>

#include "absl/status/status.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tfquantseg/kernels/bits.h"
#include "tfquantseg/kernels/blocks.h"
#include "tfquantseg/kernels/channel_sums.h"
#include "tfquantseg/kernels/cpu.h"
#include "tfquantseg/kernels/magnitude.h"
#include "tfquantseg/kernels/normalize.h"

namespace tfquantseg {
namespace {

using absl::InvalidArgumentError;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

enum class Norm { kL1, kL2, kFrozen };

TFQUANTSEG_INLINE float Sign(float x) { return x > 0 ? 1.0f : x < 0 ? -1.0f : 0.0f * x; }

REGISTER_OP("TfquantsegChannelStatistics")
    .Input("x: float")
    .Output("means: float")
    .Output("least: float")
    .Output("most: float")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle x;
      TF_RETURN_IF_ERROR(c->WithRankAtLeast(c->input(0), 1, &x));
      for (int i = 0; i < 3; ++i) c->set_output(i, c->Vector(c->Dim(x, -1)));
      return absl::OkStatus();
    })
    .Doc(R"(The mean, the least and the largest value of each channel, the last axis.

A NaN makes the mean NaN, and is left out of the others.
)");

TFQUANTSEG_VECTORIZED void AddValues(const float* x, int64_t n, float* sums, float* most,
                                     float* most_negative) {
  for (int64_t i = 0; i < n; ++i) sums[i] += x[i];
  for (int64_t i = 0; i < n; ++i) most[i] = x[i] > most[i] ? x[i] : most[i];
  for (int64_t i = 0; i < n; ++i) most_negative[i] = -x[i] > most_negative[i] ? -x[i] : most_negative[i];
}

class ChannelStatisticsOp : public tensorflow::OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    const Tensor& input = context->input(0);
    OP_REQUIRES(context, input.dims() > 0, InvalidArgumentError("x has no channels"));
    const auto x = input.flat<float>();
    const int64_t channels = input.dim_size(input.dims() - 1);
    Tensor *means, *least, *most;
    OP_REQUIRES_OK(context, context->allocate_output(0, {channels}, &means));
    OP_REQUIRES_OK(context, context->allocate_output(1, {channels}, &least));
    OP_REQUIRES_OK(context, context->allocate_output(2, {channels}, &most));
    if (channels == 0) return;
    const auto reduced = ReduceChannels<1, 2>(
        context, x.size(), channels, 1, [&](int64_t start, int64_t n, const Places<1, 2>& places) {
          AddValues(x.data() + start, n, places.sums[0], places.maxima[0], places.maxima[1]);
        });
    const double pixels = static_cast<double>(x.size() / channels);
    for (int64_t c = 0; c < channels; ++c) {
      means->flat<float>()(c) = static_cast<float>(reduced.sums[0][c] / pixels);
      least->flat<float>()(c) = -reduced.maxima[1][c];
      most->flat<float>()(c) = reduced.maxima[0][c];
    }
  }
};

REGISTER_KERNEL_BUILDER(Name("TfquantsegChannelStatistics").Device(tensorflow::DEVICE_CPU),
                        ChannelStatisticsOp);

REGISTER_OP("TfquantsegChannelMeans")
    .Input("x: float")
    .Input("centre: float")
    .Output("means: float")
    .Attr("of: {'magnitude', 'square'}")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle x;
      TF_RETURN_IF_ERROR(c->WithRankAtLeast(c->input(0), 1, &x));
      c->set_output(0, c->Vector(c->Dim(x, -1)));
      return absl::OkStatus();
    })
    .Doc("The means of the magnitude, or the square, of x - centre [C] over all axes but the last.");

TFQUANTSEG_VECTORIZED void AddMagnitudes(const float* x, const float* centre, int64_t n,
                                         float* sums) {
  for (int64_t i = 0; i < n; ++i) sums[i] += std::fabs(x[i] - centre[i]);
}

TFQUANTSEG_VECTORIZED void AddSquares(const float* x, const float* centre, int64_t n, float* sums) {
  for (int64_t i = 0; i < n; ++i) sums[i] += (x[i] - centre[i]) * (x[i] - centre[i]);
}

class ChannelMeansOp : public tensorflow::OpKernel {
 public:
  explicit ChannelMeansOp(OpKernelConstruction* context) : OpKernel(context) {
    std::string of;
    OP_REQUIRES_OK(context, context->GetAttr("of", &of));
    add_ = of == "magnitude" ? AddMagnitudes : AddSquares;
  }

  void Compute(OpKernelContext* context) override {
    OP_REQUIRES(context, HaveChannels(context, 1, 2), InvalidArgumentError(kNoChannels));
    const auto x = context->input(0).flat<float>();
    const int64_t channels = context->input(1).NumElements();
    Tensor* means;
    OP_REQUIRES_OK(context, context->allocate_output(0, {channels}, &means));
    if (channels == 0) return;
    const Repeated centre = OfChannels(context->input(1));
    const auto reduced = ReduceChannels<1, 0>(
        context, x.size(), channels, 0.5,
        [&](int64_t start, int64_t n, const Places<1, 0>& places) {
          add_(x.data() + start, centre.At(start), n, places.sums[0]);
        });
    const double pixels = static_cast<double>(x.size() / channels);
    for (int64_t c = 0; c < channels; ++c) {
      means->flat<float>()(c) = static_cast<float>(reduced.sums[0][c] / pixels);
    }
  }

 private:
  void (*add_)(const float*, const float*, int64_t, float*);
};

REGISTER_KERNEL_BUILDER(Name("TfquantsegChannelMeans").Device(tensorflow::DEVICE_CPU),
                        ChannelMeansOp);

REGISTER_OP("TfquantsegNormalize")
    .Input("x: float")
    .Input("mu: float")
    .Input("divisor: float")
    .Input("gamma: float")
    .Input("beta: float")
    .Output("y: float")
    .SetShapeFn(tensorflow::shape_inference::UnchangedShape)
    .Doc("(x - mu) / divisor * gamma + beta, all of the last axis.");

TFQUANTSEG_VECTORIZED void NormalizeRange(const Normalization& normalization, const float* x,
                                          int64_t start, int64_t end, float* y) {
  for (int64_t i = start; i < end; i += kBlock) {
    NormalizeBlock(normalization, x + i, i, std::min(kBlock, end - i), y + i);
  }
}

class NormalizeOp : public tensorflow::OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    OP_REQUIRES(context, HaveChannels(context, 1, 5), InvalidArgumentError(kNoChannels));
    const auto x = context->input(0).flat<float>();
    Tensor* y;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output(
                                {0}, 0, context->input(0).shape(), &y));
    if (x.size() == 0) return;
    const Normalization normalization(context, 1);
    float* out = y->flat<float>().data();
    ForRanges(context, x.size(), 1, [&](int64_t start, int64_t end) {
      NormalizeRange(normalization, x.data(), start, end, out);
    });
  }
};

REGISTER_KERNEL_BUILDER(Name("TfquantsegNormalize").Device(tensorflow::DEVICE_CPU), NormalizeOp);

REGISTER_OP("TfquantsegNormalizeGradient")
    .Input("x: float")
    .Input("mu_q: float")
    .Input("divisor: float")
    .Input("gamma: float")
    .Input("beta: float")
    .Input("mu: float")
    .Input("sigma: float")
    .Input("error: T")
    .Input("step: float")
    .Output("to_x: float")
    .Output("to_gamma: float")
    .Output("to_beta: float")
    .Output("most: float")
    .Attr("T: {int8, float}")
    .Attr("relu: bool")
    .Attr("norm: {'l1', 'l2', 'frozen'}")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(0));
      for (int i = 1; i < 4; ++i) c->set_output(i, c->input(3));
      return absl::OkStatus();
    })
    .Doc(R"(The gradients of TfquantsegNormalize; frozen takes mu and sigma for constants.

error: of y, times step where T is int8; of max(y, 0) where relu is true.
most: the largest magnitude of to_x in each channel.
)");

// The gradients read so many vectors that only quarters of a block leave them all in the first cache.
constexpr int64_t kQuarter = kBlock / 4;

// What arrived at a block, and what it is centred on.
template <typename T>
struct Arrived {
  bool relu;
  float step;
  const T* error;
  const float* x;
  const Normalization* normalization;
  const Repeated* mu;
};

// The error of y in a quarter.
template <typename T>
TFQUANTSEG_INLINE void ErrorBlock(const Arrived<T>& arrived, int64_t start, int64_t n,
                                  float* error) {
  const T* from = arrived.error + start;
  if constexpr (std::is_same_v<T, float>) {
    for (int64_t i = 0; i < n; ++i) error[i] = from[i];
  } else {
    const float step = arrived.step;
    for (int64_t i = 0; i < n; ++i) error[i] = static_cast<float>(from[i]) * step;
  }
  if (!arrived.relu) return;
  alignas(64) float y[kQuarter];
  NormalizeBlock(*arrived.normalization, arrived.x + start, start, n, y);
  for (int64_t i = 0; i < n; ++i) error[i] = y[i] > 0 ? error[i] : 0.0f;
}

template <typename T>
TFQUANTSEG_INLINE void AddSums(const Arrived<T>& arrived, int64_t start, int64_t size,
                               const Places<3, 0>& places) {
  alignas(64) float error[kQuarter];
  for (int64_t first = 0; first < size; first += kQuarter) {
    const int64_t at = start + first, n = std::min(kQuarter, size - first);
    ErrorBlock(arrived, at, n, error);
    const float* x = arrived.x + at;
    const float* mu_q = arrived.normalization->mu.At(at);
    const float* mu = arrived.mu->At(at);
    float* errors = places.sums[0] + first;
    float* products = places.sums[1] + first;
    float* signs = places.sums[2] + first;
    for (int64_t i = 0; i < n; ++i) errors[i] += error[i];
    for (int64_t i = 0; i < n; ++i) products[i] += error[i] * (x[i] - mu_q[i]);
    for (int64_t i = 0; i < n; ++i) signs[i] += Sign(x[i] - mu[i]);
  }
}

TFQUANTSEG_VECTORIZED void AddGradientSums(const Arrived<float>& arrived, int64_t start, int64_t n,
                                           const Places<3, 0>& places) {
  AddSums(arrived, start, n, places);
}

TFQUANTSEG_VECTORIZED void AddGradientSums(const Arrived<int8_t>& arrived, int64_t start,
                                           int64_t n, const Places<3, 0>& places) {
  AddSums(arrived, start, n, places);
}

// to_x = error * slope + f(x - mu) * curve + shift, where f is the sign for l1.
struct Line {
  Repeated slope, curve, shift;
  bool l1;
};

template <typename T>
TFQUANTSEG_INLINE void FollowLine(const Arrived<T>& arrived, const Line& line, int64_t start,
                                  int64_t size, float* places, float* to_x) {
  alignas(64) float error[kQuarter];
  for (int64_t first = 0; first < size; first += kQuarter) {
    const int64_t at = start + first, n = std::min(kQuarter, size - first);
    ErrorBlock(arrived, at, n, error);
    const float* x = arrived.x + at;
    const float* mu = arrived.mu->At(at);
    const float *slope = line.slope.At(at), *curve = line.curve.At(at), *shift = line.shift.At(at);
    if (line.l1) {
      for (int64_t i = 0; i < n; ++i) {
        error[i] = error[i] * slope[i] + Sign(x[i] - mu[i]) * curve[i] + shift[i];
      }
    } else {
      for (int64_t i = 0; i < n; ++i) {
        error[i] = error[i] * slope[i] + (x[i] - mu[i]) * curve[i] + shift[i];
      }
    }
    std::copy_n(error, n, to_x + at);
    float* most = places + first;
    for (int64_t i = 0; i < n; ++i) {
      // As integers, magnitudes are in order, NaN the largest of all.
      most[i] = FloatOf(std::max(MagnitudeBits(error[i]), BitsOf(most[i])));
    }
  }
}

TFQUANTSEG_VECTORIZED void GradientBlock(const Arrived<float>& arrived, const Line& line,
                                         int64_t start, int64_t n, float* most, float* to_x) {
  FollowLine(arrived, line, start, n, most, to_x);
}

TFQUANTSEG_VECTORIZED void GradientBlock(const Arrived<int8_t>& arrived, const Line& line,
                                         int64_t start, int64_t n, float* most, float* to_x) {
  FollowLine(arrived, line, start, n, most, to_x);
}

template <typename T>
class NormalizeGradientOp : public tensorflow::OpKernel {
 public:
  explicit NormalizeGradientOp(OpKernelConstruction* context) : OpKernel(context) {
    std::string norm;
    OP_REQUIRES_OK(context, context->GetAttr("norm", &norm));
    OP_REQUIRES_OK(context, context->GetAttr("relu", &relu_));
    norm_ = norm == "l1" ? Norm::kL1 : norm == "l2" ? Norm::kL2 : Norm::kFrozen;
  }

  void Compute(OpKernelContext* context) override {
    const Tensor &input = context->input(0), &error = context->input(7);
    OP_REQUIRES(context, HaveChannels(context, 1, 7), InvalidArgumentError(kNoChannels));
    OP_REQUIRES(context, error.shape() == input.shape(),
                InvalidArgumentError("the error must have the shape of x"));
    const auto divisor = context->input(2).flat<float>(), gamma = context->input(3).flat<float>();
    const auto sigma = context->input(6).flat<float>();
    const int64_t size = input.NumElements(), channels = gamma.size();
    Tensor *to_x, *to_gamma, *to_beta, *most;
    if constexpr (std::is_same_v<T, float>) {
      OP_REQUIRES_OK(context,
                     context->forward_input_or_allocate_output({7}, 0, input.shape(), &to_x));
    } else {
      OP_REQUIRES_OK(context, context->allocate_output(0, input.shape(), &to_x));
    }
    OP_REQUIRES_OK(context, context->allocate_output(1, {channels}, &to_gamma));
    OP_REQUIRES_OK(context, context->allocate_output(2, {channels}, &to_beta));
    OP_REQUIRES_OK(context, context->allocate_output(3, {channels}, &most));
    if (channels == 0) return;

    const Normalization normalization(context, 1);
    const Repeated mu = OfChannels(context->input(5));
    const Arrived<T> arrived{relu_,
                             context->input(8).scalar<float>()(),
                             error.flat<T>().data(),
                             input.flat<float>().data(),
                             &normalization,
                             &mu};
    const auto sums =
        ReduceChannels<3, 0>(context, size, channels, 2,
                             [&](int64_t start, int64_t n, const Places<3, 0>& places) {
                               AddGradientSums(arrived, start, n, places);
                             })
            .sums;
    const double pixels = static_cast<double>(size / channels);
    std::vector<float> slope(channels), curve(channels), shift(channels);
    for (int64_t c = 0; c < channels; ++c) {
      const double d = divisor(c), to_gamma_c = sums[1][c] / d;
      to_beta->flat<float>()(c) = static_cast<float>(sums[0][c]);
      to_gamma->flat<float>()(c) = static_cast<float>(to_gamma_c);
      slope[c] = static_cast<float>(gamma(c) / d);
      if (norm_ == Norm::kFrozen) continue;
      const double to_sigma = -gamma(c) * to_gamma_c / d;
      double to_mu = -gamma(c) * sums[0][c] / d;
      if (norm_ == Norm::kL1) {
        curve[c] = static_cast<float>(to_sigma / pixels);
        to_mu -= to_sigma * sums[2][c] / pixels;
      } else {
        curve[c] = sigma(c) > 0 ? static_cast<float>(to_sigma / (sigma(c) * pixels)) : 0.0f;
      }
      shift[c] = static_cast<float>(to_mu / pixels);
    }
    const Line line{Repeated(slope.data(), channels, 1), Repeated(curve.data(), channels, 1),
                    Repeated(shift.data(), channels, 1), norm_ == Norm::kL1};
    float* out = to_x->flat<float>().data();
    std::vector<std::atomic<uint32_t>> largest(channels);
    ForRanges(context, size, 3, [&](int64_t start, int64_t end) {
      std::vector<float> places(channels + kBlock);
      for (int64_t i = start; i < end; i += kBlock) {
        GradientBlock(arrived, line, i, std::min(kBlock, end - i), places.data() + i % channels,
                      out);
      }
      for (int64_t i = 0; i < channels + kBlock; ++i) {
        Raise(largest[i % channels], MagnitudeBits(places[i]));
      }
    });
    for (int64_t c = 0; c < channels; ++c) most->flat<float>()(c) = FloatOf(largest[c]);
  }

 private:
  Norm norm_;
  bool relu_;
};

REGISTER_KERNEL_BUILDER(
    Name("TfquantsegNormalizeGradient").Device(tensorflow::DEVICE_CPU).TypeConstraint<float>("T"),
    NormalizeGradientOp<float>);
REGISTER_KERNEL_BUILDER(
    Name("TfquantsegNormalizeGradient").Device(tensorflow::DEVICE_CPU).TypeConstraint<int8_t>("T"),
    NormalizeGradientOp<int8_t>);

}  // namespace
}  // namespace tfquantseg
