#include "tfquantseg/kernels/patches.h"

#include <algorithm>
#include <memory>

#include "tensorflow/core/framework/tensor.h"
#include "tfquantseg/kernels/tasks.h"
#include "tfquantseg/kernels/vnni.h"

namespace tfquantseg {
namespace {

using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;

constexpr int64_t kPositions = 8 * kTileRows;  // positions whose patches are gathered at a time

// Taps that read neighbouring pixels of one row, whose bytes lie together.
struct Run {
  int64_t row, column;         // of the first pixel, relative to the position
  int64_t pixels;
  int64_t bytes;               // channels of all pixels, whole quads
  std::vector<int64_t> places;  // of the taps, in the order of the pixels
};

std::vector<Run> RunsOf(const std::vector<Tap>& taps, int64_t channels) {
  std::vector<Run> runs;
  for (const Tap& tap : taps) {
    if (runs.empty() || tap.row != runs.back().row ||
        tap.column != runs.back().column + runs.back().pixels) {
      runs.push_back({tap.row, tap.column, 0, 0, {}});
    }
    runs.back().pixels += 1;
    runs.back().places.push_back(tap.place);
  }
  for (Run& run : runs) run.bytes = RoundUp(run.pixels * channels, 4);
  return runs;
}

// A rectangle of taps at even distances. The pixels that neighbouring positions of a row read through
// it overlap: they are copied once, and a tile reads them there, position by position.
struct Rectangle {
  int64_t row, column;            // of the first tap, relative to the position
  int64_t rows, columns;          // taps
  int64_t row_step, column_step;  // from tap to tap, pixels
};

// Whether taps, in the order of rows and columns, make a rectangle.
bool MakeRectangle(const std::vector<Tap>& taps, Rectangle* rectangle) {
  if (taps.empty()) return false;
  int64_t columns = 1;
  const int64_t count = static_cast<int64_t>(taps.size());
  while (columns < count && taps[columns].row == taps[0].row) ++columns;
  const int64_t rows = count / columns;
  *rectangle = {taps[0].row,
                taps[0].column,
                rows,
                columns,
                rows > 1 ? taps[columns].row - taps[0].row : 1,
                columns > 1 ? taps[1].column - taps[0].column : 1};
  for (int64_t t = 0; t < count; ++t) {
    if (taps[t].row != rectangle->row + t / columns * rectangle->row_step ||
        taps[t].column != rectangle->column + t % columns * rectangle->column_step) {
      return false;
    }
  }
  return true;
}

// The weights of one grid of positions, packed into panels.
struct Packed {
  const Weights& weights;
  const std::vector<Run>& runs;
  int64_t channels;  // that are summed over
  int64_t depth;     // bytes of a patch
  int64_t columns;   // of the result
  int8_t* panels;
  int32_t* zeros;    // 128 * the sum of each column

  int8_t* panel(int64_t index) const { return panels + index * depth * kPanel; }
  int width(int64_t index) const { return PanelWidth(columns - index * kPanel); }
};

// Packs one panel, and sums its columns.
void Pack(const Packed& packed, int64_t index) {
  const Weights& weights = packed.weights;
  const int64_t column = index * kPanel, channels = packed.channels;
  const int64_t left = packed.columns - column;
  const int width = packed.width(index);
  int8_t* to = packed.panel(index);
  for (const Run& run : packed.runs) {
    for (int64_t k = 0; k < run.bytes; k += 4, to += 4 * width) {
      // Where the four bytes' weights of column 0 lie.
      const int8_t* rows[4] = {};
      for (int i = 0; i < 4 && k + i < run.pixels * channels; ++i) {
        const int64_t place = run.places[(k + i) / channels], channel = (k + i) % channels;
        rows[i] = weights.integers + place * weights.first * weights.second +
                  channel * (weights.sum_over_second ? 1 : weights.second);
      }
      if (!weights.sum_over_second) {
        for (int half = 0; half < width; half += 16) {
          const int8_t* shifted[4] = {};
          for (int i = 0; i < 4; ++i) {
            if (rows[i] != nullptr && left > half) shifted[i] = rows[i] + column + half;
          }
          Interleave(shifted, left - half, to + 4 * half);
        }
        continue;
      }
      const bool together = rows[3] != nullptr && rows[3] == rows[0] + 3;
      for (int j = 0; j < width; ++j) {
        const int64_t shift = (column + j) * weights.second;
        if (together && j < left) {
          std::memcpy(to + 4 * j, rows[0] + shift, 4);
          continue;
        }
        for (int i = 0; i < 4; ++i) {
          to[4 * j + i] = rows[i] != nullptr && j < left ? rows[i][shift] : 0;
        }
      }
    }
  }
  int32_t* zeros = packed.zeros + column;
  std::fill(zeros, zeros + width, 0);
  AddColumns(packed.panel(index), packed.depth / 4, width, zeros);
  for (int j = 0; j < width; ++j) zeros[j] *= kZero;
}

// Copies `pixels` pixels of row y of image n from column x on as bytes of A; zeros lie outside.
void CopyPixels(const Image& image, int64_t n, int64_t y, int64_t x, int64_t pixels, uint8_t* to) {
  const int64_t channels = image.channels;
  const bool inside = 0 <= y && y < image.height;
  const int64_t first = inside ? std::clamp<int64_t>(-x, 0, pixels) : 0;
  const int64_t last = inside ? std::clamp<int64_t>(image.width - x, first, pixels) : 0;
  if (first > 0) std::memset(to, kZero, first * channels);
  if (last > first) {
    const int64_t at = ((n * image.height + y) * image.width + x + first) * channels;
    CopyShifted(image.integers + at, (last - first) * channels, to + first * channels);
  }
  if (last < pixels) std::memset(to + last * channels, kZero, (pixels - last) * channels);
}

// Gathers the patch of position (i, j) of image n into a row of A.
void Gather(const Image& image, const Positions& at, const std::vector<Run>& runs, int64_t n,
            int64_t i, int64_t j, uint8_t* row) {
  for (const Run& run : runs) {
    CopyPixels(image, n, i * at.row_step + run.row, j * at.column_step + run.column, run.pixels,
               row);
    const int64_t bytes = run.pixels * image.channels;
    std::memset(row + bytes, kZero, run.bytes - bytes);
    row += run.bytes;
  }
}

// Writes a row of sums.
TFQUANTSEG_AVX512_VNNI void Finish(const int32_t* sums, const int32_t* zeros, const Epilogue& epilogue,
                            int64_t column, int64_t columns, float* to) {
  for (int64_t j = 0; j < columns; j += 16) {
    const __mmask16 there = static_cast<__mmask16>((1u << std::min<int64_t>(columns - j, 16)) - 1);
    const __m512i sum =
        _mm512_sub_epi32(_mm512_loadu_si512(sums + j), _mm512_loadu_si512(zeros + j));
    const __m512 scale = epilogue.scale_per_channel
                             ? _mm512_maskz_loadu_ps(there, epilogue.scale + column + j)
                             : _mm512_set1_ps(epilogue.scale[0]);
    __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), scale);
    if (epilogue.bias != nullptr) {
      value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(there, epilogue.bias + column + j));
    }
    // The second operand is returned where it is NaN: a NaN passes.
    if (epilogue.activation != Activation::kLinear) {
      value = _mm512_max_ps(_mm512_setzero_ps(), value);
    }
    if (epilogue.activation == Activation::kRelu6) {
      value = _mm512_min_ps(_mm512_set1_ps(6.0f), value);
    }
    _mm512_mask_storeu_ps(to + j, there, value);
  }
}

// Positions whose patches are at hand, and where their sums go.
struct Block {
  std::unique_ptr<uint8_t[]> bytes;
  Rows rows;  // of all positions
  std::vector<float*> targets;
};

void SetTarget(const Result& result, int64_t n, int64_t i, int64_t j, float** target) {
  const int64_t y = result.first_row + i * result.row_stride;
  const int64_t x = result.first_column + j * result.column_stride;
  *target = result.values + ((n * result.height + y) * result.width + x) * result.channels;
}

// Gathers the patches of some positions, of whatever rows.
Block GatheredBlock(const Image& image, const Positions& at, const Packed& packed,
                    const Result& result, Part part) {
  const int64_t depth = packed.depth, an_image = at.rows * at.columns;
  Block block{std::unique_ptr<uint8_t[]>(new uint8_t[part.count * depth]), {},
              std::vector<float*>(part.count)};
  for (int64_t p = 0; p < part.count; ++p) {
    const int64_t index = part.first + p;
    const int64_t n = index / an_image, i = index % an_image / at.columns, j = index % at.columns;
    Gather(image, at, packed.runs, n, i, j, block.bytes.get() + p * depth);
    SetTarget(result, n, i, j, &block.targets[p]);
  }
  block.rows = {block.bytes.get(), depth, depth / 4};
  return block;
}

// Copies the pixels that some positions of row i of image n read through a rectangle of taps.
Block CopiedBlock(const Image& image, const Positions& at, const Packed& packed,
                  const Result& result, const Rectangle& taps, int64_t n, int64_t i, Part part) {
  const int64_t channels = image.channels;
  const int64_t pixels =
      (part.count - 1) * at.column_step + (taps.columns - 1) * taps.column_step + 1;
  // A run's last quad may reach into what follows, which no weight counts.
  const int64_t row = RoundUp(pixels * channels + 4, 64);
  Block block{std::unique_ptr<uint8_t[]>(new uint8_t[taps.rows * row]), {},
              std::vector<float*>(part.count)};
  for (int64_t r = 0; r < taps.rows; ++r) {
    uint8_t* to = block.bytes.get() + r * row;
    CopyPixels(image, n, i * at.row_step + taps.row + r * taps.row_step,
               part.first * at.column_step + taps.column, pixels, to);
    std::memset(to + pixels * channels, kZero, row - pixels * channels);
  }
  for (int64_t p = 0; p < part.count; ++p) {
    SetTarget(result, n, i, part.first + p, &block.targets[p]);
  }
  const int64_t runs = static_cast<int64_t>(packed.runs.size()) / taps.rows;
  block.rows = {block.bytes.get(),          at.column_step * channels,
                packed.runs[0].bytes / 4,   runs,
                taps.column_step * channels, taps.rows,
                row};
  return block;
}

// Multiplies a block's positions with a group of panels.
void Multiply(const Block& block, const Packed& packed, const Epilogue& epilogue, Part group) {
  alignas(64) int32_t sums[kTileRows * kPanel];
  const int64_t count = static_cast<int64_t>(block.targets.size());
  const int64_t tiles = CeilDiv(count, kTileRows);
  for (int64_t index = group.first; index < group.first + group.count; ++index) {
    const int64_t column = index * kPanel;
    const int64_t columns = std::min<int64_t>(kPanel, packed.columns - column);
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const Part part = EvenPart(count, tiles, tile);
      Rows rows = block.rows;
      rows.first += part.first * rows.stride;
      MultiplyTile(static_cast<int>(part.count), packed.width(index), rows, packed.panel(index),
                   sums);
      for (int64_t p = 0; p < part.count; ++p) {
        Finish(sums + p * kPanel, packed.zeros + column, epilogue, column, columns,
               block.targets[part.first + p] + column);
      }
    }
  }
}

}  // namespace

Activation ActivationOf(const std::string& name) {
  if (name == "relu") return Activation::kRelu;
  return name == "relu6" ? Activation::kRelu6 : Activation::kLinear;
}

absl::Status MultiplyPatches(OpKernelContext* context, const Image& image, const Positions& positions,
                       const Weights& weights, const Epilogue& epilogue, const Result& result) {
  const int64_t total = image.batch * positions.rows * positions.columns;
  if (total == 0 || result.channels == 0) return absl::OkStatus();
  const std::vector<Run> runs = RunsOf(positions.taps, image.channels);
  const int64_t panels = CeilDiv(result.channels, kPanel);
  int64_t depth = 0;
  for (const Run& run : runs) depth += run.bytes;
  Tensor bytes, zeros;
  TF_RETURN_IF_ERROR(context->allocate_temp(
      tensorflow::DT_INT8, TensorShape({std::max<int64_t>(panels * depth * kPanel, 1)}), &bytes));
  TF_RETURN_IF_ERROR(
      context->allocate_temp(tensorflow::DT_INT32, TensorShape({panels * kPanel}), &zeros));
  const Packed packed{weights,         runs,
                      image.channels,  depth,
                      result.channels, bytes.flat<int8_t>().data(),
                      zeros.flat<int32_t>().data()};

  ForTasks(context, panels, depth * kPanel, [&](int64_t index) { Pack(packed, index); });

  // Blocks of positions are shared out; where they are few, each is shared out by panels too. Short
  // rows would leave tiles half empty, and a single tap has no pixels in common with another: there a
  // block takes positions of several rows.
  Rectangle rectangle;
  const bool copied = positions.taps.size() > 1 && positions.columns >= 2 * kTileRows &&
                      MakeRectangle(positions.taps, &rectangle);
  // Blocks of a row are some of its tiles, so that no tile is left half empty but by the row's end.
  const int64_t tiles = CeilDiv(positions.columns, kTileRows);
  const int64_t in_row = CeilDiv(tiles, kPositions / kTileRows);
  const int64_t blocks =
      copied ? image.batch * positions.rows * in_row : CeilDiv(total, kPositions);
  const int64_t groups = std::min(panels, CeilDiv(WantedTasks(context), blocks));
  const int64_t cycles = kPositions * depth * result.channels / (kProductsPerCycle * groups);
  const auto block_of = [&](int64_t index) {
    if (!copied) {
      return GatheredBlock(image, positions, packed, result, EvenPart(total, blocks, index));
    }
    const int64_t row = index / in_row;
    const Part of_tiles = EvenPart(tiles, in_row, index % in_row);
    const int64_t first = positions.columns * of_tiles.first / tiles;
    const int64_t end = positions.columns * (of_tiles.first + of_tiles.count) / tiles;
    return CopiedBlock(image, positions, packed, result, rectangle, row / positions.rows,
                       row % positions.rows, {first, end - first});
  };
  ForTasks(context, blocks * groups, cycles, [&](int64_t task) {
    Multiply(block_of(task / groups), packed, epilogue, EvenPart(panels, groups, task % groups));
  });
  return absl::OkStatus();
}

}  // namespace tfquantseg
