"""The trainings of the differential suite: every model once, every loss and every optimizer besides."""

import functools

import numpy as np

from tests.differential.models import MODELS

SAMPLES, BATCH, EPOCHS = 10, 6, 2  # the second batch is a short one

# Losses with the form of targets and the output's activation that suit them.
LOSSES = {
    "mean_squared_error": ("numbers", None),
    "mean_absolute_error": ("numbers", None),
    "mean_absolute_percentage_error": ("numbers", None),
    "mean_squared_logarithmic_error": ("positive", "softplus"),
    "huber_loss": ("numbers", None),
    "logcosh": ("numbers", None),
    "cosine_similarity": ("numbers", None),
    "poisson": ("positive", "softplus"),
    "kullback_leibler_divergence": ("probabilities", "softmax"),
    "binary_crossentropy": ("bits", "sigmoid"),
    "categorical_crossentropy": ("one_hot", "softmax"),
    "sparse_categorical_crossentropy": ("classes", "softmax"),
    "hinge": ("signs", "tanh"),
    "squared_hinge": ("signs", "tanh"),
    "categorical_hinge": ("one_hot", "softmax"),
}
_USUAL = ("mean_squared_error", "sparse_categorical_crossentropy", "binary_crossentropy", "categorical_crossentropy")

OPTIMIZERS = {
    "sgd": ("SGD", {"learning_rate": 0.1}),
    "sgd_decay": ("SGD", {"learning_rate": 0.1, "decay": 0.1}),
    "momentum": ("SGD", {"learning_rate": 0.05, "momentum": 0.9}),
    "nesterov": ("SGD", {"learning_rate": 0.05, "momentum": 0.8, "nesterov": True}),
    "clipnorm": ("SGD", {"learning_rate": 0.2, "clipnorm": 0.1}),
    "clipvalue": ("SGD", {"learning_rate": 0.2, "clipvalue": 0.02}),
    "rmsprop": ("RMSprop", {"learning_rate": 0.01}),
    "rmsprop_centered": ("RMSprop", {"learning_rate": 0.01, "centered": True, "rho": 0.8}),
    "rmsprop_momentum": ("RMSprop", {"learning_rate": 0.01, "momentum": 0.7}),
    "adagrad": ("Adagrad", {"learning_rate": 0.05}),
    "adadelta": ("Adadelta", {"learning_rate": 1.0, "rho": 0.9}),
    "adam": ("Adam", {"learning_rate": 0.01}),
    "adam_decay": ("Adam", {"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.9, "decay": 0.2}),
    "amsgrad": ("Adam", {"learning_rate": 0.01, "amsgrad": True}),
    "adamax": ("Adamax", {"learning_rate": 0.01}),
    "nadam": ("Nadam", {"learning_rate": 0.01}),
    "ftrl": ("Ftrl", {"learning_rate": 0.1}),
    "ftrl_penalties": ("Ftrl", {"learning_rate": 0.1, "l1_regularization_strength": 0.01, "learning_rate_power": -0.6}),
}


def inputs(kind, random):
    """SAMPLES inputs of a kind; what is padded is padded at the end."""
    shapes = {"rows": (6,), "steps": (5, 4), "masked": (5, 4), "picture": (6, 6, 2), "volume": (3, 4, 4, 2)}
    lengths = np.arange(SAMPLES) % 5 + 1
    if kind == "words":
        words = random.randint(1, 9, (SAMPLES, 5))
        return np.where(np.arange(5) < lengths[:, None], words, 0)
    x = random.randn(SAMPLES, *shapes[kind]).astype("float32")
    return np.where(np.arange(5)[:, None] < lengths[:, None, None], x, np.float32(0)) if kind == "masked" else x


def targets(kind, random):
    """SAMPLES targets for an output of three."""
    raw, classes = random.randn(SAMPLES, 3), random.randint(0, 3, SAMPLES)
    return {
        "numbers": lambda: raw + np.sign(raw),
        "positive": lambda: np.abs(raw) + 0.1,
        "probabilities": lambda: np.exp(raw) / np.exp(raw).sum(1, keepdims=True),
        "bits": lambda: raw > 0,
        "one_hot": lambda: np.eye(3)[classes],
        "classes": lambda: classes[:, None],
        "signs": lambda: np.where(raw > 0, 1, -1),
    }[kind]().astype("int64" if kind == "classes" else "float32")


def train(name, loss, optimizer, keras, optimizers, **compile_options):
    """Train a model by both libraries alike.

    Returns:
        Named arrays: outputs before and after, History, weights after.
    """
    kinds, build = MODELS[name]
    random = np.random.RandomState(len(name))
    x, (form, activation) = [inputs(kind, random) for kind in kinds], LOSSES[loss]
    y, x = targets(form, random), x[0] if len(x) == 1 else x
    model = build(keras, activation)
    weights = [random.uniform(-0.5, 0.5, weight.shape).astype("float32") for weight in model.get_weights()]
    model.set_weights([np.abs(w) if "variance" in v.name else w for w, v in zip(weights, model.weights, strict=True)])
    kind, options = OPTIMIZERS[optimizer]
    model.compile(getattr(optimizers, kind)(**options), loss, metrics=["mae"], **compile_options)
    results = {"before": model.predict(x, batch_size=BATCH, verbose=0)}
    sample_weight = random.uniform(0.5, 2.0, SAMPLES).astype("float32") if optimizer == "adam" else None
    history = model.fit(x, y, BATCH, EPOCHS, verbose=0, shuffle=False, sample_weight=sample_weight)
    results.update((key, np.asarray(values)) for key, values in history.history.items())
    results["after"] = model.predict(x, batch_size=BATCH, verbose=0)
    results["weights"] = np.concatenate([weight.reshape(-1) for weight in model.get_weights()])
    return results


def _cases():
    optimizers = list(OPTIMIZERS)
    for index, name in enumerate(MODELS):
        yield name, _USUAL[index % len(_USUAL)], optimizers[(5 * index + 11) % len(optimizers)]
    for index, loss in enumerate(LOSSES):
        yield "perceptron", loss, ("sgd", "adam")[index % 2]
    for index, optimizer in enumerate(OPTIMIZERS):
        yield ("residual", "convolved")[index % 2], _USUAL[index % 3], optimizer


CASES = {"-".join(case): functools.partial(train, *case) for case in _cases()}
