"""Small datasets, fetched when they are first asked for."""

from distkeras.keras.datasets import cifar10, fashion_mnist, mnist

__all__ = ["cifar10", "fashion_mnist", "mnist"]
