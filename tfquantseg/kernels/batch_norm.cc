// TfquantsegChannelMeans, TfquantsegNormalize and TfquantsegNormalizeGradient: batch norm in three
// passes forward and two backward, as numerics/batch_norm.py writes it out.

#include <cmath>

#include "absl/status/status.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tfquantseg/kernels/blocks.h"
#include "tfquantseg/kernels/channel_sums.h"
#include "tfquantseg/kernels/cpu.h"

namespace tfquantseg {
namespace {

using absl::InvalidArgumentError;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

enum class Norm { kL1, kL2, kFrozen };

// Checks that inputs from .. to - 1 have one number a channel of input 0.
bool HaveChannels(OpKernelContext* context, int from, int to) {
  const Tensor& x = context->input(0);
  if (x.dims() == 0) return false;
  for (int i = from; i < to; ++i) {
    const Tensor& vector = context->input(i);
    if (vector.dims() != 1 || vector.dim_size(0) != x.dim_size(x.dims() - 1)) return false;
  }
  return true;
}

const char kNoChannels[] = "all vectors must have one number for each channel, the last axis";

Repeated OfChannels(const Tensor& vector) {
  return Repeated(vector.flat<float>().data(), vector.NumElements(), 1);
}

TFQUANTSEG_INLINE float Sign(float x) { return x > 0 ? 1.0f : x < 0 ? -1.0f : 0.0f * x; }

REGISTER_OP("TfquantsegChannelMeans")
    .Input("x: float")
    .Input("centre: float")
    .Output("means: float")
    .Attr("of: {'value', 'magnitude', 'square'}")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle x;
      TF_RETURN_IF_ERROR(c->WithRankAtLeast(c->input(0), 1, &x));
      c->set_output(0, c->Vector(c->Dim(x, -1)));
      return absl::OkStatus();
    })
    .Doc("The means of x - centre [C], of its magnitude or of its square, over all axes but the last.");

TFQUANTSEG_VECTORIZED void AddValues(const float* x, const float* centre, int64_t n, float* sums) {
  for (int64_t i = 0; i < n; ++i) sums[i] += x[i] - centre[i];
}

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
    add_ = of == "value" ? AddValues : of == "magnitude" ? AddMagnitudes : AddSquares;
  }

  void Compute(OpKernelContext* context) override {
    OP_REQUIRES(context, HaveChannels(context, 1, 2), InvalidArgumentError(kNoChannels));
    const auto x = context->input(0).flat<float>();
    const int64_t channels = context->input(1).NumElements();
    Tensor* means;
    OP_REQUIRES_OK(context, context->allocate_output(0, {channels}, &means));
    if (channels == 0) return;
    const Repeated centre = OfChannels(context->input(1));
    const auto sums = SumChannels<1>(
        context, x.size(), channels, [&](int64_t start, int64_t n, std::array<float*, 1> sums) {
          add_(x.data() + start, centre.At(start), n, sums[0]);
        });
    const double pixels = static_cast<double>(x.size() / channels);
    for (int64_t c = 0; c < channels; ++c) {
      means->flat<float>()(c) = static_cast<float>(sums[0][c] / pixels);
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

TFQUANTSEG_VECTORIZED void NormalizeBlock(const float* x, const float* mu, const float* divisor,
                                          const float* gamma, const float* beta, int64_t n,
                                          float* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - mu[i]) / divisor[i] * gamma[i] + beta[i];
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
    const Repeated mu = OfChannels(context->input(1)), divisor = OfChannels(context->input(2));
    const Repeated gamma = OfChannels(context->input(3)), beta = OfChannels(context->input(4));
    float* out = y->flat<float>().data();
    ForRanges(context, x.size(), 1, [&](int64_t start, int64_t end) {
      for (int64_t i = start; i < end; i += kBlock) {
        NormalizeBlock(x.data() + i, mu.At(i), divisor.At(i), gamma.At(i), beta.At(i),
                       std::min(kBlock, end - i), out + i);
      }
    });
  }
};

REGISTER_KERNEL_BUILDER(Name("TfquantsegNormalize").Device(tensorflow::DEVICE_CPU), NormalizeOp);

REGISTER_OP("TfquantsegNormalizeGradient")
    .Input("x: float")
    .Input("mu_q: float")
    .Input("divisor: float")
    .Input("gamma: float")
    .Input("mu: float")
    .Input("sigma: float")
    .Input("error: float")
    .Output("to_x: float")
    .Output("to_gamma: float")
    .Output("to_beta: float")
    .Attr("norm: {'l1', 'l2', 'frozen'}")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(0));
      c->set_output(1, c->input(3));
      c->set_output(2, c->input(3));
      return absl::OkStatus();
    })
    .Doc("The gradients of TfquantsegNormalize; frozen takes mu and sigma for constants.");

TFQUANTSEG_VECTORIZED void AddGradientSums(const float* x, const float* error, const float* mu_q,
                                           const float* mu, int64_t n, float* errors,
                                           float* products, float* signs) {
  for (int64_t i = 0; i < n; ++i) errors[i] += error[i];
  for (int64_t i = 0; i < n; ++i) products[i] += error[i] * (x[i] - mu_q[i]);
  for (int64_t i = 0; i < n; ++i) signs[i] += Sign(x[i] - mu[i]);
}

// to_x = error * slope + f(x - mu) * curve + shift, where f is the sign for l1.
TFQUANTSEG_VECTORIZED void GradientBlock(bool l1, const float* x, const float* error,
                                         const float* mu, const float* slope, const float* curve,
                                         const float* shift, int64_t n, float* to_x) {
  if (l1) {
    for (int64_t i = 0; i < n; ++i) {
      to_x[i] = error[i] * slope[i] + Sign(x[i] - mu[i]) * curve[i] + shift[i];
    }
  } else {
    for (int64_t i = 0; i < n; ++i) {
      to_x[i] = error[i] * slope[i] + (x[i] - mu[i]) * curve[i] + shift[i];
    }
  }
}

class NormalizeGradientOp : public tensorflow::OpKernel {
 public:
  explicit NormalizeGradientOp(OpKernelConstruction* context) : OpKernel(context) {
    std::string norm;
    OP_REQUIRES_OK(context, context->GetAttr("norm", &norm));
    norm_ = norm == "l1" ? Norm::kL1 : norm == "l2" ? Norm::kL2 : Norm::kFrozen;
  }

  void Compute(OpKernelContext* context) override {
    OP_REQUIRES(context, HaveChannels(context, 1, 6), InvalidArgumentError(kNoChannels));
    OP_REQUIRES(context, context->input(6).shape() == context->input(0).shape(),
                InvalidArgumentError("the error must have the shape of x"));
    const auto x = context->input(0).flat<float>(), error = context->input(6).flat<float>();
    const auto divisor = context->input(2).flat<float>(), gamma = context->input(3).flat<float>();
    const auto sigma = context->input(5).flat<float>();
    const int64_t size = x.size(), channels = gamma.size();
    Tensor *to_x, *to_gamma, *to_beta;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output(
                                {6}, 0, context->input(0).shape(), &to_x));
    OP_REQUIRES_OK(context, context->allocate_output(1, {channels}, &to_gamma));
    OP_REQUIRES_OK(context, context->allocate_output(2, {channels}, &to_beta));
    if (channels == 0) return;

    const Repeated mu_q = OfChannels(context->input(1)), mu = OfChannels(context->input(4));
    const auto sums = SumChannels<3>(
        context, size, channels, [&](int64_t i, int64_t n, std::array<float*, 3> sums) {
          AddGradientSums(x.data() + i, error.data() + i, mu_q.At(i), mu.At(i), n, sums[0],
                          sums[1], sums[2]);
        });
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
    const Repeated slopes(slope.data(), channels, 1), curves(curve.data(), channels, 1);
    const Repeated shifts(shift.data(), channels, 1);
    float* out = to_x->flat<float>().data();
    ForRanges(context, size, 1, [&](int64_t start, int64_t end) {
      for (int64_t i = start; i < end; i += kBlock) {
        GradientBlock(norm_ == Norm::kL1, x.data() + i, error.data() + i, mu.At(i), slopes.At(i),
                      curves.At(i), shifts.At(i), std::min(kBlock, end - i), out + i);
      }
    });
  }

 private:
  Norm norm_;
};

REGISTER_KERNEL_BUILDER(Name("TfquantsegNormalizeGradient").Device(tensorflow::DEVICE_CPU),
                        NormalizeGradientOp);

}  // namespace
}  // namespace tfquantseg
