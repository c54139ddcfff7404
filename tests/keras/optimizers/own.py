"""Optimizers as users of TensorFlow 2.0 write them."""

from __future__ import annotations

import distkeras as tf


class OwnAdam(tf.keras.optimizers.Optimizer):
    """Adam in tensor operations."""

    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, name="OwnAdam", **kwargs):
        super().__init__(name, **kwargs)
        self._set_hyper("learning_rate", kwargs.get("lr", learning_rate))
        self._set_hyper("decay", self._initial_decay)
        self._set_hyper("beta_1", beta_1)
        self._set_hyper("beta_2", beta_2)
        self.epsilon = 1e-7

    def _create_slots(self, var_list):
        for var in var_list:
            self.add_slot(var, "m")
        for var in var_list:
            self.add_slot(var, "v")

    def _prepare_local(self, var_device, var_dtype, apply_state):
        super()._prepare_local(var_device, var_dtype, apply_state)
        apply_state[(var_device, var_dtype)]["beta_1"] = self._get_hyper("beta_1", var_dtype)

    def _resource_apply_dense(self, grad, var, apply_state=None):
        key = (var.device, var.dtype.base_dtype)
        state = (apply_state or {}).get(key) or self._fallback_apply_state(*key)
        beta_1, beta_2 = state["beta_1"], self._get_hyper("beta_2", var.dtype)
        step = tf.cast(self.iterations + 1, var.dtype)
        m, v = self.get_slot(var, "m"), self.get_slot(var, "v")
        m.assign(beta_1 * m + (1.0 - beta_1) * grad, use_locking=self._use_locking)
        v.assign(beta_2 * v + (1.0 - beta_2) * tf.square(grad), use_locking=self._use_locking)
        rate = state["lr_t"] * tf.sqrt(1.0 - tf.pow(beta_2, step)) / (1.0 - tf.pow(beta_1, step))
        return var.assign_sub(rate * m / (tf.sqrt(v) + self.epsilon), use_locking=self._use_locking)

    def get_config(self):
        names = ("learning_rate", "decay", "beta_1", "beta_2")
        return {**super().get_config(), **{name: self._serialize_hyperparameter(name) for name in names}}


class DecayingAdam(tf.keras.optimizers.Adam):
    """The kernel's Adam after a decay of one's own, as BERT's optimizer does it."""

    def _resource_apply_dense(self, grad, var, apply_state=None):
        var.assign_sub(0.1 * self._decayed_lr(var.dtype) * var)
        return super()._resource_apply_dense(grad, var, apply_state)
