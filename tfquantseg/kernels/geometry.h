// The geometry of a convolution, as TensorFlow's SAME and VALID define it.
#ifndef TFQUANTSEG_KERNELS_GEOMETRY_H_
#define TFQUANTSEG_KERNELS_GEOMETRY_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tfquantseg/kernels/vnni.h"

namespace tfquantseg {

// One axis, rows or columns. All lengths are pixels.
struct Axis {
  int64_t input = 0;     // length of the convolution's input
  int64_t output = 0;    // length of its output
  int64_t kernel = 0;    // taps
  int64_t stride = 1;
  int64_t dilation = 1;  // between neighbouring taps
  int64_t before = 0;    // zeros in front of the input

  // Output position o and tap t read input position o * stride + Offset(t).
  int64_t Offset(int64_t tap) const { return tap * dilation - before; }

  static Axis Of(int64_t input, int64_t kernel, int64_t stride, int64_t dilation, bool same) {
    Axis axis{input, 0, kernel, stride, dilation, 0};
    const int64_t reach = (kernel - 1) * dilation + 1;
    if (same) {
      axis.output = CeilDiv(input, stride);
      axis.before = std::max<int64_t>((axis.output - 1) * stride + reach - input, 0) / 2;
    } else {
      axis.output = std::max<int64_t>(CeilDiv(input - reach + 1, stride), 0);
    }
    return axis;
  }
};

// The attributes that the convolutions share.
struct Attributes {
  std::vector<int32_t> strides;
  std::vector<int32_t> dilations;
  bool same = false;

  template <typename Context>
  absl::Status Read(Context* context) {
    std::string padding;
    TF_RETURN_IF_ERROR(context->GetAttr("strides", &strides));
    TF_RETURN_IF_ERROR(context->GetAttr("dilations", &dilations));
    TF_RETURN_IF_ERROR(context->GetAttr("padding", &padding));
    same = padding == "SAME";
    if (strides.size() != 2 || dilations.size() != 2 || strides[0] < 1 || strides[1] < 1 ||
        dilations[0] < 1 || dilations[1] < 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          "strides and dilations are two positive numbers each, vertical and horizontal."));
    }
    return absl::OkStatus();
  }

  Axis Of(int axis, int64_t input, int64_t kernel) const {
    return Axis::Of(input, kernel, strides[axis], dilations[axis], same);
  }
};

}  // namespace tfquantseg

#endif  // TFQUANTSEG_KERNELS_GEOMETRY_H_
