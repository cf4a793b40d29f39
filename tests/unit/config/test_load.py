"""Whole configurations: every example of tests/config says exactly what it should, and nothing leaks."""

from __future__ import annotations

import marshal
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from kpwatch.config.apart import from_plain, to_plain
from kpwatch.config.load import load
from kpwatch.config.problems import BadConfig, Problem

if TYPE_CHECKING:
    from kpwatch.config.options import Loaded

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "config").glob("*.toml"))

ENVIRONMENT = {"HOSTNAME": "node-a", "HOSTIP": "10.0.0.1"}


class Example(NamedTuple):
    """One file of tests/config taken apart."""

    errors: list[str]
    warnings: list[str]
    options: dict[str, object]
    files: dict[str, str]


def read_example(path: Path, directory: Path) -> Example:
    example = Example([], [], {}, {})
    name = ""
    for line in path.read_text().splitlines(keepends=True):
        if line.startswith("---- "):
            name = line.removeprefix("---- ").strip()
            example.files[name] = ""
        elif line.startswith("#! error "):
            example.errors.append(line.removeprefix("#! error ").strip())
        elif line.startswith("#! warning "):
            example.warnings.append(line.removeprefix("#! warning ").strip())
        elif line.startswith("#! options "):
            key, _, value = line.removeprefix("#! options ").partition(" = ")
            example.options[key] = eval(value, {"directory": directory})
        else:
            example.files[name] += line
    return example


def write(files: dict[str, str], directory: Path) -> Path:
    for name, text in files.items():
        (directory / name).parent.mkdir(exist_ok=True, parents=True)
        (directory / name).write_text(text)
    return directory


def load_in(directory: Path, **options: object) -> Loaded:
    return load(directory, environment=ENVIRONMENT, hostname="machine", **options)  # type: ignore[arg-type]


def said(problems: tuple[Problem, ...], directory: Path) -> list[str]:
    """Problems as text, with file names as in the example."""
    return sorted(str(problem).replace(f"{directory}/", "").replace(str(directory), ".") for problem in problems)


def _types_in(value: object) -> object:
    return (type(value), [_types_in(one) for one in value]) if isinstance(value, tuple) else type(value)


def value_at(options: object, path: str) -> object:
    for step in path.split("."):
        options = options[int(step)] if step.isdigit() else getattr(options, step)  # type: ignore[index]
    return options


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples(path: Path, tmp_path: Path) -> None:
    """All errors and warnings word for word, with file and line, and the options; another process can be given them."""
    example = read_example(path, tmp_path)
    write(example.files, tmp_path)
    if path.name.endswith(".bad.toml"):
        with pytest.raises(BadConfig) as caught:
            load_in(tmp_path)
        assert said(caught.value.problems, tmp_path) == sorted(example.errors)
        assert said(caught.value.warnings, tmp_path) == sorted(example.warnings)
        return
    loaded = load_in(tmp_path)
    assert said(loaded.warnings, tmp_path) == sorted(example.warnings)
    assert {key: value_at(loaded.options, key) for key in example.options} == example.options
    handed_over = from_plain(marshal.loads(marshal.dumps(to_plain(loaded))))
    assert handed_over == loaded
    assert _types_in(handed_over) == _types_in(loaded)


def minimal(instances: str = "", top: str = "", main: str = "") -> dict[str, str]:
    """A configuration of one writer and one target."""
    return {
        "config.toml": f'[[writers]]\nurl = "http://hub/write"\n{main}',
        "input.prometheus/p.toml": f'{top}\n[[instances]]\nurls = ["http://localhost:1/metrics"]\n{instances}',
    }


def test_without_config_toml_the_message_is_the_originals(tmp_path: Path) -> None:
    """Even if other files are there."""
    write({"other.toml": ""}, tmp_path)
    with pytest.raises(BadConfig, match=r"configuration file\(.*/config\.toml\) not found"):
        load_in(tmp_path)


INTERVALS = [
    ("", "", None, 15.0),
    ("", "", 7.0, 7.0),
    ("[global]\ninterval = 20", "", None, 20.0),
    ("[global]\ninterval = 20", "", 7.0, 7.0),
    ("[global]\ninterval = 20", "interval = 30", 7.0, 30.0),
    ("[global]\ninterval = 0", "interval = 0", None, 15.0),
    ("[global]\ninterval = -5", "", None, 15.0),
]


@pytest.mark.parametrize(("main", "top", "override", "seconds"), INTERVALS)
def test_whose_interval_wins(main: str, top: str, override: float | None, seconds: float, tmp_path: Path) -> None:
    """The plugin file, then --interval, then [global], then 15 s."""
    loaded = load_in(write(minimal(main=main, top=top), tmp_path), interval_override_seconds=override)
    assert loaded.options.targets[0].interval_seconds == seconds


def test_inputs_choose(tmp_path: Path) -> None:
    """Without prometheus nothing is scraped; an unknown name is said, with the nearest."""
    write({**minimal(), "input.cpu/cpu.toml": ""}, tmp_path)
    loaded = load_in(tmp_path, inputs={"prometheus"})
    assert (len(loaded.options.targets), said(loaded.warnings, tmp_path)) == (1, [])
    loaded = load_in(tmp_path, inputs={"promtheus"})
    assert loaded.options.targets == ()
    assert said(loaded.warnings, tmp_path) == [".: no input 'promtheus', did you mean 'prometheus'?"]


def test_a_configmap_mount(tmp_path: Path) -> None:
    """Files are symlinks into ..data, which changes at once; neither `..` entry is read as configuration."""
    volume, mounted = tmp_path / "..2024_01_01", tmp_path / "input.prometheus"
    files = minimal()
    write({"config.toml": files["config.toml"]}, volume)
    (tmp_path / "..data").symlink_to(volume.name)
    (tmp_path / "config.toml").symlink_to("..data/config.toml")
    real = write({"p.toml": files["input.prometheus/p.toml"]}, tmp_path / "elsewhere")
    mounted.symlink_to(real)
    loaded = load_in(tmp_path)
    assert [target.url for target in loaded.options.targets] == ["http://localhost:1/metrics"]
    assert loaded.warnings == ()


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    """Named with its line."""
    write(minimal(), tmp_path)
    (tmp_path / "z.toml").write_bytes(b"# fine\n# \xff\n")
    with pytest.raises(BadConfig, match=r"z\.toml:2: not UTF-8 \(byte 9\)"):
        load_in(tmp_path)


def test_windows_files_are_read(tmp_path: Path) -> None:
    """A byte order mark and CRLF do no harm."""
    write(minimal(), tmp_path)
    text = (tmp_path / "config.toml").read_bytes()
    (tmp_path / "config.toml").write_bytes(b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"))
    assert len(load_in(tmp_path).options.writers) == 1


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A symlink to nowhere is an error, not a file less."""
    write(minimal(), tmp_path)
    (tmp_path / "y.toml").symlink_to("nowhere.toml")
    with pytest.raises(BadConfig, match=r"y\.toml: cannot be read: No such file"):
        load_in(tmp_path)


def test_the_same_target_twice_is_scraped_once(tmp_path: Path) -> None:
    """Same URL and labels would be the same series twice; other labels are other series."""
    twice = 'labels = {}\n[[instances]]\nurls = ["http://localhost:1/metrics"]\n'
    loaded = load_in(write(minimal(twice), tmp_path))
    assert len(loaded.options.targets) == 1
    assert "comes twice" in str(loaded.warnings[0])
    loaded = load_in(write(minimal(twice + 'labels = {job = "other"}'), tmp_path))
    assert (len(loaded.options.targets), loaded.warnings) == (2, ())


def test_too_short_an_interval_is_an_error(tmp_path: Path) -> None:
    """A millisecond would do nothing but scrape."""
    with pytest.raises(BadConfig, match=r"the interval is 0\.001 s; the shortest is 0\.1 s"):
        load_in(write(minimal(top='interval = "1ms"'), tmp_path))


SECRET = "s3cret"

LEAKS = [
    minimal(main=f'basic_auth_pass = ["{SECRET}"]\nheaders = "{SECRET}"\ntls_key = [["{SECRET}"]]'),
    minimal(main=f'basic_auth_user = "u"\nbasic_auth_pass = "{SECRET}"\nheaders = ["A", "{SECRET}"]'),
    minimal(main=f'tls_key = "-----BEGIN {SECRET}"\ntls_cert = "x"').copy() | {"w.toml": "[[writers]]\n"},
    minimal(instances=f'password = 1\nbearer_token_string = ["{SECRET}"]\nheaders = ["Host", "{SECRET}"]'),
    minimal(instances=f'username = "u"\npassword = "{SECRET}"\nbearer_token_string = "{SECRET}"'),
    minimal(instances=f'[[instances]]\nurls = "http://me:{SECRET}@node/"'),
    minimal(instances=f'[[instances]]\nurls = ["http://me:{SECRET}@node/", "http://me:{SECRET}@node/"]'),
    minimal(instances=f'[[instances]]\nurls = ["http://me:{SECRET}@:1/", "me:{SECRET}@node"]'),
    minimal(main=f'[[writers]]\nurl = "ftp://me:{SECRET}@hub/"\n[[writers]]\nurl = "https://me:{SECRET}@hub/"'),
]


@pytest.mark.parametrize("files", LEAKS)
def test_no_secret_is_ever_shown(files: dict[str, str], tmp_path: Path) -> None:
    """Not in errors, warnings or the options' repr, whether the value is right or wrong."""
    try:
        loaded = load_in(write(files, tmp_path))
    except BadConfig as bad:
        shown = f"{bad} {bad.problems} {bad.warnings}"
    else:
        shown = f"{loaded} {loaded.options!r} {loaded.warnings}"
        assert SECRET not in str([target.url_labels for target in loaded.options.targets])
    assert SECRET not in shown


def test_nothing_of_this_process_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment comes in as an argument."""
    monkeypatch.setenv("HOSTNAME", "wrong")
    write(minimal(main='[global]\nhostname = "$HOSTNAME"'), tmp_path)
    assert load_in(tmp_path).options.hostname == "node-a"
    assert os.environ["HOSTNAME"] == "wrong"


def test_a_renewed_certificate_is_another_configuration(tmp_path: Path) -> None:
    """Its path is the same; whoever uses it takes it up because the options differ."""
    certificate = tmp_path / "ca.pem"
    write({"config.toml": f'[[writers]]\nurl = "https://hub/write"\ntls_ca = "{certificate}"\n'}, tmp_path)
    certificate.write_text("one")
    before, same = load_in(tmp_path).options, load_in(tmp_path).options
    assert before == same
    certificate.write_text("another")
    assert load_in(tmp_path).options.writers != before.writers


def test_a_pipe_is_no_configuration(tmp_path: Path) -> None:
    """It is named, and nobody waits for who may write into it."""
    write({"config.toml": ""}, tmp_path)
    os.mkfifo(tmp_path / "more.toml")
    with pytest.raises(BadConfig) as caught:
        load_in(tmp_path)
    assert said(caught.value.problems, tmp_path) == ["more.toml: not a regular file"]
