// The weight gradient of a convolution of int8 integers, with 32-bit sums:
//
//   G[tap, input channel, output channel] = scale * sum over positions of A * E
//
// The summed index is the position, so quads are four neighbouring columns of one row. A is laid
// out as planes, one a channel, in which neighbouring columns are neighbouring bytes; E as panels
// of 32 channels. With a stride s, column x of the padded image lies in plane x mod s.
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tfquantseg/kernels/geometry.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tfquantseg/kernels/tasks.h"
#include "tfquantseg/kernels/vnni.h"

namespace tfquantseg {
namespace {

using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

constexpr int64_t kChunk = 4096;  // positions multiplied at a time: they fit the L2 cache
// Positions whose sum of (A + 128) * E fits 32 bits: 2^31 / (255 * 127), in whole quads.
constexpr int64_t kExactIn32Bits = 66000;

// Turns 16 pixels of 16 channels into 16 channels of 16 pixels, as bytes of A.
//
// Args:
//   from: channel 0 of pixel 0; pixels are `pixel_stride` bytes apart.
//   pixels, channels: how many are there, 1 to 16 each.
//   to: pixel 0 of channel 0; channels are `channel_stride` bytes apart.
TFQUANTSEG_AVX512_VNNI void Transpose(const int8_t* from, int64_t pixel_stride, int pixels, int channels,
                               uint8_t* to, int64_t channel_stride) {
  const __mmask16 columns = static_cast<__mmask16>((1u << channels) - 1);
  const __mmask16 rows = static_cast<__mmask16>((1u << pixels) - 1);
  const __m128i flip = _mm_set1_epi8(static_cast<char>(kZero));
  __m128i a[16], b[16];
  for (int i = 0; i < 16; ++i) {
    a[i] = i < pixels ? _mm_maskz_loadu_epi8(columns, from + i * pixel_stride)
                      : _mm_setzero_si128();
  }
  // Four times the first half is interleaved with the second: then all bytes are in place.
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 8; ++i) {
      b[2 * i] = _mm_unpacklo_epi8(a[i], a[i + 8]);
      b[2 * i + 1] = _mm_unpackhi_epi8(a[i], a[i + 8]);
    }
    std::copy(b, b + 16, a);
  }
  for (int c = 0; c < channels; ++c) {
    _mm_mask_storeu_epi8(to + c * channel_stride, rows, _mm_xor_si128(a[c], flip));
  }
}

// The padded image as planes, [phase][image][channel][row][column].
struct Planes {
  Planes(const Axis& rows, const Axis& columns, int64_t batch, int64_t channels)
      : rows(rows), columns(columns), batch(batch), channels(channels) {
    std::set<int64_t> phases;
    for (int64_t tap = 0; tap < columns.kernel; ++tap) {
      phases.insert(tap * columns.dilation % columns.stride);
    }
    phase.assign(phases.begin(), phases.end());
    height = (rows.output - 1) * rows.stride + (rows.kernel - 1) * rows.dilation + 1;
    width = RoundUp(columns.output, 4) + (columns.kernel - 1) * columns.dilation / columns.stride;
    // An odd number of cache lines, so that planes do not crowd the same part of a cache.
    plane = RoundUp(height * width, 128) + 64;
  }

  int64_t bytes() const { return static_cast<int64_t>(phase.size()) * batch * channels * plane; }
  int64_t Start(int64_t p, int64_t n, int64_t c) const {
    return ((p * batch + n) * channels + c) * plane;
  }

  // First byte that output position (row, 0) reads through a tap in the plane of a channel.
  int64_t At(int64_t n, int64_t c, int64_t row, int64_t row_tap, int64_t column_tap) const {
    const int64_t shift = column_tap * columns.dilation;
    const auto found = std::find(phase.begin(), phase.end(), shift % columns.stride);
    const int64_t y = row * rows.stride + row_tap * rows.dilation;
    return Start(found - phase.begin(), n, c) + y * width + shift / columns.stride;
  }

  // Writes row `y` of the padded image `n`, all phases and channels.
  void Fill(const int8_t* image, int64_t n, int64_t y, uint8_t* to) const {
    const int64_t row = y - rows.before;
    const bool inside = 0 <= row && row < rows.input;
    const int8_t* from = image + (n * rows.input + row) * columns.input * channels;
    for (size_t p = 0; p < phase.size(); ++p) {
      // Column x of the plane is column x * stride + phase - before of the image.
      const int64_t shift = columns.before - phase[p], stride = columns.stride;
      const int64_t first = std::max<int64_t>(CeilDiv(shift, stride), 0);
      const int64_t last = std::min(CeilDiv(columns.input + shift, stride), width);
      for (int64_t c = 0; c < channels; ++c) {
        std::memset(to + Start(p, n, c) + y * width, kZero, width);
      }
      for (int64_t x = first; inside && x < last; x += 16) {
        const int pixels = static_cast<int>(std::min<int64_t>(last - x, 16));
        for (int64_t c = 0; c < channels; c += 16) {
          const int count = static_cast<int>(std::min<int64_t>(channels - c, 16));
          Transpose(from + (x * stride - shift) * channels + c, stride * channels, pixels, count,
                    to + Start(p, n, c) + y * width + x, plane);
        }
      }
    }
  }

  Axis rows, columns;
  int64_t batch, channels, height, width, plane;
  std::vector<int64_t> phase;
};

// The error as panels, [panel][image][row][quad of columns][channel].
struct Errors {
  int64_t quads() const { return CeilDiv(columns, 4); }
  int64_t count() const { return CeilDiv(channels, kPanel); }
  int width(int64_t panel) const { return PanelWidth(channels - panel * kPanel); }
  int8_t* At(int64_t panel, int64_t row) const {  // row: of all images
    return panels + (panel * images_rows * kPanel + row * width(panel)) * 4 * quads();
  }

  void Pack(const int8_t* error, int64_t panel, int64_t row) const {
    int8_t* to = At(panel, row);
    const int64_t first = panel * kPanel;
    for (int64_t x = 0; x < columns; x += 4) {
      for (int half = 0; half < width(panel); half += 16, to += 64) {
        const int64_t left = std::max<int64_t>(channels - first - half, 0);
        const int8_t* rows[4] = {};
        for (int i = 0; left > 0 && i < 4 && x + i < columns; ++i) {
          rows[i] = error + (row * columns + x + i) * channels + first + half;
        }
        Interleave(rows, left, to);
      }
    }
  }

  int64_t images_rows, columns, channels;
  int8_t* panels;
};

// Some images, rows and quads of columns of the error, whose positions are multiplied at a time:
// never more than 32 bits hold the sum of. Parts of a row are of one row of one image.
struct Chunk {
  int64_t image, images, row, rows, quad, quads;
};

std::vector<Chunk> ChunksOf(int64_t images, int64_t rows, int64_t quads) {
  std::vector<Chunk> chunks;
  if (4 * quads > kExactIn32Bits) {
    for (int64_t row = 0; row < images * rows; ++row) {
      for (int64_t q = 0; q < quads; q += kExactIn32Bits / 4) {
        chunks.push_back({row / rows, 1, row % rows, 1, q, std::min(kExactIn32Bits / 4, quads - q)});
      }
    }
    return chunks;
  }
  const int64_t most = std::max<int64_t>(kChunk / (4 * quads), 1);       // rows
  const int64_t together = std::max<int64_t>(most / rows, 1);            // images
  for (int64_t n = 0; n < images; n += together) {
    for (int64_t y = 0; y < rows; y += most) {
      chunks.push_back({n, std::min(together, images - n), y, std::min(most, rows - y), 0, quads});
    }
  }
  return chunks;
}

// Computes the gradient of one panel's output channels and some input channels.
//
// `Sum` holds the sum over all positions: int32_t, or double where 32 bits are too few.
template <typename Sum>
void Multiply(const Planes& planes, const uint8_t* a, const Errors& errors, int64_t panel,
              Part channels, float scale, float* gradient) {
  const Axis &rows = planes.rows, &columns = planes.columns;
  const int64_t taps = rows.kernel * columns.kernel, first = panel * kPanel;
  const int64_t outputs = std::min<int64_t>(kPanel, errors.channels - first);
  const int width = errors.width(panel);

  // What the bytes n + 128 of A add to the sums.
  int32_t of_error[kPanel] = {};
  AddColumns(errors.At(panel, 0), errors.images_rows * errors.quads(), width, of_error);
  Sum zeros[kPanel];
  for (int j = 0; j < kPanel; ++j) zeros[j] = static_cast<Sum>(of_error[j]) * kZero;
  const auto write = [&](const auto* sums, int64_t tap, int64_t channel) {
    float* to = gradient + (tap * planes.channels + channel) * errors.channels + first;
    for (int64_t j = 0; j < outputs; ++j) to[j] = static_cast<float>(sums[j] - zeros[j]) * scale;
  };

  const std::vector<Chunk> chunks = ChunksOf(planes.batch, rows.output, errors.quads());
  std::vector<Sum> sums(chunks.size() == 1 ? 0 : taps * channels.count * kPanel);
  alignas(64) int32_t tile[kTileRows * kPanel];
  const int64_t tiles = CeilDiv(channels.count, kTileRows);
  for (const Chunk& chunk : chunks) {
    const int8_t* e = errors.At(panel, chunk.image * rows.output + chunk.row) +
                      4 * width * chunk.quad;
    for (int64_t t = 0; t < tiles; ++t) {
      const Part part = EvenPart(channels.count, tiles, t);
      const int64_t channel = channels.first + part.first;
      for (int64_t tap = 0; tap < taps; ++tap) {
        const int64_t at = planes.At(chunk.image, channel, chunk.row, tap / columns.kernel,
                                     tap % columns.kernel);
        const Rows bytes{a + at + 4 * chunk.quad, planes.plane,
                         chunk.quads, chunk.rows,
                         rows.stride * planes.width, chunk.images,
                         planes.channels * planes.plane};
        MultiplyTile(static_cast<int>(part.count), width, bytes, e, tile);
        if (chunks.size() == 1) {
          for (int64_t i = 0; i < part.count; ++i) write(tile + i * kPanel, tap, channel + i);
          continue;
        }
        Sum* to = sums.data() + (tap * channels.count + part.first) * kPanel;
        for (int64_t i = 0; i < part.count * kPanel; ++i) to[i] += static_cast<Sum>(tile[i]);
      }
    }
  }
  for (int64_t row = 0; !sums.empty() && row < taps * channels.count; ++row) {
    write(sums.data() + row * kPanel, row / channels.count, channels.first + row % channels.count);
  }
}

class FilterGradient : public tensorflow::OpKernel {
 public:
  explicit FilterGradient(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, attributes_.Read(context));
    OP_REQUIRES_OK(context, context->GetAttr("kernel_size", &kernel_));
    OP_REQUIRES(context, kernel_.size() == 2 && kernel_[0] > 0 && kernel_[1] > 0,
                absl::InvalidArgumentError(absl::StrCat("kernel_size is height and width.")));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& input = context->input(0);
    const Tensor& error = context->input(1);
    const Tensor& scale = context->input(2);
    OP_REQUIRES(context, input.dims() == 4 && error.dims() == 4 && scale.NumElements() == 1,
                absl::InvalidArgumentError(absl::StrCat("a rank is not 4, or there is not one scale")));
    Axis rows = attributes_.Of(0, input.dim_size(1), kernel_[0]);
    Axis columns = attributes_.Of(1, input.dim_size(2), kernel_[1]);
    int64_t batch = input.dim_size(0);
    const int64_t inputs = input.dim_size(3), outputs = error.dim_size(3);
    OP_REQUIRES(context,
                error.shape() == TensorShape({batch, rows.output, columns.output, outputs}),
                absl::InvalidArgumentError(absl::StrCat("an error of shape ", error.shape().DebugString(),
                                " does not fit an input of ", input.shape().DebugString(), ".")));
    Tensor* output = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, {kernel_[0], kernel_[1], inputs, outputs},
                                                     &output));
    const int64_t positions = batch * rows.output * columns.output;
    if (rows.kernel * columns.kernel == 1 && rows.stride * columns.stride == 1) {
      // Without neighbours all positions are one row, and no quad is left half empty.
      batch = positions > 0;
      rows = Axis::Of(1, 1, 1, 1, false);
      columns = Axis::Of(positions, 1, 1, 1, false);
    }
    if (positions <= kExactIn32Bits) {
      Compute<int32_t>(context, rows, columns, batch, output);
    } else {
      Compute<double>(context, rows, columns, batch, output);
    }
  }

 private:
  template <typename Sum>
  void Compute(OpKernelContext* context, const Axis& rows, const Axis& columns, int64_t batch,
               Tensor* output) {
    const int64_t inputs = output->dim_size(2), outputs = output->dim_size(3);
    const int64_t taps = rows.kernel * columns.kernel;
    const int8_t* image = context->input(0).flat<int8_t>().data();
    const int8_t* error = context->input(1).flat<int8_t>().data();
    const float scale = context->input(2).flat<float>()(0);
    float* gradient = output->flat<float>().data();
    const int64_t height = batch * rows.output;
    if (inputs == 0 || outputs == 0) return;

    const Planes planes(rows, columns, batch, inputs);
    Errors errors{height, columns.output, outputs, nullptr};
    const int64_t panels = errors.count();
    Tensor plane_bytes, panel_bytes;
    OP_REQUIRES_OK(context, context->allocate_temp(tensorflow::DT_UINT8,
                                                   TensorShape({planes.bytes() + 64}),
                                                   &plane_bytes));
    OP_REQUIRES_OK(context,
                   context->allocate_temp(tensorflow::DT_INT8,
                                          TensorShape({panels * height * kPanel * 4 *
                                                       errors.quads() + 1}),
                                          &panel_bytes));
    uint8_t* a = plane_bytes.flat<uint8_t>().data();
    errors.panels = panel_bytes.flat<int8_t>().data();

    ForTasks(context, batch * planes.height, inputs * planes.width, [&](int64_t row) {
      planes.Fill(image, row / planes.height, row % planes.height, a);
    });
    ForTasks(context, height, columns.output * outputs, [&](int64_t row) {
      for (int64_t panel = 0; panel < panels; ++panel) errors.Pack(error, panel, row);
    });
    const int64_t groups =
        std::min(CeilDiv(inputs, kTileRows), CeilDiv(WantedTasks(context), panels));
    const int64_t cycles =
        taps * inputs * kPanel * height * columns.output / (kProductsPerCycle * groups);
    ForTasks(context, panels * groups, cycles, [&](int64_t task) {
      const int64_t panel = task / groups;
      const Part channels = EvenPart(inputs, groups, task % groups);
      Multiply<Sum>(planes, a, errors, panel, channels, scale, gradient);
    });
  }

  Attributes attributes_;
  std::vector<int32_t> kernel_;
};

absl::Status FilterShape(InferenceContext* c) {
  std::vector<int32_t> kernel;
  TF_RETURN_IF_ERROR(c->GetAttr("kernel_size", &kernel));
  ShapeHandle input, error;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &input));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 4, &error));
  c->set_output(0, c->MakeShape({c->MakeDim(kernel[0]), c->MakeDim(kernel[1]), c->Dim(input, 3),
                                 c->Dim(error, 3)}));
  return absl::OkStatus();
}

REGISTER_OP("TfquantsegConv2DBackpropFilter")
    .Input("input: int8")
    .Input("out_backprop: int8")
    .Input("scale: float")
    .Output("output: float")
    .Attr("kernel_size: list(int)")
    .Attr("strides: list(int)")
    .Attr("dilations: list(int)")
    .Attr("padding: {'SAME', 'VALID'}")
    .SetShapeFn(FilterShape);

REGISTER_KERNEL_BUILDER(Name("TfquantsegConv2DBackpropFilter").Device(tensorflow::DEVICE_CPU),
                        FilterGradient);

}  // namespace
}  // namespace tfquantseg
