// Work in tasks on TensorFlow's threads. What a task computes must not depend on their number.
#ifndef TFQUANTSEG_KERNELS_TASKS_H_
#define TFQUANTSEG_KERNELS_TASKS_H_

#include <algorithm>
#include <cstdint>

#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/platform/threadpool.h"

namespace tfquantseg {

inline constexpr int64_t kProductsPerCycle = 64;  // of bytes, with AVX-512 VNNI

// As many tasks as share work evenly among the threads.
inline int64_t WantedTasks(tensorflow::OpKernelContext* context) {
  return 4 * context->device()->tensorflow_cpu_worker_threads()->num_threads;
}

// Calls work(0), ..., work(count - 1), each of which takes about so many cycles.
template <typename Work>
void ForTasks(tensorflow::OpKernelContext* context, int64_t count, int64_t cycles,
              const Work& work) {
  const auto by_cost = tensorflow::thread::ThreadPool::SchedulingParams::Adaptive(
      std::max<int64_t>(cycles, 1));
  context->device()->tensorflow_cpu_worker_threads()->workers->ParallelFor(
      count, by_cost, [&](int64_t begin, int64_t end) {
        for (int64_t task = begin; task < end; ++task) work(task);
      });
}

}  // namespace tfquantseg

#endif  // TFQUANTSEG_KERNELS_TASKS_H_
