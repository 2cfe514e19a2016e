// TfquantsegEncodeGradient and TfquantsegUpdate: one step of stochastic gradient descent on grids, of
// one variable. The gradient becomes integers as soon as it is there, a quarter of its bytes; the
// update waits for all of them and writes into the variable's own memory. TfquantsegPoison: the NaN
// that tells every replica of a gradient that is not finite.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <optional>

#include "absl/status/status.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/resource_mgr.h"
#include "tensorflow/core/framework/resource_var.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tfquantseg/kernels/bits.h"
#include "tfquantseg/kernels/blocks.h"
#include "tfquantseg/kernels/grid.h"
#include "tfquantseg/kernels/magnitude.h"

namespace tfquantseg {
namespace {

using absl::InvalidArgumentError;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::Var;

REGISTER_OP("TfquantsegEncodeGradient")
    .Input("gradient: float")
    .Input("weight: float")
    .Input("seed: int64")
    .Output("integers: T")
    .Output("step: float")
    .Attr("T: {int8, float}")
    .Attr("decay: float")
    .TFQUANTSEG_SCALED_GRID_ATTRIBUTES
    .SetShapeFn([](tensorflow::shape_inference::InferenceContext* c) {
      c->set_output(0, c->input(0));
      c->set_output(1, c->Scalar());
      return absl::OkStatus();
    })
    .Doc("The pair of gradient + decay * weight, in two passes; a step of NaN if any is not finite.");

// The gradient with the decay in it.
TFQUANTSEG_INLINE void DecayBlock(float decay, const float* g, const float* w, int64_t n,
                                  float* gradient) {
  if (decay == 0) {
    std::copy_n(g, n, gradient);
  } else {
    for (int64_t i = 0; i < n; ++i) gradient[i] = g[i] + decay * w[i];
  }
}

TFQUANTSEG_VECTORIZED uint32_t MeasureRange(float decay, const float* g, const float* w,
                                            int64_t start, int64_t end) {
  alignas(64) float gradient[kBlock];
  uint32_t most = 0;
  for (int64_t block = start; block < end; block += kBlock) {
    const int64_t n = std::min(kBlock, end - block);
    DecayBlock(decay, g + block, w + block, n, gradient);
    for (int64_t i = 0; i < n; ++i) most = std::max(most, MagnitudeBits(gradient[i]));
  }
  return most;
}

template <typename T>
TFQUANTSEG_VECTORIZED TFQUANTSEG_INLINE void EncodeBlocks(const ScaledGrid& grid, float unit,
                                                          float decay, const Philox& philox,
                                                          const float* g, const float* w,
                                                          int64_t start, int64_t end,
                                                          T* integers) {
  alignas(64) uint16_t draws[kBlock];
  alignas(64) float gradient[kBlock];
  for (int64_t block = start; block < end; block += kBlock) {
    const int64_t n = std::min(kBlock, end - block);
    DecayBlock(decay, g + block, w + block, n, gradient);
    const float divisor = grid.divisor;
    if (grid.rounding == Rounding::kStochastic) DrawBlock(philox, block, draws);
    for (int64_t i = 0; i < n; ++i) gradient[i] = gradient[i] / unit * divisor;
    RoundBlock(grid.rounding, gradient, draws, grid.most, n, integers + block);
  }
}

TFQUANTSEG_VECTORIZED void EncodeRange(const ScaledGrid& grid, float unit, float decay,
                                       const Philox& philox, const float* g, const float* w,
                                       int64_t start, int64_t end, int8_t* integers) {
  EncodeBlocks(grid, unit, decay, philox, g, w, start, end, integers);
}

TFQUANTSEG_VECTORIZED void EncodeRange(const ScaledGrid& grid, float unit, float decay,
                                       const Philox& philox, const float* g, const float* w,
                                       int64_t start, int64_t end, float* integers) {
  EncodeBlocks(grid, unit, decay, philox, g, w, start, end, integers);
}

template <typename T>
class EncodeGradientOp : public tensorflow::OpKernel {
 public:
  explicit EncodeGradientOp(OpKernelConstruction* context) : OpKernel(context), grid_(context) {
    OP_REQUIRES_OK(context, context->GetAttr("decay", &decay_));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor &gradient = context->input(0), &weight = context->input(1);
    OP_REQUIRES(context, gradient.shape() == weight.shape(),
                InvalidArgumentError("gradient and weight must have one shape"));
    Philox philox{};
    if (grid_.rounding == Rounding::kStochastic) {
      OP_REQUIRES(context, ReadSeed(context->input(2), &philox),
                  InvalidArgumentError("a seed has two numbers"));
    }
    Tensor *integers, *step;
    OP_REQUIRES_OK(context, context->allocate_output(0, gradient.shape(), &integers));
    OP_REQUIRES_OK(context, context->allocate_output(1, {}, &step));
    const float* g = gradient.flat<float>().data();
    const float* w = weight.flat<float>().data();
    T* out = integers->flat<T>().data();
    const int64_t size = gradient.NumElements();
    std::atomic<uint32_t> most{0};
    ForRanges(context, size, 0.5, [&](int64_t start, int64_t end) {
      Raise(most, MeasureRange(decay_, g, w, start, end));
    });
    const float unit = grid_.Unit(FloatOf(most));
    // Integers do not hold a NaN: the step does.
    const bool finite = std::isfinite(FloatOf(most));
    step->scalar<float>()() =
        finite ? grid_.Step(unit) : std::numeric_limits<float>::quiet_NaN();
    ForRanges(context, size, 3, [&](int64_t start, int64_t end) {
      EncodeRange(grid_, unit, decay_, philox, g, w, start, end, out);
    });
  }

 private:
  ScaledGrid grid_;
  float decay_;
};

REGISTER_KERNEL_BUILDER(
    Name("TfquantsegEncodeGradient").Device(tensorflow::DEVICE_CPU).TypeConstraint<int8_t>("T"),
    EncodeGradientOp<int8_t>);
REGISTER_KERNEL_BUILDER(
    Name("TfquantsegEncodeGradient").Device(tensorflow::DEVICE_CPU).TypeConstraint<float>("T"),
    EncodeGradientOp<float>);

REGISTER_OP("TfquantsegUpdate")
    .Input("weight: resource")
    .Input("velocity: resource")
    .Input("integers: T")
    .Input("step: float")
    .Input("applies: bool")
    .Input("rate: float")
    .Input("update_limits: float")
    .Input("velocity_limits: float")
    .Output("lost: float")
    .Output("at_limit: float")
    .Attr("T: {int8, float}")
    .Attr("has_velocity: bool")
    .Attr("momentum: float")
    .Attr("update_bits: int")
    .Attr("velocity_bits: int")
    .Attr("update_rounding: {'half_up', 'half_away', 'half_even'}")
    .Attr("inner: int")
    .SetIsStateful()
    .SetShapeFn([](tensorflow::shape_inference::InferenceContext* c) {
      c->set_output(0, c->Scalar());
      c->set_output(1, c->Scalar());
      return absl::OkStatus();
    })
    .Doc(R"(numerics.update_weight: moves two variables in place, or neither where applies is false.

velocity: the weight again where has_velocity is false.
integers, step: the gradient's pair.
update_limits, velocity_limits: one limit, or one a channel.
inner: elements of the weight behind the channels' axis.
lost, at_limit: how many elements.
)");

// What a block needs, beside its own elements.
template <typename T>
struct Job {
  float momentum;
  float rate;
  bool applies;
  Rounding rounding;
  float update_most;    // Integers,
  float velocity_most;  // likewise.
  const Repeated* update_steps;
  const Repeated* velocity_steps;
  const T* integers;
  float step;
  float* weight;
  float* velocity;  // Or nullptr.
};

struct Counts {
  int64_t lost = 0;
  int64_t at_limit = 0;
};

// Puts a block on a constant grid: x becomes the multiple of its step that is nearest. 1 / step is
// exact, as a step is a power of two.
TFQUANTSEG_INLINE void QuantizeBlock(Rounding rounding, const float* steps, float most, int64_t n,
                                     float* x) {
  alignas(64) float in_steps[kBlock];
  for (int64_t i = 0; i < n; ++i) in_steps[i] = x[i] * (1.0f / steps[i]);
  RoundBlock(rounding, in_steps, nullptr, most, n, x);
  for (int64_t i = 0; i < n; ++i) x[i] *= steps[i];
}

template <typename T>
TFQUANTSEG_VECTORIZED TFQUANTSEG_INLINE void UpdateBlocks(const Job<T>& job, int64_t start,
                                                          int64_t end, Counts* counts) {
  alignas(64) float move[kBlock], update[kBlock];
  for (int64_t block = start; block < end; block += kBlock) {
    const int64_t n = std::min(kBlock, end - block);
    const T* integers = job.integers + block;
    const float rate = job.rate, momentum = job.momentum, step = job.step;
    for (int64_t i = 0; i < n; ++i) move[i] = static_cast<float>(integers[i]) * step;
    if (job.velocity == nullptr) {
      for (int64_t i = 0; i < n; ++i) move[i] *= rate;
    } else {
      float* velocity = job.velocity + block;
      for (int64_t i = 0; i < n; ++i) move[i] = momentum * velocity[i] + rate * move[i];
      QuantizeBlock(job.rounding, job.velocity_steps->At(block), job.velocity_most, n, move);
      if (job.applies) std::copy_n(move, n, velocity);
    }
    const float* steps = job.update_steps->At(block);
    std::copy_n(move, n, update);
    QuantizeBlock(job.rounding, steps, job.update_most, n, update);
    float* weight = job.weight + block;
    const float most_steps = job.update_most;
    int32_t lost = 0, at_limit = 0;
    for (int64_t i = 0; i < n; ++i) {
      const float most = steps[i] * most_steps;
      const float to = Clip(weight[i] - update[i], most);
      lost += move[i] != 0 && update[i] == 0 ? 1 : 0;
      at_limit += std::fabs(to) >= most ? 1 : 0;
      update[i] = to;
    }
    if (job.applies) std::copy_n(update, n, weight);
    counts->lost += lost;
    counts->at_limit += at_limit;
  }
}

TFQUANTSEG_VECTORIZED void UpdateRange(const Job<int8_t>& job, int64_t start, int64_t end,
                                       Counts* counts) {
  UpdateBlocks(job, start, end, counts);
}

TFQUANTSEG_VECTORIZED void UpdateRange(const Job<float>& job, int64_t start, int64_t end,
                                       Counts* counts) {
  UpdateBlocks(job, start, end, counts);
}

// A variable, locked until the end of the scope.
class Locked {
 public:
  // Finds the variable of an input; nothing may be read of it before its memory is its own.
  absl::Status Find(OpKernelContext* context, int input) {
    TF_RETURN_IF_ERROR(LookupResource(context, HandleFromInput(context, input), &variable_));
    lock_.emplace(*variable_->mu());
    const Tensor& tensor = *variable_->tensor();
    if (tensor.dtype() != tensorflow::DT_FLOAT || !variable_->is_initialized) {
      return InvalidArgumentError("weight and velocity must be float32 variables with values");
    }
    return absl::OkStatus();
  }

  // Copies it where a tensor that was read shares its memory: that one must not change.
  absl::Status Own(OpKernelContext* context) {
    Tensor* tensor = variable_->tensor();
    if (tensor->RefCountIsOne()) return absl::OkStatus();
    Tensor copy;
    TF_RETURN_IF_ERROR(context->allocate_temp(tensor->dtype(), tensor->shape(), &copy));
    std::copy_n(tensor->flat<float>().data(), tensor->NumElements(), copy.flat<float>().data());
    *tensor = copy;
    return absl::OkStatus();
  }

  Tensor& tensor() { return *variable_->tensor(); }

 private:
  tensorflow::core::RefCountPtr<Var> variable_;
  std::optional<tensorflow::mutex_lock> lock_;
};

template <typename T>
class UpdateOp : public tensorflow::OpKernel {
 public:
  explicit UpdateOp(OpKernelConstruction* context) : OpKernel(context) {
    std::string rounding;
    int update_bits, velocity_bits;
    OP_REQUIRES_OK(context, context->GetAttr("has_velocity", &has_velocity_));
    OP_REQUIRES_OK(context, context->GetAttr("momentum", &momentum_));
    OP_REQUIRES_OK(context, context->GetAttr("update_bits", &update_bits));
    OP_REQUIRES_OK(context, context->GetAttr("velocity_bits", &velocity_bits));
    OP_REQUIRES_OK(context, context->GetAttr("update_rounding", &rounding));
    OP_REQUIRES_OK(context, context->GetAttr("inner", &inner_));
    rounding_ = RoundingOf(rounding);
    update_most_ = static_cast<float>((1 << (update_bits - 1)) - 1);
    velocity_most_ = static_cast<float>((1 << (velocity_bits - 1)) - 1);
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& integers = context->input(2);
    Locked weight, velocity;
    OP_REQUIRES_OK(context, weight.Find(context, 0));
    if (has_velocity_) OP_REQUIRES_OK(context, velocity.Find(context, 1));
    OP_REQUIRES(context, integers.shape() == weight.tensor().shape(),
                InvalidArgumentError("gradient and weight must have one shape"));
    OP_REQUIRES(context, !has_velocity_ || velocity.tensor().shape() == integers.shape(),
                InvalidArgumentError("velocity and weight must have one shape"));
    Tensor *lost, *at_limit;
    OP_REQUIRES_OK(context, context->allocate_output(0, {}, &lost));
    OP_REQUIRES_OK(context, context->allocate_output(1, {}, &at_limit));
    lost->scalar<float>()() = at_limit->scalar<float>()() = 0;
    const int64_t size = integers.NumElements();
    if (size == 0) return;
    OP_REQUIRES_OK(context, weight.Own(context));
    if (has_velocity_) OP_REQUIRES_OK(context, velocity.Own(context));

    const Repeated update_steps = Steps(context->input(6), update_most_);
    const Repeated velocity_steps = Steps(context->input(7), velocity_most_);
    Job<T> job;
    job.momentum = momentum_;
    job.rate = context->input(5).scalar<float>()();
    job.applies = context->input(4).scalar<bool>()();
    job.rounding = rounding_;
    job.update_most = update_most_;
    job.velocity_most = velocity_most_;
    job.update_steps = &update_steps;
    job.velocity_steps = &velocity_steps;
    job.integers = integers.flat<T>().data();
    job.step = context->input(3).scalar<float>()();
    job.weight = weight.tensor().flat<float>().data();
    job.velocity = has_velocity_ ? velocity.tensor().flat<float>().data() : nullptr;

    std::atomic<int64_t> all_lost{0}, all_at_limit{0};
    ForRanges(context, size, 3, [&](int64_t start, int64_t end) {
      Counts counts;
      UpdateRange(job, start, end, &counts);
      all_lost += counts.lost;
      all_at_limit += counts.at_limit;
    });
    lost->scalar<float>()() = static_cast<float>(all_lost);
    at_limit->scalar<float>()() = static_cast<float>(all_at_limit);
  }

 private:
  // The steps of a grid of these limits, whose largest integer is most.
  Repeated Steps(const Tensor& limits, float most) const {
    const auto values = limits.flat<float>();
    std::vector<float> steps(values.size());
    for (size_t i = 0; i < steps.size(); ++i) steps[i] = values(i) / (most + 1);
    return Repeated(steps.data(), steps.size(), steps.size() == 1 ? 1 : inner_);
  }

  bool has_velocity_;
  float momentum_;
  Rounding rounding_;
  float update_most_;
  float velocity_most_;
  int64_t inner_;
};

REGISTER_KERNEL_BUILDER(
    Name("TfquantsegUpdate").Device(tensorflow::DEVICE_CPU).TypeConstraint<int8_t>("T"),
    UpdateOp<int8_t>);
REGISTER_KERNEL_BUILDER(
    Name("TfquantsegUpdate").Device(tensorflow::DEVICE_CPU).TypeConstraint<float>("T"),
    UpdateOp<float>);

REGISTER_OP("TfquantsegPoison")
    .Input("gradient: float")
    .Input("finite: bool")
    .Output("poisoned: float")
    .SetShapeFn(tensorflow::shape_inference::UnchangedShape)
    .Doc("The gradient itself where finite is true, else NaN everywhere.");

class PoisonOp : public tensorflow::OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    const Tensor& gradient = context->input(0);
    if (context->input(1).scalar<bool>()()) return context->set_output(0, gradient);
    Tensor* poisoned;
    OP_REQUIRES_OK(context, context->allocate_output(0, gradient.shape(), &poisoned));
    poisoned->flat<float>().setConstant(std::numeric_limits<float>::quiet_NaN());
  }
};

REGISTER_KERNEL_BUILDER(Name("TfquantsegPoison").Device(tensorflow::DEVICE_CPU), PoisonOp);

}  // namespace
}  // namespace tfquantseg
