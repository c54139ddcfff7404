"""Just enough of a model, an optimizer and a strategy for callbacks to work on."""


class Strategy:
    """A rank whose fellow rank 0 has decided already."""

    def __init__(self, rank=0, said_by_rank_zero=()):
        self.rank = rank
        self._said = list(said_by_rank_zero)

    def agree(self, value):
        return self._said.pop(0) if self.rank else value


class Optimizer:
    def __init__(self, lr=1.0):
        self.lr = lr


class Model:
    def __init__(self, strategy=None, lr=1.0):
        self.distribute_strategy = strategy or Strategy()
        self.optimizer = Optimizer(lr)
        self.stop_training = False
        self.weights = [0]
        self.saved = []

    def get_weights(self):
        return list(self.weights)

    def set_weights(self, weights):
        self.weights = list(weights)

    def save(self, filepath, overwrite):
        assert overwrite
        self.saved.append(("model", filepath))

    def save_weights(self, filepath, overwrite):
        assert overwrite
        self.saved.append(("weights", filepath))

    def load_weights(self, filepath):
        self.weights = ["loaded", filepath]


def run_epochs(callback, epochs, model=None, params=None):
    """Drive a callback through epochs, given as one dict of logs each, until it stops the training."""
    callback.set_model(model or Model())
    callback.set_params({"metrics": [], "epochs": len(epochs), "verbose": 1, **(params or {})})
    callback.on_train_begin({})
    seen = []
    for epoch, logs in enumerate(epochs):
        logs = dict(logs)
        callback.on_epoch_begin(epoch, {})
        callback.model.weights = [epoch]
        callback.on_epoch_end(epoch, logs)
        seen.append(logs)
        if callback.model.stop_training:
            break
    callback.on_train_end({})
    return seen
