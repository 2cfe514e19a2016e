// Tensors in blocks that stay in the first cache, and factors that repeat along them.

#ifndef TFQUANTSEG_KERNELS_BLOCKS_H_
#define TFQUANTSEG_KERNELS_BLOCKS_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/lib/core/threadpool.h"

namespace tfquantseg {

constexpr int64_t kBlock = 1024;  // Elements; a multiple of kDraws.

// Calls work(start, end) for ranges of a tensor's elements that begin at multiples of a grain, on
// TensorFlow's threads. Where the ranges end depends on the machine: what work computes must not.
template <typename Work>
void ForRanges(tensorflow::OpKernelContext* context, int64_t size, double cycles_per_element,
               const Work& work, int64_t grain = kBlock) {
  const auto by_cost = tensorflow::thread::ThreadPool::SchedulingParams::Adaptive(
      static_cast<int64_t>(cycles_per_element * grain));
  context->device()->tensorflow_cpu_worker_threads()->workers->ParallelFor(
      (size + grain - 1) / grain, by_cost, [&](int64_t first, int64_t last) {
        work(first * grain, std::min(last * grain, size));
      });
}

// Values that repeat along a tensor's elements: one a channel, or one for all.
class Repeated {
 public:
  // Element i has values[i / inner % count]: inner is the size of the axes behind the channels'.
  Repeated(const float* values, int64_t count, int64_t inner)
      : period_(count * inner), values_(period_ + kBlock) {
    for (int64_t i = 0; i < period_; ++i) values_[i] = values[i / inner];
    for (int64_t i = period_; i < period_ + kBlock; ++i) values_[i] = values_[i - period_];
  }

  explicit Repeated(float value) : Repeated(&value, 1, 1) {}

  // The values of the block that begins at this element.
  const float* At(int64_t element) const { return values_.data() + element % period_; }

  int64_t period() const { return period_; }

 private:
  int64_t period_;
  std::vector<float> values_;
};

}  // namespace tfquantseg

#endif  // TFQUANTSEG_KERNELS_BLOCKS_H_
