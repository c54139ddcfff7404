"""One contestant of `step_time` or `recurrent`: trains a network in its own process, in steps that are asked for.

    step_time  -- "steps 50\\n" -->  peers     runs 50 steps
               <-- {"cpu": ...} --            CPU seconds that they took

The contestant's own Python runs it, and may know nothing of distkeras: it imports nothing else of this project.
Usage: python peers.py {distkeras,torch,tf} CASE BATCH_SIZE VARIANT
"""

from __future__ import annotations

import functools
import json
import os
import resource
import sys
import time
from collections.abc import Callable

SIZES = {"tiny": (64, 64, 64, 10), "mlp": (784, 512, 512, 10)}
SHAPES = {"cnn": (28, 28, 1), "separable": (32, 32, 3)}
# Recurrent layers, as Keras and as PyTorch call them: sequences of 50 steps, 64 features, 128 units.
RECURRENT = {"lstm": ("LSTM", "LSTM"), "gru": ("GRU", "GRU"), "simple_rnn": ("SimpleRNN", "RNN")}
STEPS, FEATURES, UNITS = 50, 64, 128
Steps = Callable[[int], None]


def main() -> None:
    peer, case, batch_size, variant = sys.argv[1:5]
    run(lambda: PEERS[peer](case, int(batch_size), variant))


def run(make: Callable[[], Steps]) -> None:
    """Answer to what is asked on standard input, by what `make` gives."""
    # Libraries may print: the answers go to what was standard output, and prints to standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    steps = make()
    steps(1)
    say(answers, first_step=time.process_time())
    for line in sys.stdin:
        count = int(line)
        cpu, wall = time.process_time(), time.perf_counter()
        steps(count)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        say(answers, cpu=cpu, wall=wall, peak_memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def say(answers, **values: float) -> None:
    answers.write(json.dumps(values) + "\n")
    answers.flush()


# --- contestants: each makes a network and returns a function that trains it for a number of steps


def keras_layers(layers, case: str) -> list:
    if case == "cnn":
        return [
            layers.Conv2D(32, 3, activation="relu", input_shape=SHAPES[case]),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    if case == "separable":
        return [
            layers.Conv2D(32, 3, padding="same", activation="relu", input_shape=SHAPES[case]),
            layers.SeparableConv2D(64, 3, padding="same", activation="relu"),
            layers.SeparableConv2D(64, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2DTranspose(32, 4, strides=2, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10, activation="softmax"),
        ]
    inputs, *hidden, outputs = SIZES[case]
    stack = [layers.Dense(hidden[0], activation="relu", input_shape=(inputs,))]
    stack += [layers.Dense(units, activation="relu") for units in hidden[1:]]
    return [*stack, layers.Dense(outputs, activation="softmax")]


def keras_peer(tf, case: str, batch_size: int, variant: str) -> Steps:
    """distkeras, or TensorFlow: the same calls."""
    import numpy as np

    shape: tuple = SHAPES.get(case) or SIZES[case][:1]
    stack = keras_layers(tf.keras.layers, case)
    model = tf.keras.Sequential(stack)
    model.compile(tf.keras.optimizers.Adam(1e-4), "sparse_categorical_crossentropy")
    generator = np.random.default_rng(0)
    x = generator.random((batch_size, *shape), np.float32)
    y = generator.integers(0, 10, batch_size)

    def on_batches(count: int) -> None:
        for _ in range(count):
            model.train_on_batch(x, y)

    @functools.cache  # made in the round that warms up: to touch fresh memory can take longer than a small step
    def data(count: int) -> tuple:
        return np.tile(x, (count, *(1,) * len(shape))), np.tile(y, count)

    def fit(count: int) -> None:
        model.fit(*data(count), batch_size, epochs=1, verbose=0, shuffle=False)

    return {"train_on_batch": on_batches, "fit": fit}[variant]


def distkeras_peer(case: str, batch_size: int, variant: str) -> Steps:
    import distkeras as tf

    return (keras_recurrent if case in RECURRENT else keras_peer)(tf, case, batch_size, variant)


def tf_peer(case: str, batch_size: int, variant: str) -> Steps:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return (keras_recurrent if case in RECURRENT else keras_peer)(tf, case, batch_size, variant)


def torch_layers(nn, case: str) -> list:
    if case == "cnn":
        return [
            *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(1600, 128), nn.ReLU(), nn.Linear(128, 10)),
        ]
    if case == "separable":
        return [
            *(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(32, 32, 3, padding=1, groups=32, bias=False), nn.Conv2d(32, 64, 1), nn.ReLU()),
            *(nn.Conv2d(64, 64, 3, 2, padding=1, groups=64, bias=False), nn.Conv2d(64, 64, 1), nn.ReLU()),
            *(nn.ConvTranspose2d(64, 32, 4, 2, padding=1), nn.ReLU()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)),
        ]
    sizes = SIZES[case]
    pairs = [[nn.Linear(m, n), nn.ReLU()] for m, n in zip(sizes[:-1], sizes[1:])]  # noqa: B905
    return [layer for pair in pairs for layer in pair][:-1]


def torch_peer(case: str, batch_size: int, variant: str) -> Steps:
    if case in RECURRENT:
        return torch_recurrent(case, batch_size, variant)
    torch = prepared_torch()
    nn = torch.nn
    model = nn.Sequential(*torch_layers(nn, case))
    shape: tuple = (SHAPES[case][2], *SHAPES[case][:2]) if case in SHAPES else SIZES[case][:1]
    x = torch.rand(batch_size, *shape)
    if variant == "channels_last":
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    y = torch.randint(0, 10, (batch_size,))
    return torch_training(torch, model, x, y, nn.CrossEntropyLoss())


def prepared_torch():
    """PyTorch on one thread, with weights that are the same every time."""
    import torch

    torch.set_num_threads(1)
    # Without it a network that has learnt its batch by heart is slowed down two- or threefold by tiny gradients.
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    return torch


def torch_training(torch, model, x, y, loss_of) -> Steps:
    """Steps of training by PyTorch."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-4, fused=True)

    def steps(count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad(set_to_none=True)
            loss_of(model(x), y).backward()
            optimizer.step()

    return steps


def keras_recurrent(tf, case: str, batch_size: int, variant: str) -> Steps:
    """A recurrent layer: its gradients for inputs and weights, or a training step."""
    import numpy as np

    layer = getattr(tf.keras.layers, RECURRENT[case][0])(UNITS)
    model = tf.keras.Sequential([tf.keras.layers.InputLayer((STEPS, FEATURES)), layer])
    model.compile(tf.keras.optimizers.Adam(1e-4), "mse")
    generator = np.random.default_rng(0)
    x = generator.standard_normal((batch_size, STEPS, FEATURES), np.float32)
    y = generator.standard_normal((batch_size, UNITS), np.float32)

    @tf.function
    def gradients(x, slope):
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = layer(x)
        return tape.gradient(output, [x, *layer.trainable_weights], slope)

    def steps(count: int) -> None:
        for _ in range(count):
            model.train_on_batch(x, y) if variant == "train" else gradients(*tensors)

    tensors = tf.constant(x), tf.constant(y)
    return steps


def torch_recurrent(case: str, batch_size: int, variant: str) -> Steps:
    """The same by PyTorch."""
    torch = prepared_torch()
    layer = getattr(torch.nn, RECURRENT[case][1])(FEATURES, UNITS, batch_first=True)
    x, y = torch.randn(batch_size, STEPS, FEATURES), torch.randn(batch_size, UNITS)
    optimizer = torch.optim.Adam(layer.parameters(), 1e-4, fused=True)

    def train() -> None:
        optimizer.zero_grad(set_to_none=True)
        ((layer(x)[0][:, -1] - y) ** 2).mean().backward()
        optimizer.step()

    def gradients() -> None:
        optimizer.zero_grad(set_to_none=True)
        x.grad = None
        layer(x)[0][:, -1].backward(y)

    x.requires_grad_(variant == "gradients")
    step = train if variant == "train" else gradients

    def steps(count: int) -> None:
        for _ in range(count):
            step()

    return steps


PEERS = {"distkeras": distkeras_peer, "tf": tf_peer, "torch": torch_peer}

if __name__ == "__main__":
    main()
