"""Modules, name scopes, and what stands for an object in sets."""

from __future__ import annotations

import pytest

import distkeras as tf


class Linear(tf.Module):
    def __init__(self, units, name=None):
        super().__init__(name)
        self.units = units
        self.w = None

    @tf.Module.with_name_scope
    def __call__(self, x):
        if self.w is None:
            self.w = tf.Variable(tf.ones((x.shape[-1], self.units)), name="w")
            self.b = tf.Variable(tf.zeros(self.units), name="b", trainable=False)
        return x @ self.w + self.b


class Stack(tf.Module):
    def __init__(self):
        super().__init__()
        self.parts = {"first": Linear(3), "rest": [Linear(2, name="last")]}
        self.again = self.parts["first"]
        self.scale = tf.Variable(2.0, name="scale")
        self.dense = tf.keras.layers.Dense(1, name="dense")

    def __call__(self, x):
        return self.dense(self.parts["rest"][0](self.parts["first"](x))) * self.scale


def test_a_module_finds_its_variables_once_each():
    module = Stack()
    module(tf.ones((1, 4)))
    names = [variable.name for variable in module.variables]
    assert names == ["scale:0", "linear/b:0", "linear/w:0", "dense/kernel:0", "dense/bias:0", "last/b:0", "last/w:0"]
    assert [v.name for v in module.trainable_variables] == [names[i] for i in (0, 2, 3, 4, 6)]
    assert [part.name for part in module.submodules] == ["linear", "dense", "last"]
    assert module.name == "stack"


def test_a_module_trains():
    module = Linear(1)
    x, y = tf.constant([[1.0], [2.0]]), tf.constant([[3.0], [6.0]])

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(module(x) - y))
        (gradient,) = tape.gradient(loss, module.trainable_variables)
        module.w.assign_sub(0.1 * gradient)
        return loss

    module(x)
    assert [step() for _ in range(20)][-1] < 1e-4 and abs(module.w.numpy()[0, 0] - 3) < 0.01


@pytest.mark.parametrize("name", ["a b", "1st", ""])
def test_a_modules_name_is_an_identifier(name):
    with pytest.raises(ValueError, match="not a valid module name"):
        tf.Module(name)


def test_name_scopes():
    with tf.name_scope("outer") as scope, tf.name_scope("inner"):
        v = tf.Variable(1.0, name="v")
        layer = tf.keras.layers.Dense(1, name="dense")
    assert scope == "outer/" and v.name == "outer/inner/v:0"
    layer.build((1, 1))
    assert layer.kernel.name == "kernel:0"
    assert tf.Variable(1.0).name == "Variable:0"


def test_references():
    v, x = tf.Variable(1.0), tf.constant(1.0)
    places = {v.experimental_ref(): "v", x.experimental_ref(): "x"}
    assert places[v.experimental_ref()] == "v" and places[x.experimental_ref()] == "x"
    assert v.experimental_ref() != tf.Variable(1.0).experimental_ref() and v.experimental_ref().deref() is v
    v.set_shape([])
    with pytest.raises(ValueError, match="incompatible"):
        v.set_shape([2])
