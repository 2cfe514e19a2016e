"""Where own ops may be used: asked in each way in which TensorFlow runs and traces code."""

import pathlib
import threading
from collections.abc import Callable

import keras
import pytest
import tensorflow as tf

from tfquantseg import kernels
from tfquantseg.kernels import library

FILE = pathlib.Path(library.__file__).with_name("_kernels.so")
X = tf.constant([1.0, 2.0])


def cpu_suffices() -> bool:
    """What Linux says of the CPU."""
    flags = pathlib.Path("/proc/cpuinfo").read_text().split("flags", 1)[-1].split("\n", 1)[0]
    return {"avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512_vnni"} <= set(flags.split())


@pytest.fixture
def file() -> pathlib.Path:
    """The library, where it was compiled: Bazel does so where there is a compiler."""
    if not FILE.exists():
        pytest.skip(kernels.why_not())
    return FILE


@pytest.fixture
def usable(file: pathlib.Path) -> None:
    """Skips where own ops cannot run."""
    if not cpu_suffices():
        pytest.skip("the CPU has no AVX-512 VNNI")


def test_own_ops_are_there_where_library_and_cpu_are() -> None:
    expected = FILE.exists() and cpu_suffices()
    assert (kernels.ops() is not None) == (kernels.why_not() == "") == expected


def test_the_processor_is_the_one_that_linux_sees(file: pathlib.Path) -> None:
    name = tf.load_op_library(str(file)).tfquantseg_processor()
    assert name.numpy() == (b"avx512_vnni" if cpu_suffices() else b"none")


@pytest.mark.usefixtures("usable")
def test_an_own_op_runs_in_eager_and_graph() -> None:
    def named() -> tf.Tensor:
        return kernels.ops().tfquantseg_processor()

    assert named().numpy() == tf.function(named)().numpy() == b"avx512_vnni"


def test_a_file_that_is_not_there_is_told() -> None:
    ops, reason = library.load_file(pathlib.Path("nowhere.so"))
    assert ops is None
    assert "is not here; `python -m tfquantseg.kernels.compile`" in reason


def test_a_library_for_another_tensorflow_is_not_loaded(
    file: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    marker = f"kernels for TensorFlow {tf.__version__};".encode()
    held = file.read_bytes()
    assert marker in held
    other = tmp_path / "other.so"
    other.write_bytes(held.replace(marker, marker.replace(b"TensorFlow 2", b"TensorFlow 1")))
    ops, reason = library.load_file(other)
    assert ops is None
    assert f"TensorFlow 1{tf.__version__[1:]}, and this is {tf.__version__}" in reason


def test_a_library_that_is_broken_is_told(tmp_path: pathlib.Path) -> None:
    broken = tmp_path / "broken.so"
    broken.write_bytes(f"tfquantseg kernels for TensorFlow {tf.__version__};".encode())
    ops, reason = library.load_file(broken)
    assert ops is None
    assert "cannot load" in reason and str(broken) in reason
    broken.write_bytes(b"nothing of ours")
    assert "is no library of own ops" in library.load_file(broken)[1]


def test_a_cpu_without_the_instructions_gets_stock_ops(
    file: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "_NEEDED", "instructions_of_the_future")
    ops, reason = library.load_file(file)
    assert ops is None
    assert reason == "The CPU has no AVX-512 VNNI, for which the own ops are written."


def test_beside_a_gpu_stock_ops_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [f"/device:{kind}:0"])
    assert kernels.ops() is None
    assert "GPU" in kernels.why_not()


def test_stock_ops_can_be_asked_for_in_every_thread() -> None:
    before, seen = kernels.why_not(), list[str]()
    with kernels.stock():
        with kernels.stock():
            pass
        assert kernels.ops() is None
        thread = threading.Thread(target=lambda: seen.append(kernels.why_not()))
        thread.start()
        thread.join()
    assert seen == ["Stock ops were asked for with kernels.stock()."]
    assert kernels.why_not() == before


def test_stock_ends_with_an_error_too() -> None:
    before = kernels.why_not()
    with pytest.raises(KeyError), kernels.stock():
        raise KeyError
    assert kernels.why_not() == before


class Asked:
    """A product with a custom gradient, which notes in_xla() of its forward and backward code."""

    def __init__(self) -> None:
        self.forward: set[bool] = set()
        self.backward: set[bool] = set()

    @property
    def seen(self) -> tuple[set[bool], set[bool]]:
        return self.forward, self.backward

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        @tf.custom_gradient
        def doubled(x: tf.Tensor):
            self.forward.add(kernels.in_xla())
            assert not (kernels.in_xla() and kernels.ops())

            def grad(dy: tf.Tensor) -> tf.Tensor:
                self.backward.add(kernels.in_xla())
                return 2 * dy

            return 2 * x, grad

        return doubled(x)


def with_gradient(function: Callable) -> Callable:
    def gradient(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, x)

    return gradient


def xla(function: Callable) -> Callable:
    return tf.function(function, jit_compile=True)


def looped(function: Callable) -> Callable:
    def loop(x: tf.Tensor) -> tf.Tensor:
        return tf.while_loop(
            lambda i, x: i < 2, lambda i, x: (i + 1, function(x)), (0, x), maximum_iterations=2
        )[1]

    return loop


WAYS = {
    "eager": (with_gradient, False),
    "graph": (lambda f: tf.function(with_gradient(f)), False),
    "graph, tape outside": (lambda f: with_gradient(tf.function(f)), False),
    "graph in graph": (lambda f: tf.function(tf.function(with_gradient(f))), False),
    "graph, loop": (lambda f: tf.function(with_gradient(looped(f))), False),
    "xla": (lambda f: xla(with_gradient(f)), True),
    "xla, tape outside": (lambda f: with_gradient(xla(f)), True),
    "graph in xla": (lambda f: xla(tf.function(with_gradient(f))), True),
    "graph in xla, tape between": (lambda f: xla(with_gradient(tf.function(f))), True),
    "xla in graph": (lambda f: tf.function(xla(with_gradient(f))), True),
    "xla, loop": (lambda f: xla(with_gradient(looped(f))), True),
    "xla, recomputed": (lambda f: xla(with_gradient(tf.recompute_grad(f))), True),
}


@pytest.mark.parametrize("way", WAYS)
def test_xla_is_seen_in_forward_and_backward_code(way: str) -> None:
    run, expected = WAYS[way]
    asked = Asked()
    run(asked)(X)
    assert asked.seen == ({expected}, {expected})


def test_a_function_that_xla_compiled_leaves_nothing_behind() -> None:
    xla(with_gradient(Asked()))(X)
    assert not kernels.in_xla()


@pytest.mark.usefixtures("usable")
def test_a_gradient_outside_of_the_compiled_function_must_keep_the_answer() -> None:
    """It is traced outside, where XLA is not seen, and compiled by XLA: why ops() says ask once."""
    asked = Asked()
    tf.function(with_gradient(xla(asked)))(X)
    assert asked.seen == ({True}, {False})

    @tf.custom_gradient
    def asks_again(x: tf.Tensor):
        def grad(dy: tf.Tensor) -> tf.Tensor:
            with tf.control_dependencies([kernels.ops().tfquantseg_processor()]):
                return tf.identity(dy)

        return tf.identity(x), grad

    with pytest.raises(tf.errors.OpError, match="TfquantsegProcessor"):
        tf.function(with_gradient(xla(asks_again)))(X)


class Doubles(keras.layers.Layer):
    """A Keras layer around `Asked`."""

    def __init__(self, asked: Asked) -> None:
        super().__init__()
        self.asked = asked

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return self.asked(x)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_keras_fit(jit_compile: bool) -> None:
    asked = Asked()
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2), Doubles(asked)])
    model.compile("sgd", "mse", jit_compile=jit_compile)
    asked.forward.clear()  # Keras called it symbolically
    model.fit(tf.ones((4, 2)), tf.ones((4, 2)), batch_size=2, verbose=0)
    assert asked.seen == ({jit_compile}, {jit_compile})


def test_a_strategy_traces_in_threads_of_its_own() -> None:
    asked = Asked()
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    xla(lambda: strategy.run(with_gradient(asked), (X,)))()
    assert asked.seen == ({True}, {True})
