"""FCN8s: its structure, its initial weights, and its pretrained encoder."""

import pathlib

import keras
import numpy as np
import pytest

from tfquantseg.models import fcn8s_vgg16, feature_scale, vgg16_weights


@pytest.fixture(scope="module")
def untrained() -> keras.Model:
    return fcn8s_vgg16(4, fc_width=8, seed=5)


@pytest.fixture(scope="module")
def with_hed() -> keras.Model:
    return fcn8s_vgg16(11, input_size=(90, 120), fc_width=512, encoder="hed", dropout=0.0)


def _image(height: int, width: int) -> np.ndarray:
    drawn = np.random.default_rng(0).integers(0, 256, (1, height, width, 3))
    return drawn.astype(np.float32)


def test_logits_have_the_size_of_the_image(untrained: keras.Model, with_hed: keras.Model) -> None:
    assert untrained(_image(64, 96)).shape == (1, 64, 96, 4)
    assert with_hed(_image(90, 120)).shape == (1, 90, 120, 11)


def test_layers_have_the_names_of_the_original(untrained: keras.Model) -> None:
    expected = {*vgg16_weights.layer_names(), "fc6", "fc7"}
    expected |= {"score_fr", "score_pool4", "score_pool3", "upscore2", "upscore_pool4", "upscore8"}
    assert {layer.name for layer in untrained.layers if layer.weights} == expected
    assert untrained.get_layer("fc6").kernel.shape == (7, 7, 512, 8)
    assert untrained.get_layer("fc7").kernel.shape == (1, 1, 8, 8)
    assert [untrained.get_layer(f"drop{i}").rate for i in (6, 7)] == [0.5, 0.5]


def test_logits_are_the_three_scores_enlarged_and_added(untrained: keras.Model) -> None:
    names = ["pool3", "pool4", "fc7"]
    features = keras.Model(untrained.input, [untrained.get_layer(n).output for n in names])
    pool3, pool4, fc7 = features(_image(64, 96))

    def apply(name: str, x: keras.KerasTensor) -> keras.KerasTensor:
        return untrained.get_layer(name)(x)

    x = apply("upscore2", apply("score_fr", fc7)) + apply("score_pool4", pool4)
    x = apply("upscore8", apply("upscore_pool4", x) + apply("score_pool3", pool3))
    np.testing.assert_array_equal(untrained(_image(64, 96)), x)


def test_the_network_starts_with_the_papers_weights(untrained: keras.Model) -> None:
    for layer in untrained.layers:
        if isinstance(layer, keras.layers.Conv2DTranspose):
            stride = layer.strides[0]
            kernel = np.asarray(layer.kernel)
            assert kernel.shape == (2 * stride, 2 * stride, 4, 4)
            assert not layer.use_bias
            # Every output pixel inside is an average: the taps of a phase add up to 1.
            phases = kernel.reshape(2, stride, 2, stride, 4, 4).sum((0, 2))
            np.testing.assert_allclose(phases, np.broadcast_to(np.eye(4), phases.shape), atol=1e-6)
        elif isinstance(layer, keras.layers.Conv2D):
            kernel = np.asarray(layer.kernel)
            gain = 1 if layer.name.startswith("score") else 2
            expected = np.sqrt(gain / np.prod(kernel.shape[:3]))
            # Draws of a kernel: 32 (score_fr) and 64 (fc7) at least; three standard errors.
            assert kernel.std() == pytest.approx(expected, rel=3 / np.sqrt(2 * kernel.size))
            assert not np.asarray(layer.bias).any()


def test_the_seed_alone_decides_the_weights(untrained: keras.Model) -> None:
    same, other = (fcn8s_vgg16(4, fc_width=8, seed=seed) for seed in (5, 6))
    for name in ("conv1_1", "fc6", "score_pool3"):
        kernel = np.asarray(untrained.get_layer(name).kernel)
        np.testing.assert_array_equal(kernel, same.get_layer(name).kernel)
        assert (kernel != np.asarray(other.get_layer(name).kernel)).any()
    scores = [np.asarray(untrained.get_layer(n).kernel).ravel()[:8] for n in ("fc7", "score_fr")]
    assert (scores[0] != scores[1]).all()


def test_encoder_fits_limit_1_and_new_layers_keep_their_start(with_hed: keras.Model) -> None:
    for layer in with_hed.layers:
        for weight in layer.weights:
            # 1 - 2^-7 up to float32's rounding, which UQ(W, 8) of limit 1 then clips to.
            assert np.abs(weight.numpy()).max() <= (1 - 2.0**-7) * (1 + 1e-6), weight.path
    plain = fcn8s_vgg16(11, fc_width=512, dropout=0.0)
    for name in ("fc7", "score_fr", "score_pool4", "score_pool3", "upscore2", "upscore8"):
        kernel = np.asarray(with_hed.get_layer(name).kernel)
        np.testing.assert_array_equal(kernel, plain.get_layer(name).kernel)
    # Only the largest bias of conv5_3 (12.2, for features of 10) asks for less than 1.
    ratio = np.asarray(with_hed.get_layer("fc6").kernel) / plain.get_layer("fc6").kernel
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-5)
    assert 1 <= ratio.mean() < 1.3


def test_encoder_features_are_the_originals_times_a_factor(with_hed: keras.Model) -> None:
    weights = vgg16_weights.read("hed")
    noise = feature_scale.natural_noise(3)[:90, :120]
    names = [*vgg16_weights.layer_names(), "pool3", "pool4", "pool5"]
    features = keras.Model(with_hed.input, [with_hed.get_layer(name).output for name in names])
    found = dict(zip(names, features(noise[np.newaxis]), strict=True))
    x = np.pad(noise, ((0, 6), (0, 8), (0, 0)), constant_values=128)[np.newaxis] / 128 - 1
    for name in vgg16_weights.layer_names():
        kernel, bias = weights[name]
        x = keras.ops.relu(keras.ops.conv(x, kernel, padding="same") + bias)
        original, now = np.asarray(x).ravel(), np.asarray(found[name]).ravel()
        factor = now @ original / (original @ original)
        # Float32 through up to 13 layers, relative to the largest value.
        np.testing.assert_allclose(now, factor * original, rtol=0, atol=1e-4 * now.max())
        if name in ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3"):
            x = keras.ops.max_pool(x, 2, 2)
    for name in ("pool3", "pool4", "pool5"):
        # Another piece of noise than the one they were scaled by.
        assert 0.5 < np.sqrt(np.mean(np.square(found[name]))) < 2


# Keras saves a variable through NumPy's older protocol.
def test_a_local_encoder_file(untrained: keras.Model, tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "encoder.weights.h5")
    keras.applications.VGG16(weights=None, include_top=False).save_weights(path)
    model = fcn8s_vgg16(4, fc_width=8, encoder=path, preprocessing="torch")
    assert not np.array_equal(
        model.get_layer("conv3_1").kernel, untrained.get_layer("conv3_1").kernel
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": 1}, "classes must be an integer of at least 2 .* got 1"),
        ({"classes": 2, "fc_width": 0}, "fc_width must be an integer of at least 1"),
        ({"classes": 2, "dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
        ({"classes": 2, "input_size": (64, 31)}, "width must be an integer of at least 32"),
        ({"classes": 2, "preprocessing": "caffe"}, "give encoder too"),
        ({"classes": 2, "encoder": "resnet"}, "'resnet' is neither 'imagenet' nor 'hed'"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fcn8s_vgg16(**arguments)  # type: ignore[arg-type]
