// Integers that travel in float32, as int8.
#include <atomic>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tfquantseg/kernels/tasks.h"
#include "tfquantseg/kernels/vnni.h"

namespace tfquantseg {
namespace {

using tensorflow::OpKernelContext;
using tensorflow::Tensor;

enum Found { kFine = 0, kNotFinite = 1, kTooLarge = 2 };

// Converts 16 at a time; returns what it found, of all values.
TFQUANTSEG_AVX512_VNNI int Convert(const float* from, int64_t count, int8_t* to) {
  const __m512 least = _mm512_set1_ps(-128.0f), most = _mm512_set1_ps(127.0f);
  __mmask16 fits = 0xffff, finite = 0xffff;
  for (int64_t i = 0; i < count; i += 16) {
    const __mmask16 there =
        static_cast<__mmask16>((1u << std::min<int64_t>(count - i, 16)) - 1);
    const __m512 x = _mm512_maskz_loadu_ps(there, from + i);
    const __m512i integers = _mm512_cvtps_epi32(x);
    const __m512 difference = _mm512_sub_ps(x, x);  // NaN where x is not finite
    finite &= _mm512_cmp_ps_mask(difference, difference, _CMP_ORD_Q);
    fits &= _mm512_cmp_ps_mask(_mm512_cvtepi32_ps(integers), x, _CMP_EQ_OQ) &
            _mm512_cmp_ps_mask(x, least, _CMP_GE_OQ) & _mm512_cmp_ps_mask(x, most, _CMP_LE_OQ);
    _mm512_mask_cvtepi32_storeu_epi8(to + i, there, integers);
  }
  if (finite != 0xffff) return kNotFinite;
  return fits == 0xffff ? kFine : kTooLarge;
}

class ToInt8 : public tensorflow::OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    const Tensor& x = context->input(0);
    Tensor *integers = nullptr, *one = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, x.shape(), &integers));
    OP_REQUIRES_OK(context, context->allocate_output(1, {}, &one));
    const float* from = x.flat<float>().data();
    int8_t* to = integers->flat<int8_t>().data();
    std::atomic<int> found{kFine};
    const int64_t size = x.NumElements(), tasks = CeilDiv(size, kAtATime);
    ForTasks(context, tasks, kAtATime / 8, [&](int64_t task) {
      const Part part = EvenPart(size, tasks, task);
      found |= Convert(from + part.first, part.count, to + part.first);
    });
    OP_REQUIRES(context, (found & kTooLarge) == 0 || (found & kNotFinite) != 0,
                absl::InvalidArgumentError(absl::StrCat(
                    "values that are no integers from -128 to 127 reached a convolution of int8 "
                    "integers.")));
    one->scalar<float>()() = (found & kNotFinite) ? std::nanf("") : 1.0f;
  }

 private:
  static constexpr int64_t kAtATime = 16384;
};

REGISTER_OP("TfquantsegToInt8")
    .Input("x: float")
    .Output("integers: int8")
    .Output("one: float")
    .SetShapeFn([](tensorflow::shape_inference::InferenceContext* c) {
      c->set_output(0, c->input(0));
      c->set_output(1, c->Scalar());
      return absl::OkStatus();
    });

REGISTER_KERNEL_BUILDER(Name("TfquantsegToInt8").Device(tensorflow::DEVICE_CPU), ToInt8);

}  // namespace
}  // namespace tfquantseg
