"""From what the user gives as data to the batches that a model's steps take."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from distkeras import _config, _nest
from distkeras._errors import CaptureError
from distkeras.core.random_state import global_seed
from distkeras.core.spec import TensorSpec, as_dtype
from distkeras.data.adapter import DataOptions, Place, Standardize
from distkeras.data.arrays import DEFAULT_BATCH_SIZE, arrays_of, map_arrays, take
from distkeras.data.batches import known_batch, read_batch
from distkeras.data.forms import KnownForms
from distkeras.data.handler import Batch, DataHandler, select_adapter
from distkeras.data.ragged import RaggedArray, tensor_of
from distkeras.data.shipping import leave_script
from distkeras.data.standardize import Signature, Slot
from distkeras.graph.trace import infer
from distkeras.keras.training import arguments
from distkeras.keras.training.compiling import Compilable
from distkeras.keras.training.micro_shards import MicroShardRunner
from distkeras.keras.training.runner import Runner

_SEED_MASK = (1 << 63) - 1


class Feeding(Compilable):
    """The part of a model that opens data for it."""

    # --- what the model takes

    def _input_slots(self) -> tuple[Slot, ...] | None:
        inputs = getattr(self, "inputs", None)
        if not inputs:
            return None
        pairs = zip(self.input_names, inputs, strict=True)
        return tuple(Slot(name, tuple(tensor.shape), tensor.dtype == "string", tensor.ragged) for name, tensor in pairs)

    def _data_signature(self, kind: str) -> Signature:
        if kind == "predict":
            return Signature(self._input_slots())
        compiled = self.compiled
        if self._has_own_step(kind) and not compiled.trained:
            return Signature(self._input_slots())  # what targets and weights mean is up to the step
        return Signature(
            inputs=self._input_slots(),
            targets=compiled.target_slots,
            outputs=tuple(compiled.output_names),
            weight_modes=tuple(compiled.weight_modes[index] for index in compiled.trained),
            check_targets=compiled.check_targets,
        )

    def _float_type(self) -> str:
        """The type that floating-point data is fed in: that of the first input, by default that of Keras."""
        inputs = getattr(self, "inputs", None)
        dtype = as_dtype(inputs[0].dtype) if inputs else as_dtype(_config.floatx())
        return dtype.name if dtype.is_floating else _config.floatx()

    def _fixed_batch_size(self) -> int | None:
        slots = self._input_slots()
        return slots[0].shape[0] if slots and slots[0].shape else None

    def _standardizer(self, kind: str, class_weight: Any = None, rows: int | None = None) -> Standardize:
        """A function that checks data and brings it into the model's form.

        Args:
            kind: 'train', 'test' or 'predict', which has no targets.
            class_weight: Factors by class.
            rows: How many rows a step has, where data is not given in batches.
        """
        signature: Signature | None = None  # what a model takes stays the same once it is known

        def standardize(x: Any, y: Any, sample_weight: Any) -> tuple:
            nonlocal signature
            if kind == "predict":
                data = self._data_signature(kind).standardize(x)
                self._build_for_steps(kind, data[0], rows)
                return data
            if not self.compiled.is_bound:
                x = Signature(self._input_slots()).standardize(x)[0]
                if self._has_own_step(kind) and not self.compiled.depends_on_outputs:
                    self._build_for_steps(kind, x, rows)
                else:
                    self._bind_outputs(x, rows)
                signature = None
            signature = signature or self._data_signature(kind)
            return signature.standardize(x, y, sample_weight, class_weight)

        return standardize

    def _build_for_steps(self, kind: str, x: Any, rows: int | None) -> None:
        """Make the weights of a model that is not built; one whose own steps do without `call` need not have it."""
        if not self.built and not (self._has_own_step(kind) and self._has_no_call):
            self._outputs_for(x, rows)

    def _bind_outputs(self, x: Any, rows: int | None) -> None:
        """Find the outputs of a model that has none before it is called; this also builds it."""
        if self._known_outputs() is None:
            found = _nest.flatten(self._outputs_for(x, rows))
            # Sizes between the samples' and the last axis may change from batch to batch.
            shapes = [(None,) * (len(leaf.shape) - 1) + tuple(leaf.shape[-1:]) for leaf in found]
            names = [f"output_{position + 1}" for position in range(len(found))]
        known = self._known_outputs()  # a Sequential model has them now
        with self.distribute_strategy.scope():  # metrics are made here
            self.compiled.bind(*((names, shapes) if known is None else known))

    def _outputs_for(self, x: Any, rows: int | None) -> Any:
        count = arrays_of(x)[0].shape[0]
        count = count if rows is None else min(count, rows)
        float_type = self._float_type()

        def spec(array: Any) -> TensorSpec:
            dtype = as_dtype(array.dtype)
            return TensorSpec((count, *array.shape[1:]), float_type if dtype.is_floating else dtype)

        def call() -> Any:
            return self(map_arrays(lambda array: tensor_of(take(array, slice(0, count), float_type)), x))

        try:
            as_it_is = self.run_eagerly or any(isinstance(array, RaggedArray) for array in arrays_of(x))
            return call() if as_it_is else infer(self, map_arrays(spec, x))
        except CaptureError:  # the model looks at values
            return call()
        finally:
            self._clear_losses()

    # --- data

    def _open(
        self,
        kind: str,
        data: tuple[Any, Any, Any],
        *,
        batch_size: int | None = None,
        steps: int | None = None,
        shuffle: bool | str = False,
        class_weight: Any = None,
        epoch: int = 0,
        place: Place | None = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
    ) -> DataHandler:
        """Open data for steps of a kind, checking it as far as that is possible before it is read."""
        leave_script()
        x, y, sample_weight = data
        if x is None:
            raise ValueError("Expected data: `x` is None. Pass arrays, a Sequence or a generator of batches.")
        adapter = select_adapter(x)
        arguments.check_form(adapter, y, sample_weight, batch_size, shuffle)
        arguments.check_workers(max_queue_size, workers, use_multiprocessing)
        if not adapter.comes_in_batches:
            batch_size = arguments.check_integer("batch_size", batch_size, 1, optional=True)
            batch_size = arguments.check_batch_shape(batch_size, self._fixed_batch_size())
            y = self._targets_or_given(kind, y)
        strategy = self.distribute_strategy
        rows = None if adapter.comes_in_batches else batch_size or DEFAULT_BATCH_SIZE
        options = DataOptions(
            batch_size=batch_size,
            steps=steps,
            shuffle=_checked_shuffle(shuffle),
            order_key=self._order_key(),
            standardize=self._standardizer(kind, class_weight, rows),
            workers=workers,
            use_multiprocessing=bool(use_multiprocessing),
            max_queue_size=max_queue_size,
            tuples_only=kind == "predict",
            rank=strategy.rank,
            num_replicas=strategy.communicator.size,
            is_elastic=strategy.communicator.is_elastic,
            broadcast=strategy.agree,
            gather=strategy.collect,
            scatter=strategy.scatter,
            by_rows=strategy.micro_shards is None,
            shard=strategy.shard,
            restart=kind != "train",
            float_type=self._float_type(),
            known=self._forms(kind, class_weight),
        )
        opened = adapter(x, y, sample_weight, options)
        handler = DataHandler(opened, strategy.rank, rows_of_rank=strategy.rows_of_rank, place=place)
        self._check_stateful(handler)
        if adapter.comes_in_batches and kind != "predict" and not self.compiled.is_bound:
            handler.begin(epoch if place is None else place.epoch)
        return handler

    def _open_training(
        self,
        data: tuple[Any, Any, Any],
        validation_data: Any,
        validation_split: float,
        validation_steps: int | None,
        **options: Any,
    ) -> tuple[DataHandler, DataHandler | None]:
        """Open the data to train on, and that to validate on if there is any."""
        if validation_data is not None:
            validation = arguments.unpack_validation_data(validation_data)
        elif validation_split:
            data, validation = self._split(data, validation_split, options)
        else:
            if validation_steps is not None:
                raise ValueError("`validation_steps` was given, but neither `validation_data` nor `validation_split`.")
            return self._open("train", data, **options), None
        training = self._open("train", data, **options)
        options.update(steps=validation_steps, shuffle=False, class_weight=None, epoch=0, place=None)
        in_batches = validation[0] is not None and select_adapter(validation[0]).comes_in_batches
        options["batch_size"] = None if in_batches else training.adapter.batch_size
        return training, self._open("test", validation, **options)

    def _split(self, data: tuple, validation_split: float, options: dict[str, Any]) -> tuple[tuple, tuple]:
        x, y, sample_weight = data
        if x is not None and select_adapter(x).comes_in_batches:
            raise ValueError(
                f"`validation_split` argument is not supported when input `x` is {select_adapter(x).form}: pass "
                "`validation_data`."
            )
        if x is None:
            return data, data  # refused, with its own message, when it is opened
        standardize = self._standardizer("train", rows=options["batch_size"] or DEFAULT_BATCH_SIZE)
        data = standardize(x, self._targets_or_given("train", y), sample_weight)
        return arguments.split_validation(data, validation_split)

    def _targets_or_given(self, kind: str, y: Any) -> Any:
        return y if kind == "predict" else self.compiled.targets_with_tensors(y)

    def _check_stateful(self, handler: DataHandler) -> None:
        size, count = self._fixed_batch_size(), handler.num_samples
        if getattr(self, "stateful", False) and size and count and count % size:
            raise ValueError(
                "In a stateful network, you should only pass inputs with a number of samples that can be divided by "
                f"the batch size. Found: {count} samples, batches of {size}."
            )

    def _single_batch(self, kind: str, data: tuple, class_weight: Any = None) -> Batch:
        """This rank's part of data that is one global batch."""
        leave_script()
        x, y, sample_weight = data
        if x is None:
            raise ValueError("Expected data: `x` is None.")
        data = (x, self._targets_or_given(kind, y), sample_weight)
        known = self._forms(kind, class_weight)
        parts = known.parts(data)
        if parts is not None:
            batch = known_batch(parts)
        else:
            _check_is_batch(x, kind)
            standardize, float_type = self._standardizer(kind, class_weight), self._float_type()
            batch = read_batch(data, DataOptions(standardize=standardize, float_type=float_type, known=known))
        return self._batch_of_rank(batch.size, batch.read)

    def _batch_of_rank(self, size: int, read: Callable[[int, int], tuple]) -> Batch:
        start, stop = self.distribute_strategy.rows_of_rank(size)
        again = functools.partial(self._batch_of_rank, size, read)
        return Batch(0, read(start, stop), stop - start, size, start, 0, again)

    def _forms(self, kind: str, class_weight: Any = None) -> KnownForms:
        """The forms of batches that are known to fit; kept until the model is compiled again."""
        forms = self.__dict__.setdefault("_known_forms", {})
        if kind not in forms:
            forms[kind] = KnownForms() if kind == "predict" else KnownForms(self.compiled.check_classes)
        return forms[kind] if class_weight is None else KnownForms()

    # --- the order of samples

    def _order_key(self) -> Callable[[int], tuple[int, ...]]:
        """Orders depend on the seed, the epoch and how often this model was trained for that epoch before.

        So a training that is resumed sees the orders of an uninterrupted one, and a script that calls `fit` again and
        again for one epoch does not see the same order each time.
        """
        seed = int(self.distribute_strategy.agree(global_seed())) & _SEED_MASK
        return lambda epoch: (seed, epoch, self._epochs_run.get(epoch, 0))

    @property
    def _epochs_run(self) -> dict[int, int]:
        return self.__dict__.setdefault("_epochs_run_by_number", {})

    def _count_epoch(self, epoch: int) -> None:
        self._epochs_run[epoch] = self._epochs_run.get(epoch, 0) + 1

    # --- runners

    def _runner(self, kind: str) -> Runner:
        """The runner of steps of a kind, kept until the model is compiled again."""
        runners = self._runners_made
        if kind not in runners:
            kind_of_runner = MicroShardRunner if self.distribute_strategy.micro_shards else Runner
            runners[kind] = kind_of_runner(self, kind)
        return runners[kind]

    @property
    def _runners_made(self) -> dict[str, Runner]:
        return self.__dict__.setdefault("_runners", {})


def _check_is_batch(x: Any, kind: str) -> None:
    if select_adapter(x).comes_in_batches:
        raise ValueError(
            f"{kind}_on_batch takes one batch, but `x` is {select_adapter(x).form}: pass what that yields, or pass it "
            "to fit, evaluate or predict."
        )


def _checked_shuffle(shuffle: Any) -> bool | str:
    if shuffle not in (True, False, "batch"):
        raise ValueError(f"`shuffle` must be True, False or 'batch', received {shuffle!r}.")
    return shuffle
