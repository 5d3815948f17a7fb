"""The example plugin in examples/materializer: registered by hand and installed, it really builds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

from coopery import Builder, Environment, Image
from coopery.errors import PackageError, ResolveError
from coopery.home import Home
from coopery.oci.layers_view import LayersFiles
from coopery.oci.validate import validate_layout
from coopery.plugins import Plugins
from coopery.settings import Settings

EXAMPLE = Path(__file__).parents[2] / "examples" / "materializer"
AWS, AVRO = "org.apache.hadoop:hadoop-aws:3.3.4", "org.apache.spark:spark-avro_2.12:3.5.0"
MAVEN = "https://maven.example/maven2"

Define = Callable[..., Environment]


def jar(repository: Path, coordinate: str, content: str = "") -> Path:
    """A small jar where Maven's layout has it."""
    group, name, version = coordinate.split(":")
    path = repository.joinpath(*group.split("."), name, version, f"{name}-{version}.jar")
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("META-INF/MANIFEST.MF"), f"Implementation-Title: {coordinate}{content}\n")
    return path


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "maven"
    for coordinate in (AWS, AVRO, "org.apache.spark:spark-avro_2.12:3.5.1"):
        jar(folder, coordinate)
    return folder


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugins]:
    monkeypatch.syspath_prepend(EXAMPLE)
    yield Plugins([("coopery-jars", import_module("coopery_jars.plugin"))])
    for name in [name for name in sys.modules if name.startswith("coopery_jars")]:
        del sys.modules[name]


@pytest.fixture
def builder(tmp_path: Path, repository: Path, plugins: Plugins) -> Iterator[Builder]:
    settings = Settings(home=tmp_path / "home", channels={MAVEN: str(repository)})
    with Builder(settings=settings, plugins=plugins) as made:
        yield made


def define(*packages: str, repository: str = MAVEN) -> Environment:
    spark = {"packages": list(packages), "repositories": [repository]}
    return Environment.from_dict({"base": "scratch", "spark": spark})


def files(builder: Builder, image: Image) -> LayersFiles:
    return LayersFiles(builder.details(image.key).layers, Home(builder.settings.home).blobs)


def test_each_jar_is_a_layer_below_the_prefix(builder: Builder, repository: Path) -> None:
    image = builder.build(define(AVRO, AWS))
    validate_layout(Home(builder.settings.home).images)
    assert image.made.layers_made == 2
    inside = files(builder, image)
    aws = "org.apache.hadoop_hadoop-aws-3.3.4.jar"
    assert inside.listdir("/opt/env/jars") == (aws, "org.apache.spark_spark-avro_2.12-3.5.0.jar")
    original = repository / "org/apache/hadoop/hadoop-aws/3.3.4/hadoop-aws-3.3.4.jar"
    assert inside.read(f"/opt/env/jars/{aws}", 1 << 20) == original.read_bytes()
    config = json.loads(Home(builder.settings.home).blobs.read(image.id))
    assert "SPARK_DIST_CLASSPATH=/opt/env/jars/*" in config["config"]["Env"]


def test_the_lock_names_the_repository_of_the_definition_and_no_folder(builder: Builder, tmp_path: Path) -> None:
    lock = builder.lock(define(AWS))
    (artifact,) = lock.of_kind("spark")
    assert (artifact.name, artifact.version, artifact.source) == ("org.apache.hadoop:hadoop-aws", "3.3.4", MAVEN)
    assert str(tmp_path) not in lock.canonical().decode()


def test_a_second_build_needs_no_repository_and_one_new_pin_makes_one_layer(builder: Builder, repository: Path) -> None:
    first = builder.build(define(AVRO, AWS))
    assert builder.build(define(AWS, AVRO)).hit
    other = builder.build(define("org.apache.spark:spark-avro_2.12:3.5.1", AWS))
    assert (other.made.layers_made, other.made.layers_reused) == (1, 1)
    shutil.rmtree(repository)
    for folder in ("images", "layers"):
        shutil.rmtree(builder.settings.home / folder)
    again = builder.build(define(AVRO, AWS))
    assert not again.hit
    assert again.id == first.id


def test_a_file_url_is_a_repository_too(builder: Builder, repository: Path) -> None:
    assert builder.build(define(AWS, repository=repository.as_uri())).layers == 1


def test_all_that_is_missing_is_named_at_once(builder: Builder) -> None:
    with pytest.raises(ResolveError) as caught:
        builder.build(define("a:b:1", AWS, "c:d:2"))
    assert caught.value.requirements == ("a:b:1", "c:d:2")
    assert "a:b:1, c:d:2: not in https://maven.example/maven2" in str(caught.value)


def test_a_repository_that_is_no_folder_is_refused(builder: Builder) -> None:
    with pytest.raises(ResolveError, match=r"elsewhere\.example: this example reads folders"):
        builder.build(define(AWS, repository="https://elsewhere.example"))


def test_a_jar_that_changed_since_it_was_locked_is_refused(builder: Builder, repository: Path) -> None:
    environment = define(AWS)
    builder.build(environment)
    home = builder.settings.home
    for folder in ("images", "layers", "jars"):
        shutil.rmtree(home / folder)
    jar(repository, AWS, " tampered with")
    with pytest.raises(PackageError, match="not the jar in the lock"):
        builder.build(environment)
    assert not [path for path in (home / "jars").rglob("*") if path.is_file()]


def test_it_is_as_short_as_the_docs_say() -> None:
    lines = [path.read_text(encoding="utf-8").count("\n") for path in EXAMPLE.rglob("*.py")]
    assert sum(lines) <= 130


@pytest.mark.slow
def test_installed_it_is_found_by_its_entry_point(tmp_path: Path, repository: Path) -> None:
    source, site = tmp_path / "source", tmp_path / "site"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", site]
    subprocess.run([*pip, source], check=True, capture_output=True)
    definition = tmp_path / "environment.yaml"
    definition.write_text(f"base: scratch\nspark:\n  packages: ['{AWS}']\n  repositories: ['{repository.as_uri()}']\n")
    variables = {**os.environ, "PYTHONPATH": str(site), "COOPERY_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "coopery", "build", definition, "--output", "json"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["images"][0]["layers"] == 1
