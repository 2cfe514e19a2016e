"""Which Bazel bazelw starts, and what it hands over; every program on its PATH is a fake."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

TOOLS = ("bash", "cat", "chmod", "dirname", "env", "mktemp", "readlink", "realpath")
TOOLS += ("rm", "sed", "sh")
# Says what it was started with, and what it was told.
REPORT = 'echo "$0 data=$TFQUANTSEG_DATA version=$USE_BAZEL_VERSION args=$*"'
# A plain binary, or a launcher of one version: says so whatever it is asked for.
PLAIN = '#!/bin/sh\n[ "$1" = --version ] && echo "bazel {version}" && exit\n' + REPORT
# Debian's launcher: knows the name 4, and its build has no version.
DEBIAN = (
    '#!/bin/sh\n[ "$USE_BAZEL_VERSION" = 4 ] || [ -z "$USE_BAZEL_VERSION" ] || exit 1\n'
    '[ "$1" = --version ] && echo "bazel no_version" && exit\n' + REPORT
)


class Machine:
    """A PATH of fakes, and a checkout with bazelw."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool) or pytest.fail(f"no {tool} here"))
        (self.bin / "python3").symlink_to(sys.executable)
        self.add("id", "#!/bin/sh\necho 0\n")
        for compiler in ("gcc", "g++"):
            self.add(compiler, "#!/bin/sh\n")
        self.checkout = folder / "above" / "checkout"
        self.checkout.mkdir(parents=True)
        shutil.copy("bazelw", self.checkout / "bazelw")
        (self.checkout / "build_defs").mkdir()
        shutil.copy("build_defs/summary.py", self.checkout / "build_defs" / "summary.py")

    def add(self, name: str, script: str) -> None:
        (self.bin / name).write_text(script)
        (self.bin / name).chmod(0o755)

    def add_debian_bazel(self) -> None:
        self.add("bazel", DEBIAN)
        self.add("bazel-4", DEBIAN)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.checkout / "bazelw", *arguments],
            cwd=self.checkout,
            env={"PATH": str(self.bin), "HOME": os.environ["HOME"], **environment},
            capture_output=True,
            text=True,
        )


@pytest.fixture
def machine(tmp_path: pathlib.Path) -> Machine:
    return Machine(tmp_path)


def refusal(process: subprocess.CompletedProcess[str]) -> str:
    """Returns the one line with which bazelw refused."""
    assert process.returncode == 1
    assert process.stdout == ""
    assert process.stderr.startswith("bazelw: ")
    assert process.stderr.count("\n") == 1
    return process.stderr


def test_bazelisk_comes_first_and_is_asked_for_the_tested_version(machine: Machine) -> None:
    machine.add("bazelisk", PLAIN.format(version="9.9.9"))
    machine.add_debian_bazel()
    output = machine.run("build", "//...").stdout
    assert "bin/bazelisk " in output
    assert "version=4.2.3 args=build //..." in output


@pytest.mark.parametrize("version", ["4.0.0", "4.2.3", "4.2.4- (@1234567)"])
def test_an_installed_bazel_of_the_tested_major_version_is_started(
    machine: Machine, version: str
) -> None:
    machine.add("bazel", PLAIN.format(version=version))
    process = machine.run("build", "//a:b")
    assert process.returncode == 0
    assert "args=build //a:b" in process.stdout


def test_debians_bazel_is_asked_for_the_name_it_knows(machine: Machine) -> None:
    machine.add_debian_bazel()
    assert "version=4 args=build //..." in machine.run("build", "//...").stdout


@pytest.mark.parametrize("version", ["3.7.2", "5.4.1", "8.0.0", "9.1.0", "40.0.0"])
def test_another_major_version_is_refused(machine: Machine, version: str) -> None:
    machine.add("bazel", PLAIN.format(version=version))
    machine.add("apt-get", "#!/bin/sh\necho called >&2\n")
    message = refusal(machine.run("test", "//..."))
    assert f"is version {version}" in message
    assert "tested with Bazel 4 only" in message


def test_a_development_build_that_is_not_debians_is_refused(machine: Machine) -> None:
    machine.add("bazel", PLAIN.format(version="no_version"))
    assert "is version no_version" in refusal(machine.run("build"))


def test_a_broken_bazel_is_refused(machine: Machine) -> None:
    machine.add("bazel", "#!/bin/sh\nexit 1\n")
    assert "is version unknown" in refusal(machine.run("build"))


def install_on_call(machine: Machine, fails_before_update: bool) -> None:
    """Adds an apt-get that installs Debian's bazel, at first or only after an update."""
    source = machine.bin.parent / "package"
    source.write_text(DEBIAN)
    updated = machine.bin.parent / "updated"
    if not fails_before_update:
        updated.touch()
    machine.add(
        "apt-get",
        f"""#!/bin/sh
case $1 in
  update) : >{updated} ;;
  install)
    [ -e {updated} ] || {{ echo "E: Unable to locate package" >&2; exit 100; }}
    for name in bazel bazel-4; do
      cat {source} >{machine.bin}/$name && chmod +x {machine.bin}/$name
    done ;;
esac
""",
    )


@pytest.mark.parametrize("fails_before_update", [False, True])
def test_root_on_debian_gets_the_package(machine: Machine, fails_before_update: bool) -> None:
    install_on_call(machine, fails_before_update)
    process = machine.run("build", "//...")
    assert "installing Debian's package bazel-bootstrap" in process.stderr
    assert "version=4 args=build //..." in process.stdout


def test_a_package_that_cannot_be_installed_says_why(machine: Machine) -> None:
    machine.add("apt-get", '#!/bin/sh\necho "E: no network" >&2\nexit 100\n')
    process = machine.run("build")
    assert process.returncode == 1
    assert "E: no network" in process.stderr
    assert process.stderr.endswith(
        "bazelw: apt-get could not install bazel-bootstrap, for the reason above.\n"
    )


def test_without_root_nothing_is_installed(machine: Machine) -> None:
    install_on_call(machine, fails_before_update=False)
    machine.add("id", "#!/bin/sh\necho 1000\n")
    assert "no Bazel on PATH" in refusal(machine.run("build"))


def test_without_apt_get_and_bazel_there_is_one_sentence(machine: Machine) -> None:
    assert "no Bazel on PATH" in refusal(machine.run("test", "//..."))


@pytest.mark.parametrize("missing", ["gcc", "g++"])
def test_without_a_compiler_there_is_one_sentence(machine: Machine, missing: str) -> None:
    machine.add("bazel", PLAIN.format(version="4.2.3"))
    (machine.bin / missing).unlink()
    assert "no C++ compiler on PATH" in refusal(machine.run("test", "//..."))
    assert "args=build //..." in machine.run("build", "//...", CC="/opt/bin/clang").stdout


def test_the_data_folder_is_beside_the_checkout_or_where_the_user_says(machine: Machine) -> None:
    machine.add_debian_bazel()
    beside = machine.checkout.parent / "shared" / "data"
    beside.mkdir(parents=True)
    assert f"data={beside} " in machine.run("run", "//a").stdout
    (machine.checkout / "mine").mkdir()
    assert f"data={machine.checkout}/mine " in machine.run("run", TFQUANTSEG_DATA="mine").stdout
    assert f"data={machine.checkout}/mine " in machine.run("test", TFQUANTSEG_DATA="mine").stdout


def test_tests_are_told_of_a_data_folder_only_where_it_is(machine: Machine) -> None:
    machine.add_debian_bazel()
    assert f"data={machine.checkout.parent}/shared/data " in machine.run("run", "//a").stdout
    assert "data= " in machine.run("test", "//...").stdout


def test_a_test_run_ends_with_the_counts_and_keeps_bazels_status(machine: Machine) -> None:
    machine.add("bazel", PLAIN.format(version="4.2.3") + "\nexit 3\n")
    process = machine.run("--batch", "test", "--config=x", "//...")
    assert process.returncode == 3
    started, line = process.stdout.splitlines()
    assert "args=--batch test --build_event_json_file=" in started
    assert started.endswith(" --config=x //...")
    assert line == "0 passed, 1 failed, 0 skipped"


@pytest.mark.parametrize("arguments", [("run", "//a", "--", "test"), ("query", "test"), ()])
def test_other_commands_are_handed_over_as_they_are(
    machine: Machine, arguments: tuple[str, ...]
) -> None:
    machine.add("bazel", PLAIN.format(version="4.2.3") + "\nexit 7\n")
    process = machine.run(*arguments)
    assert process.returncode == 7
    assert process.stdout.endswith(f"args={' '.join(arguments)}\n")
    assert process.stdout.count("\n") == 1
