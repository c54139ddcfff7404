"""Imports go one way, public names are where TensorFlow has them, and importing costs little."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "distkeras"

# A module may import modules of its own level and of those before. Longer names win over shorter ones.
LEVELS = [
    ("kernels", "_errors", "_registry", "_nest", "_settings", "_wire"),
    ("core", "_config"),
    ("ops", "distribute", "graph"),
    ("data",),
    (
        "feature_column",
        "keras.activations",
        "keras.constraints",
        "keras.initializers",
        "keras.mixed_precision.loss_scale",
        "keras.mixed_precision.policy",
        "keras.regularizers",
        "keras.saving.serialize",
    ),
    ("keras.layers", "keras.losses", "keras.metrics", "keras.optimizers"),
    ("keras.saving", "keras.callbacks", "keras.utils"),
    ("keras.training",),
    ("keras.models",),
    ("keras.datasets", "keras.applications", "keras.preprocessing"),
]
FACES = len(LEVELS)
RANK = {f"distkeras.{name}": level for level, names in enumerate(LEVELS) for name in names}
SIBLINGS = {"distkeras.ops", "distkeras.distribute", "distkeras.graph"}


def level(module: str) -> tuple[int, str]:
    """The level of a module and the family that gives it."""
    parts = module.split(".")
    for end in range(len(parts), 0, -1):
        family = ".".join(parts[:end])
        if family in RANK:
            return RANK[family], family
    return FACES, module


def imports(path: Path) -> set[str]:
    """The distkeras modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names if alias.name.startswith("distkeras"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("distkeras"):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                exists = (ROOT.parent / Path(*inner.split("."))).with_suffix(".py").exists()
                found.add(inner if exists or inner in RANK else node.module)
    return found


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=module_name)
def test_imports_go_one_way(path):
    importer = module_name(path)
    mine, family = level(importer)
    for imported in imports(path):
        theirs, other = level(imported)
        assert theirs <= mine, f"{importer} (level {mine}) must not import {imported} (level {theirs})"
        crossing = {family, other} <= SIBLINGS and family != other
        assert not crossing, f"{importer} and {imported} are siblings: neither may import the other"


def test_relative_imports_are_not_used():
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: write the import in full"


@pytest.mark.parametrize(
    "name",
    """
    constant Variable GradientTape function TensorSpec TensorShape float32 int32 string newaxis cast reduce_sum matmul
    keras.Model keras.Sequential keras.Input keras.layers.Dense keras.models.Model keras.models.load_model
    keras.optimizers.Adam keras.losses.MeanSquaredError keras.metrics.Mean keras.callbacks.EarlyStopping
    keras.initializers.GlorotUniform keras.regularizers.l2 keras.constraints.MaxNorm keras.activations.relu
    keras.backend.clear_session keras.datasets.fashion_mnist.load_data keras.utils.to_categorical
    nn.relu math.log linalg.norm random.set_seed distribute.MirroredStrategy distribute.OneDeviceStrategy
    distribute.experimental.MultiWorkerMirroredStrategy distribute.get_strategy losses.MSE metrics.Mean optimizers.SGD
    initializers.Zeros errors.InvalidArgumentError config.list_physical_devices compat.v1.keras.Model
    image.resize image.ResizeMethod.NEAREST_NEIGHBOR io.gfile.GFile io.decode_jpeg strings.split
    keras.preprocessing.image.ImageDataGenerator keras.preprocessing.text.Tokenizer keras.datasets.imdb.load_data
    keras.applications.MobileNetV2 keras.applications.vgg19.decode_predictions
    compat.v2.keras.models.Model random_normal_initializer train.Checkpoint train.CheckpointManager
    train.latest_checkpoint train.list_variables train.load_variable saved_model.save saved_model.load
    """.split(),
)
def test_public_names_exist(name):
    import distkeras as tf

    found = tf
    for part in name.split("."):
        found = getattr(found, part)
    if name.endswith("keras.Model") or name.endswith("models.Model"):
        assert found is tf.keras.Model


def test_every_name_of_the_root_loads():
    import distkeras as tf

    for name in tf.__all__:
        getattr(tf, name)
    assert set(tf.__all__) <= set(dir(tf))


def test_submodules_are_importable_the_way_scripts_write_it():
    script = "from distkeras import keras\nfrom distkeras.keras import layers\n"
    script += "from distkeras.keras.layers import Dense\n"
    script += "import distkeras as tf\nassert Dense is layers.Dense is tf.keras.layers.Dense is keras.layers.Dense"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_importing_is_cheap_and_does_not_start_mpi(tmp_path):
    """At most 0.25 s of CPU more than Numba; the smallest of three, for other processes disturb.

    What counts is the import of compiled modules, which Python keeps after the first.
    """
    script = (
        "import time, numba; start = time.process_time(); import distkeras as tf; tf.keras.layers.Dense, tf.constant; "
        "import sys; assert 'mpi4py.MPI' not in sys.modules; print(time.process_time() - start)"
    )
    command = [sys.executable, "-X", f"pycache_prefix={tmp_path}", "-c", script]
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    costs = [
        float(subprocess.run(command, check=True, capture_output=True, text=True, env=variables).stdout)
        for _ in range(3)
    ]
    assert min(costs) < 0.25
