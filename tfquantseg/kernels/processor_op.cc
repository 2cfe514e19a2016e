// TfquantsegProcessor: the instructions for which this library has kernels, of those the CPU offers.

#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tfquantseg/kernels/cpu.h"

namespace tfquantseg {
namespace {

REGISTER_OP("TfquantsegProcessor")
    .Output("name: string")
    .SetShapeFn(tensorflow::shape_inference::ScalarShape)
    .Doc("Names the kernels that the CPU can run: \"avx512_vnni\" or \"none\".");

class ProcessorOp : public tensorflow::OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(tensorflow::OpKernelContext* context) override {
    tensorflow::Tensor* name = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, {}, &name));
    name->scalar<tensorflow::tstring>()() = HasAvx512Vnni() ? "avx512_vnni" : "none";
  }
};

REGISTER_KERNEL_BUILDER(Name("TfquantsegProcessor").Device(tensorflow::DEVICE_CPU), ProcessorOp);

}  // namespace
}  // namespace tfquantseg
