"""The command predict, as a user types it: on a run's own data, on images, with a saved model."""

import json
import shlex
from pathlib import Path

import keras
import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from tests.training.networks import threshold
from tests.training.tiny import config
from tfquantseg.cli import predict
from tfquantseg.optimizer import IntegerSGD
from tfquantseg.training import checkpoints, recipe, workdir

RED = np.zeros((5, 7, 3), np.uint8)
RED[:, 3:, 0] = 200
SHARE = {"0": 3 / 7, "1": 4 / 7}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a model, and photos of which the red part is class 1."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BUILD_WORKING_DIRECTORY", raising=False)
    threshold().save(tmp_path / "mine.keras")
    (tmp_path / "photos" / "more").mkdir(parents=True)
    for name in ("a.png", "b.bmp", "more/a.png"):
        Image.fromarray(RED).save(tmp_path / "photos" / name)
    return tmp_path


def _run(here: Path, of: ConfigDict) -> None:
    """Makes a work directory as a training does, of a model with 11 classes."""
    made = recipe.plain(of)
    image = keras.Input((None, None, 3))
    model = keras.Model(image, keras.layers.Conv2D(11, 1)(image))
    optimizer = IntegerSGD(2.0**-5)
    optimizer.build(model.trainable_variables)
    path = here / "run"
    (path / workdir.CHECKPOINTS).mkdir(parents=True)
    workdir.claim(path, made)
    checkpoints.save(
        path / workdir.CHECKPOINTS, model, optimizer, step=7, miou=None, config=made, keep=1
    )


def _error(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert predict.main(["predict", *argv]) == 2
    return capsys.readouterr().err


def _written(out: str) -> dict:
    return json.loads(Path(out, "predictions.json").read_text())


def test_images_with_a_saved_model(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "photos" / "notes.txt").touch()
    argv = ["predict", "--model=mine.keras", "--images=photos", "--images=photos/more/a.png"]
    assert predict.main([*argv, "--out=out"]) == 0
    printed = capsys.readouterr()
    assert (
        "Left out, folders or no images by their ending: photos/more, photos/notes" in printed.err
    )
    assert "3/3 images in " in printed.err
    assert "Contact sheet  out/contact_sheet.png (3 images)" in printed.out
    written = _written("out")
    assert [image["image"] for image in written["images"]] == [
        "photos/a.png", "photos/b.bmp", "photos/more/a.png",
    ]  # fmt: skip
    assert [image["classes"] for image in written["images"]] == [
        "classes/a.png", "classes/b.png", "classes/a-2.png",
    ]  # fmt: skip
    for image in written["images"]:
        assert (image["height"], image["width"], image["share"]) == (5, 7, SHARE)
        with Image.open(Path("out", image["classes"])) as classes:
            np.testing.assert_array_equal(np.asarray(classes), RED[..., 0] == 200)
    assert (written["model"], written["step"], written["scales"]) == ("mine.keras", None, None)

    Path("names.txt").write_text("ground 10 20 30\nred thing 40 50 60\n")
    again = shlex.split(printed.out.splitlines()[-1], comments=True)
    assert again[0] == "tfquantseg-predict"
    assert predict.main([*again[:-1], "--classes=names.txt"]) == 0
    assert "Next:" not in capsys.readouterr().out
    assert _written("out-named")["classes"] == ["ground", "red thing"]
    assert _written("out-named")["palette"] == [[10, 20, 30], [40, 50, 60]]


def test_a_split_of_the_run_with_its_ground_truth(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(here, config())
    assert predict.main(["predict", "--workdir=run", "--split=val[:0.125]", "--out=out"]) == 0
    printed = capsys.readouterr()
    assert "Model          run/checkpoints/step_00000007/model.keras (after step 7, float32)" in (
        printed.out
    )
    assert "  tfquantseg-evaluate --workdir=run '--split=val[:0.125]'" in printed.out
    written = _written("out")
    assert [image["image"] for image in written["images"]] == [
        "digits val scene 0", "digits val scene 1",
    ]  # fmt: skip
    assert written["classes"] == ["background", *"0123456789"]
    assert written["step"] == 7
    with Image.open("out/contact_sheet.png") as sheet:
        # Three tiles for each of two images: 6 tiles of 192 pixels.
        assert sheet.width == 6 * 202 + 10


def test_images_with_a_run_that_scales_them_down(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = config()
    made.data.fit = "resize"
    _run(here, made)
    assert predict.main(["predict", "--workdir=run", "--images=photos/a.png", "--out=out"]) == 0
    printed = capsys.readouterr()
    assert "Images are scaled to 64 x 64, as while training" in printed.err
    assert (_written("out")["images"][0]["height"]) == 5
    following = shlex.split(printed.out.splitlines()[-2])
    assert following[1:] == ["--workdir=run", "--split=val[:0.25]", "--out=out-val"]


def test_names_of_classes_without_the_data_set(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = config()
    made.data.name = "camvid"
    made.data.options = ConfigDict({"root": "/nowhere"})
    _run(here, made)
    argv = ["--workdir=run", "--images=photos/a.png", "--out=out"]
    shown = _error(capsys, *argv)
    assert "Error: The names of the classes are those of the run's data set. There is no" in shown
    assert "give a file of names as --classes." in shown
    assert not Path("out").exists()
    Path("names.txt").write_text("\n".join(f"class {k}" for k in range(11)))
    assert predict.main(["predict", *argv, "--classes=names.txt"]) == 0
    assert _written("out")["classes"][10] == "class 10"


def test_unreadable_images_are_named_and_all_others_predicted(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(6):
        (here / "photos" / f"0{number}.png").write_bytes(b"")
    shown = _error(capsys, "--model=mine.keras", "--images=photos", "--out=out")
    assert "Error: 6 of 8 images have no prediction:\n  photos/00.png (0 bytes) cannot" in shown
    assert "  photos/04.png (0 bytes)" in shown and "photos/05.png" not in shown
    assert shown.endswith("  and 1 more, listed in out/predictions.json\n")
    written = _written("out")
    assert [image["image"] for image in written["images"]] == ["photos/a.png", "photos/b.bmp"]
    assert [failed["image"] for failed in written["failed"]] == [
        f"photos/0{number}.png" for number in range(6)
    ]


def test_an_image_too_large_for_the_model_is_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    threshold(4, 8).save(here / "small.keras")
    shown = _error(capsys, "--model=small.keras", "--images=photos/a.png", "--out=out")
    assert shown.endswith(
        "Error: 1 of 1 images have no prediction:\n  photos/a.png: 5 x 7 pixels are more than the "
        "4 x 8 that model 'threshold' was built for; scale the image down, or cut it into parts.\n"
    )
    assert _written("out")["images"] == []


def test_an_image_is_turned_as_its_camera_noted(here: Path) -> None:
    turn = Image.Exif()
    turn[0x0112] = 6
    Image.fromarray(RED).save(here / "turned.png", exif=turn)
    argv = ["predict", "--model=mine.keras", "--images=turned.png", "--out=out"]
    assert predict.main(argv) == 0
    with Image.open("out/classes/turned.png") as classes:
        np.testing.assert_array_equal(np.asarray(classes), np.rot90(RED[..., 0] == 200, -1))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--images=photos", "Give either --workdir or --model; received neither."),
        ("--workdir=w --model=m --images=photos", "Give either --workdir or --model; received bot"),
        ("--model=mine.keras", "Give either --images or --split; received neither."),
        ("--workdir=w --images=a --split=val", "Give either --images or --split; received both."),
        ("--model=mine.keras --split=val", "--split is one of a run's data set; with --model"),
        ("--model=m --images=photos --checkpoint=last", "--checkpoint chooses one of a --workdir"),
        ("--model=m.tflite --images=photos --scales=running", "--scales is for models; a .tflite"),
        ("--workdir=w --split=val --classes=c", "--split has the classes of its data set"),
        ("--model=mine.keras --images=", "The name of an image is empty"),
        ("--model=mine.keras --images=none", "There is no file or folder "),
        ("--model=mine.keras --images=photos/*.gif", "No file matches 'photos/*.gif' in "),
        ("--model=mine.keras --images=empty", "There is no image in empty, which is empty"),
        ("--model=none.keras --images=photos", "There is no model "),
        ("--model=none.tflite --images=photos", "There is no model "),
        ("--model=photos/a.png --images=photos", "photos/a.png has the ending '.png'; accepted"),
        ("--model=pooled.keras --images=photos", "pooled.keras: Model 'pooled' returns [?, 3]; ac"),
        ("--model=mine.keras --images=photos --classes=none", "none is missing."),
        ("--model=mine.keras --images=photos --classes=three", "three names 3 classes, and mine.k"),
        ("--workdir=photos --images=photos", "photos is not a work directory"),
        ("--model=mine.keras --images=photos --scales=no", "flag --scales=no"),
    ],
)
def test_what_is_refused_before_anything_is_written(
    here: Path, capsys: pytest.CaptureFixture[str], argv: str, message: str
) -> None:
    (here / "empty").mkdir()
    (here / "three").write_text("a\nb\nc\n")
    image = keras.Input((None, None, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    keras.Model(image, pooled, name="pooled").save(here / "pooled.keras")
    last = _error(capsys, *argv.split(), "--out=out").splitlines()[-1]
    assert last.startswith(f"Error: {message}")
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (
            "photos",
            "photos is not empty: it holds a.png, b.bmp, more. Nothing is written over; give "
            "another folder as --out.",
        ),
        ("mine.keras", "mine.keras is a file; give a folder"),
        ("mine.keras/out", "Not a directory: mine.keras/out/overlays."),
        ("/proc/out", ""),  # the words depend on who runs the test
    ],
)
def test_an_output_folder_that_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str], out: str, message: str
) -> None:
    shown = _error(capsys, "--model=mine.keras", "--images=photos", f"--out={out}")
    assert shown.splitlines()[-1].startswith(f"Error: {message}")
    assert "1/2 images" not in shown


def test_without_an_output_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--out must have a value" in _error(capsys, "--model=m", "--images=i")
