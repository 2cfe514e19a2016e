// TfquantsegUpdate: one step of stochastic gradient descent on grids, of one variable, in two passes
// over memory. TfquantsegPoison: the NaN that tells every replica of a gradient that is not finite.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

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

using absl::InvalidArgumentError;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;

REGISTER_OP("TfquantsegUpdate")
    .Input("gradient: float")
    .Input("weight: float")
    .Input("velocity: float")
    .Input("rate: float")
    .Input("update_limits: float")
    .Input("velocity_limits: float")
    .Input("seed: int64")
    .Output("new_weight: float")
    .Output("new_velocity: float")
    .Output("lost: float")
    .Output("at_limit: float")
    .Attr("decay: float")
    .Attr("momentum: float")
    .Attr("update_bits: int")
    .Attr("velocity_bits: int")
    .Attr("update_rounding: {'half_up', 'half_away', 'half_even'}")
    .Attr("inner: int")
    .Attr("quantize_gradient: bool")
    .TFQUANTSEG_SCALED_GRID_ATTRIBUTES
    .SetShapeFn([](tensorflow::shape_inference::InferenceContext* c) {
      c->set_output(0, c->input(1));
      c->set_output(1, c->input(2));
      c->set_output(2, c->Scalar());
      c->set_output(3, c->Scalar());
      return absl::OkStatus();
    })
    .Doc(R"(numerics.update_weight; a gradient whose first element is not finite changes nothing.

velocity: of the weight's shape, or empty for no momentum.
update_limits, velocity_limits: one limit, or one a channel.
inner: elements of the weight behind the channels' axis.
quantize_gradient: whether the gradient is encoded on the grid that the attributes name.
lost, at_limit: how many elements.
)");

// What a block needs, beside its own elements.
struct Job {
  const ScaledGrid* grid;
  bool quantize_gradient;
  float decay;
  float momentum;
  float rate;
  bool applies;
  Rounding rounding;
  float update_most;    // Integers,
  float velocity_most;  // likewise.
  const Repeated* update_steps;
  const Repeated* velocity_steps;
  const float* gradient;
  const float* weight;
  const float* velocity;  // Or nullptr, as the new one then.
  float unit;
  float step;
  Philox philox;
  float* new_weight;
  float* new_velocity;
};

struct Counts {
  int64_t lost = 0;
  int64_t at_limit = 0;
};

// The gradient with the decay in it.
TFQUANTSEG_INLINE void DecayBlock(const Job& job, int64_t start, int64_t n, float* gradient) {
  const float* g = job.gradient + start;
  const float* w = job.weight + start;
  const float decay = job.decay;
  if (decay == 0) {
    std::copy_n(g, n, gradient);
  } else {
    for (int64_t i = 0; i < n; ++i) gradient[i] = g[i] + decay * w[i];
  }
}

TFQUANTSEG_VECTORIZED uint32_t MeasureRange(const Job& job, int64_t start, int64_t end) {
  alignas(64) float gradient[kBlock];
  uint32_t most = 0;
  for (int64_t block = start; block < end; block += kBlock) {
    const int64_t n = std::min(kBlock, end - block);
    DecayBlock(job, block, n, gradient);
    for (int64_t i = 0; i < n; ++i) most = std::max(most, MagnitudeBits(gradient[i]));
  }
  return most;
}

// Puts a block on a constant grid: x becomes the multiple of its step that is nearest. 1 / step is
// exact, as a step is a power of two.
TFQUANTSEG_INLINE void QuantizeBlock(Rounding rounding, const float* steps, float most, int64_t n,
                                     float* x) {
  alignas(64) float in_steps[kBlock];
  for (int64_t i = 0; i < n; ++i) in_steps[i] = x[i] * (1.0f / steps[i]);
  RoundBlock(rounding, in_steps, nullptr, most, n, x);
  for (int64_t i = 0; i < n; ++i) x[i] *= steps[i];
}

TFQUANTSEG_VECTORIZED void UpdateRange(const Job& job, int64_t start, int64_t end,
                                       Counts* counts) {
  alignas(64) uint16_t draws[kBlock];
  alignas(64) float move[kBlock], update[kBlock];
  for (int64_t block = start; block < end; block += kBlock) {
    const int64_t n = std::min(kBlock, end - block);
    DecayBlock(job, block, n, move);
    if (job.quantize_gradient) {
      const float unit = job.unit, divisor = job.grid->divisor, step = job.step;
      DrawBlock(job.philox, block, draws);
      for (int64_t i = 0; i < n; ++i) move[i] = move[i] / unit * divisor;
      RoundBlock(Rounding::kStochastic, move, draws, job.grid->most, n, move);
      for (int64_t i = 0; i < n; ++i) move[i] *= step;
    }
    const float rate = job.rate, momentum = job.momentum;
    if (job.velocity == nullptr) {
      for (int64_t i = 0; i < n; ++i) move[i] *= rate;
    } else {
      const float* old = job.velocity + block;
      for (int64_t i = 0; i < n; ++i) move[i] = momentum * old[i] + rate * move[i];
      QuantizeBlock(job.rounding, job.velocity_steps->At(block), job.velocity_most, n, move);
      std::copy_n(job.applies ? move : old, n, job.new_velocity + block);
    }
    const float* steps = job.update_steps->At(block);
    std::copy_n(move, n, update);
    QuantizeBlock(job.rounding, steps, job.update_most, n, update);
    const float* old = job.weight + block;
    float* moved = job.new_weight + block;
    const float most_steps = job.update_most;
    int32_t lost = 0, at_limit = 0;
    for (int64_t i = 0; i < n; ++i) {
      const float most = steps[i] * most_steps;
      const float to = Clip(old[i] - update[i], most);
      lost += move[i] != 0 && update[i] == 0 ? 1 : 0;
      at_limit += std::fabs(to) >= most ? 1 : 0;
      moved[i] = to;
    }
    if (!job.applies) std::copy_n(old, n, moved);
    counts->lost += lost;
    counts->at_limit += at_limit;
  }
}

class UpdateOp : public tensorflow::OpKernel {
 public:
  explicit UpdateOp(OpKernelConstruction* context) : OpKernel(context), grid_(context) {
    std::string rounding;
    int update_bits, velocity_bits;
    OP_REQUIRES_OK(context, context->GetAttr("decay", &decay_));
    OP_REQUIRES_OK(context, context->GetAttr("momentum", &momentum_));
    OP_REQUIRES_OK(context, context->GetAttr("update_bits", &update_bits));
    OP_REQUIRES_OK(context, context->GetAttr("velocity_bits", &velocity_bits));
    OP_REQUIRES_OK(context, context->GetAttr("update_rounding", &rounding));
    OP_REQUIRES_OK(context, context->GetAttr("inner", &inner_));
    OP_REQUIRES_OK(context, context->GetAttr("quantize_gradient", &quantize_gradient_));
    rounding_ = RoundingOf(rounding);
    update_most_ = static_cast<float>((1 << (update_bits - 1)) - 1);
    velocity_most_ = static_cast<float>((1 << (velocity_bits - 1)) - 1);
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& gradient = context->input(0);
    const Tensor& weight = context->input(1);
    const Tensor& velocity = context->input(2);
    OP_REQUIRES(context, gradient.shape() == weight.shape(),
                InvalidArgumentError("gradient and weight must have one shape"));
    const int64_t size = weight.NumElements();
    const bool moves = velocity.NumElements() > 0;
    OP_REQUIRES(context, !moves || velocity.shape() == weight.shape(),
                InvalidArgumentError("velocity and weight must have one shape"));
    Tensor *new_weight, *new_velocity, *lost, *at_limit;
    OP_REQUIRES_OK(context, context->allocate_output(0, weight.shape(), &new_weight));
    OP_REQUIRES_OK(context, context->allocate_output(1, velocity.shape(), &new_velocity));
    OP_REQUIRES_OK(context, context->allocate_output(2, {}, &lost));
    OP_REQUIRES_OK(context, context->allocate_output(3, {}, &at_limit));
    lost->scalar<float>()() = at_limit->scalar<float>()() = 0;
    if (size == 0) return;

    const Repeated update_steps = Steps(context->input(4), update_most_);
    const Repeated velocity_steps = Steps(context->input(5), velocity_most_);
    Job job;
    job.grid = &grid_;
    job.quantize_gradient = quantize_gradient_;
    job.decay = decay_;
    job.momentum = momentum_;
    job.rate = context->input(3).scalar<float>()();
    job.applies = std::isfinite(gradient.flat<float>()(0));
    job.rounding = rounding_;
    job.update_most = update_most_;
    job.velocity_most = velocity_most_;
    job.update_steps = &update_steps;
    job.velocity_steps = &velocity_steps;
    job.gradient = gradient.flat<float>().data();
    job.weight = weight.flat<float>().data();
    job.velocity = moves ? velocity.flat<float>().data() : nullptr;
    job.new_weight = new_weight->flat<float>().data();
    job.new_velocity = new_velocity->flat<float>().data();

    if (quantize_gradient_) {
      std::atomic<uint32_t> most{0};
      ForRanges(context, size, 0.5, [&](int64_t start, int64_t end) {
        Raise(most, MeasureRange(job, start, end));
      });
      job.unit = grid_.Unit(FloatOf(most));
      job.step = grid_.Step(job.unit);
      OP_REQUIRES(context, ReadSeed(context->input(6), &job.philox),
                  InvalidArgumentError("a seed has two numbers"));
    }
    std::atomic<int64_t> all_lost{0}, all_at_limit{0};
    ForRanges(context, size, 4, [&](int64_t start, int64_t end) {
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

  ScaledGrid grid_;
  float decay_;
  float momentum_;
  Rounding rounding_;
  float update_most_;
  float velocity_most_;
  int64_t inner_;
  bool quantize_gradient_;
};

REGISTER_KERNEL_BUILDER(Name("TfquantsegUpdate").Device(tensorflow::DEVICE_CPU), UpdateOp);

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
