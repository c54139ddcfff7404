"""`distkeras warmup` finds every kernel and asks for each element type."""

import numpy as np

from distkeras.cli import main, warmup
from distkeras.kernels.compile import Kernel


def test_every_kernel_of_every_module_is_found_once():
    kernels = list(warmup.all_kernels())
    assert kernels and all(isinstance(kernel, Kernel) for kernel in kernels)
    names = [(kernel.python.__module__, kernel.__name__) for kernel in kernels]
    assert len(names) == len(set(names))
    assert len({module for module, _ in names}) > 1


def test_every_kernel_compiles():
    """Other tests need most of them too: what is compiled here is kept for those, and the other way round."""
    for kernel in warmup.all_kernels():
        assert callable(kernel[np.float32])


def test_each_is_compiled_for_each_element_type_and_models_are_trained(monkeypatch, capsys):
    asked, trained = [], []

    class Probe:
        def __getitem__(self, dtype):
            asked.append(dtype)

    monkeypatch.setattr(warmup, "all_kernels", lambda: iter([Probe(), Probe()]))
    monkeypatch.setattr(warmup, "train_small_models", trained.append)
    assert main(["warmup", "--dtype", "float32", "--dtype", "float64"]) == 0
    assert asked == [np.float32, np.float64] * 2 and trained == ["float32", "float64"]
    assert capsys.readouterr().out.startswith("4 kernels compiled or loaded in ")


def test_float32_is_the_default(monkeypatch):
    trained = []
    monkeypatch.setattr(warmup, "all_kernels", lambda: iter(()))
    monkeypatch.setattr(warmup, "train_small_models", trained.append)
    assert main(["warmup"]) == 0 and trained == ["float32"]
