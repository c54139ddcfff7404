"""The Model page of TensorFlow 2.0's API: its examples as they stand there, its methods with their arguments."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest

import distkeras as tf

# Only the import lines differ from the page.
FUNCTIONAL = """
import distkeras as tf

inputs = tf.keras.Input(shape=(3,))
x = tf.keras.layers.Dense(4, activation=tf.nn.relu)(inputs)
outputs = tf.keras.layers.Dense(5, activation=tf.nn.softmax)(x)
model = tf.keras.Model(inputs=inputs, outputs=outputs)
"""

SUBCLASSED = """
import distkeras as tf

class MyModel(tf.keras.Model):

  def __init__(self):
    super(MyModel, self).__init__()
    self.dense1 = tf.keras.layers.Dense(4, activation=tf.nn.relu)
    self.dense2 = tf.keras.layers.Dense(5, activation=tf.nn.softmax)

  def call(self, inputs):
    x = self.dense1(inputs)
    return self.dense2(x)

model = MyModel()
"""

SUBCLASSED_WITH_TRAINING = """
import distkeras as tf

class MyModel(tf.keras.Model):

  def __init__(self):
    super(MyModel, self).__init__()
    self.dense1 = tf.keras.layers.Dense(4, activation=tf.nn.relu)
    self.dense2 = tf.keras.layers.Dense(5, activation=tf.nn.softmax)
    self.dropout = tf.keras.layers.Dropout(0.5)

  def call(self, inputs, training=False):
    x = self.dense1(inputs)
    if training:
      x = self.dropout(x, training=training)
    return self.dense2(x)

model = MyModel()
"""

SAVING = """
from distkeras.keras.models import load_model

model.save('my_model.h5')  # creates a HDF5 file 'my_model.h5'
del model  # deletes the existing model

# returns a compiled model
# identical to the previous one
model = load_model('my_model.h5')
"""

GENERATOR = """
def generate_arrays_from_file(path):
    while 1:
        f = open(path)
        for line in f:
            # create numpy arrays of input data
            # and labels, from each line in the file
            x1, x2, y = process_line(line)
            yield ({'input_1': x1, 'input_2': x2}, {'output': y})
        f.close()

model.fit_generator(generate_arrays_from_file('my_file.txt'),
                    steps_per_epoch=10, epochs=10)
"""

EXAMPLES = {"functional": FUNCTIONAL, "subclassed": SUBCLASSED, "training": SUBCLASSED_WITH_TRAINING}

METHODS = """
compile(optimizer='rmsprop', loss=None, metrics=None, loss_weights=None, sample_weight_mode=None, weighted_metrics=None,
    target_tensors=None, distribute=None, **kwargs)
evaluate(x=None, y=None, batch_size=None, verbose=1, sample_weight=None, steps=None, callbacks=None, max_queue_size=10,
    workers=1, use_multiprocessing=False)
evaluate_generator(generator, steps=None, callbacks=None, max_queue_size=10, workers=1, use_multiprocessing=False,
    verbose=0)
fit(x=None, y=None, batch_size=None, epochs=1, verbose=1, callbacks=None, validation_split=0.0, validation_data=None,
    shuffle=True, class_weight=None, sample_weight=None, initial_epoch=0, steps_per_epoch=None, validation_steps=None,
    validation_freq=1, max_queue_size=10, workers=1, use_multiprocessing=False, **kwargs)
fit_generator(generator, steps_per_epoch=None, epochs=1, verbose=1, callbacks=None, validation_data=None,
    validation_steps=None, validation_freq=1, class_weight=None, max_queue_size=10, workers=1,
    use_multiprocessing=False, shuffle=True, initial_epoch=0)
get_layer(name=None, index=None)
load_weights(filepath, by_name=False)
predict(x, batch_size=None, verbose=0, steps=None, callbacks=None, max_queue_size=10, workers=1,
    use_multiprocessing=False)
predict_generator(generator, steps=None, callbacks=None, max_queue_size=10, workers=1, use_multiprocessing=False,
    verbose=0)
predict_on_batch(x)
reset_metrics()
reset_states()
save(filepath, overwrite=True, include_optimizer=True, save_format=None, signatures=None, options=None)
save_weights(filepath, overwrite=True, save_format=None)
summary(line_length=None, positions=None, print_fn=None)
test_on_batch(x, y=None, sample_weight=None, reset_metrics=True)
to_json(**kwargs)
to_yaml(**kwargs)
train_on_batch(x, y=None, sample_weight=None, class_weight=None, reset_metrics=True)
__init__(*args, **kwargs)
""".replace("\n    ", " ").strip()

PROPERTIES = "layers metrics_names run_eagerly sample_weights state_updates stateful".split()

ALIASES = "compat.v1.keras.Model compat.v1.keras.models.Model compat.v2.keras.Model compat.v2.keras.models.Model "
ALIASES += "keras.models.Model keras.Model"

RANDOM = np.random.default_rng(0)
X = RANDOM.random((64, 3), dtype="float32")
CLASSES = (X @ RANDOM.uniform(-1, 1, (3, 5))).argmax(axis=1)


def model_of(source: str):
    names: dict = {}
    exec(source, names)
    return names["model"]


def compiled(source: str, **options):
    model = model_of(source)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return model


@pytest.mark.parametrize("source", EXAMPLES.values(), ids=EXAMPLES)
@pytest.mark.parametrize("eagerly", [False, True], ids=["plan", "eager"])
def test_examples_train_and_are_used(source, eagerly):
    tf.random.set_seed(0)
    model = compiled(source, run_eagerly=eagerly)
    first_loss, _ = model.train_on_batch(X, CLASSES)
    assert model.metrics_names == ["loss", "accuracy"]
    before = model.get_weights()
    history = model.fit(X, CLASSES, batch_size=16, epochs=20, verbose=0).history
    assert history["loss"][-1] < min(first_loss, history["loss"][0])
    assert all((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))
    probabilities = model.predict(X)
    np.testing.assert_array_equal(probabilities, model.predict(X))  # without dropout
    assert probabilities.shape == (64, 5) and probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), np.ones(64), rtol=1e-5)
    loss, accuracy = model.evaluate(X, CLASSES, verbose=0)
    assert accuracy == pytest.approx((probabilities.argmax(axis=1) == CLASSES).mean())
    assert loss == pytest.approx(-np.log(probabilities[np.arange(64), CLASSES]).mean(), rel=1e-4)


def test_the_training_argument_decides_about_dropout():
    model = model_of(SUBCLASSED_WITH_TRAINING)
    plain = model(X).numpy()
    np.testing.assert_array_equal(plain, model(X, training=False).numpy())
    assert (plain != model(X, training=True).numpy()).any()


@pytest.mark.parametrize("ending", ["h5", "keras"])
def test_the_saving_example_gives_the_same_compiled_model(tmp_path, monkeypatch, ending):
    monkeypatch.chdir(tmp_path)
    model = compiled(FUNCTIONAL)
    model.fit(X, CLASSES, epochs=2, verbose=0)
    expected, scores = model.predict(X), model.evaluate(X, CLASSES, verbose=0)
    names = {"model": model}
    exec(SAVING.replace("my_model.h5", f"my_model.{ending}"), names)
    loaded = names["model"]
    assert loaded is not model
    np.testing.assert_array_equal(loaded.predict(X), expected)
    assert loaded.evaluate(X, CLASSES, verbose=0) == scores
    assert loaded.metrics_names == model.metrics_names
    for twin in (model, loaded):  # the optimizer's state came along: training goes on as if nothing had happened
        twin.fit(X, CLASSES, epochs=1, shuffle=False, verbose=0)
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # its file is left open
def test_the_generator_example_trains(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_file.txt").write_text("1 2\n3 4\n0 1\n2 2\n")

    def process_line(line):
        first, second = (np.array([[float(word)]]) for word in line.split())
        return first, second, 0.5 * first - 0.25 * second

    inputs = [tf.keras.Input((1,), name=name) for name in ("input_1", "input_2")]
    merged = tf.keras.layers.concatenate(inputs)
    model = tf.keras.Model(inputs, tf.keras.layers.Dense(1, name="output", kernel_initializer="zeros")(merged))
    model.compile(tf.keras.optimizers.SGD(0.1), "mse")
    exec(GENERATOR, {"model": model, "process_line": process_line})
    assert len(model.history.history["loss"]) == 10 and model.optimizer.iterations.numpy() == 100
    np.testing.assert_allclose(model.get_weights()[0].ravel(), [0.5, -0.25], atol=0.1)


@pytest.mark.parametrize("line", METHODS.splitlines(), ids=lambda line: line.partition("(")[0])
def test_methods_take_the_arguments_of_the_page(line):
    name, _, rest = line.partition("(")
    names: dict = {}
    exec(f"def expected(self, {rest}: pass", names)

    def signature(function):
        parameters = inspect.signature(function).parameters.values()
        return [(parameter.name, parameter.kind, parameter.default) for parameter in parameters]

    assert signature(getattr(tf.keras.Model, name)) == signature(names["expected"])
    text = inspect.getdoc(getattr(tf.keras.Model, name))
    arguments = [word for word, _, _ in signature(names["expected"]) if word not in ("self", "args", "kwargs")]
    missing = [word for word in arguments if not re.search(rf"\b{word}\b", text)]
    assert "see there for the arguments" in text or not missing


@pytest.mark.parametrize("name", PROPERTIES)
def test_properties_of_the_page_exist(name):
    assert isinstance(inspect.getattr_static(tf.keras.Model, name), property)
    getattr(compiled(FUNCTIONAL), name)


def test_properties_have_the_values_of_the_page():
    model = compiled(FUNCTIONAL)
    assert [type(layer).__name__ for layer in model.layers] == ["InputLayer", "Dense", "Dense"]
    assert model.state_updates == [] and model.stateful is False and model.run_eagerly is False
    model.run_eagerly = True
    assert model.run_eagerly is True
    assert model.sample_weights == [None]


@pytest.mark.parametrize("alias", ALIASES.split())
def test_aliases_are_the_same_class(alias):
    found = tf
    for part in alias.split("."):
        found = getattr(found, part)
    assert found is tf.keras.Model


def test_configs_and_weights_round_trip(tmp_path):
    model = compiled(FUNCTIONAL)
    for again in (
        tf.keras.models.model_from_json(model.to_json()),
        tf.keras.models.model_from_yaml(model.to_yaml()),
    ):
        model.save_weights(str(tmp_path / "weights.h5"))
        again.load_weights(str(tmp_path / "weights.h5"))
        np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert model.get_layer(index=1) is model.get_layer(model.layers[1].name)
    assert model.get_layer("nothing of the kind", index=2) is model.layers[2]  # the index takes precedence


def test_metrics_accumulate_over_batches_until_they_are_reset():
    model = compiled(FUNCTIONAL)
    halves = [model.test_on_batch(X[part], CLASSES[part]) for part in (slice(32), slice(32, 64))]
    model.test_on_batch(X[:32], CLASSES[:32], reset_metrics=False)
    both = model.test_on_batch(X[32:], CLASSES[32:], reset_metrics=False)
    assert both[1] == pytest.approx((halves[0][1] + halves[1][1]) / 2)
    assert both[0] == pytest.approx(halves[1][0])  # the loss returned is the batch's own
    model.reset_metrics()
    assert model.test_on_batch(X[:32], CLASSES[:32]) == pytest.approx(halves[0])


def test_the_summary_goes_where_it_is_sent_and_needs_a_built_model():
    lines: list[str] = []
    compiled(FUNCTIONAL).summary(line_length=60, print_fn=lines.append)
    assert len(lines[1]) == 60 and "Total params: 41" in lines
    with pytest.raises(ValueError, match="has not yet been built"):
        model_of(SUBCLASSED).summary()
