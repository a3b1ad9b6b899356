"""Rules that choose how many steps the discriminator takes for each step of the generator."""

import functools
from collections.abc import Iterator, Sequence

import keras
from keras import ops

from keras_gan import backend
from keras_gan.losses import Loss
from keras_gan.updates.rule import UpdateRule
from keras_gan.utils import batches, structures
from keras_gan.utils.typing import Config, Game, Logs, Structure, Tensor
from keras_gan.utils.validation import check_integer, check_number

__all__ = ["AdaptiveSteps", "BalancedSteps", "IncreasingSteps"]

_register = keras.saving.register_keras_serializable(package="keras_gan")


class AdaptiveSteps(UpdateRule):
    """Base class for alternating rules that adapt k, the number of discriminator steps.

    The batch is cut into `discriminator_steps` minibatches, the largest k. Each training step uses the
    first k of them, without computing the others, and then moves the generator, on new latents. The
    smoothed balance of the players then decides whether k changes. Subclasses define `balance` and
    `direction`.

    Two numbers are logged: `balance`, and k as `discriminator_steps`. The logs of the discriminator are
    means over the k steps that were taken. All state is saved with the GAN.

    Args:
        minimum: smallest k, from 1 to `discriminator_steps`, with which training begins. If both are
            equal, k is constant, as with `Alternating`.
        decay: decay of the exponential moving average (EMA) of the balance, in [0, 1). It starts at the
            first value.
        patience: number of training steps from the start, and from each change of k, to the next
            change; at least 1. The average needs about 2 / (1 − decay) steps to follow a change.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range. In `compile`: `minimum` exceeds `discriminator_steps`.

    Example:

    >>> class FewerSteps(kg.updates.AdaptiveSteps):  # fewer steps while D(G(z)) is below 0.1
    ...     def balance(self, loss, real_logits, fake_logits):
    ...         return loss.mean_decisions(real_logits, fake_logits)[1]
    ...     def direction(self, average):
    ...         return ops.where(average < 0.1, -1, 1)
    >>> FewerSteps(minimum=2).get_config()
    {'minimum': 2, 'decay': 0.9, 'patience': 10}
    """

    log_names = ("balance", "discriminator_steps")

    def __init__(self, minimum: int = 1, decay: float = 0.9, patience: int = 10) -> None:
        self.minimum = check_integer("minimum", minimum, minimum=1)
        self.decay = check_number("decay", decay, minimum=0, below=1)
        self.patience = check_integer("patience", patience, minimum=1, maximum=2**31 - 1)

    def balance(self, loss: Loss, real_logits: Structure, fake_logits: Structure) -> Tensor:
        """Return a scalar that says how far the discriminator is ahead of the generator.

        Args:
            loss: loss of the game.
            real_logits: the discriminator's logits of real examples.
            fake_logits: those of generated examples.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `balance`.")

    def direction(self, average: Tensor) -> Tensor:
        """Return 1 for a larger k, -1 for a smaller one, or 0, for the average of the balance."""
        raise NotImplementedError(f"{type(self).__name__} must define `direction`.")

    def counts(self, maximum: int) -> Sequence[int]:
        """Return the values of k in ascending order, from `minimum` to `maximum`."""
        return range(self.minimum, maximum + 1)

    def build(self, gan: Game) -> list[keras.Variable]:
        """Check the bounds of k, and create the state.

        Raises:
            ValueError: `minimum` exceeds the GAN's `discriminator_steps`.
        """
        if self.minimum > gan.discriminator_steps:
            raise ValueError(
                "The bounds of the number of discriminator steps cross: `minimum` must not exceed "
                "`discriminator_steps`, which is the largest number. Received: "
                f"minimum={self.minimum} and discriminator_steps={gan.discriminator_steps}. Compile "
                f"with `discriminator_steps={self.minimum}` or more, and with batches of as many "
                "minibatches."
            )
        self._counts = list(self.counts(gan.discriminator_steps))
        variable = functools.partial(keras.Variable, trainable=False)
        self._level = variable(0, dtype="int32", name="level")  # k is the entry of _counts
        self._waited = variable(0, dtype="int32", name="waited")  # steps since the last change
        self._average = variable(0.0, dtype="float32", name="average")
        self._started = variable(False, dtype="bool", name="started")
        return [self._level, self._waited, self._average, self._started]

    def measure(self, loss: Loss, real_logits: Structure, fake_logits: Structure) -> Logs:
        """See base class."""
        return {"balance": self.balance(loss, real_logits, fake_logits)}

    def play(self, gan: Game, batch: batches.Batch) -> Iterator[Logs]:
        """See base class."""
        k = ops.take(ops.convert_to_tensor(self._counts, "int32"), self._level.value)
        first = gan.plays(batch.part(0, self.minimum))
        steps = [_float32(gan.discriminator_step(play)) for play in first]
        skipped = structures.mapped(lambda _: ops.zeros((), "float32"), steps[0])
        variables = [*gan.variables, *gan.d_optimizer.variables]
        for i in range(self.minimum, batch.k):
            step = functools.partial(_new_step, gan, batch.part(i, i + 1))
            steps.append(backend.cond(ops.less(i, k), step, skipped, variables))
        taken = ops.cast(k, "float32")
        yield {name: _mean([logs[name] for logs in steps], taken) for name in skipped}
        yield gan.generator_step(batch.last)
        yield {"discriminator_steps": taken}
        self._adapt(ops.take(ops.stack([logs["balance"] for logs in steps]), k - 1))

    def _adapt(self, balance):
        """Average the balance of the last discriminator step, and move k by it."""
        balance = backend.replica_mean(balance)
        finite = ops.isfinite(balance)
        average = self.decay * self._average + (1 - self.decay) * balance
        average = ops.where(self._started.value, average, balance)
        self._average.assign(ops.where(finite, average, self._average.value))
        self._started.assign(ops.logical_or(self._started.value, finite))
        waited = ops.minimum(self._waited + 1, self.patience)
        may_move = ops.logical_and(ops.equal(waited, self.patience), self._started.value)
        move = ops.where(may_move, ops.cast(self.direction(self._average.value), "int32"), 0)
        level = ops.clip(self._level + move, 0, len(self._counts) - 1)
        self._waited.assign(ops.where(ops.equal(level, self._level.value), waited, 0))
        self._level.assign(level)

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {"minimum": self.minimum, "decay": self.decay, "patience": self.patience}


def _new_step(gan, batch):
    """Take a discriminator step on one minibatch and newly generated samples."""
    (play,) = gan.plays(batch)
    return _float32(gan.discriminator_step(play))


def _float32(logs):
    return structures.mapped(lambda value: ops.cast(value, "float32"), logs)


def _mean(values, taken):
    """Return the mean over the steps taken; that of pairs (mean, rows) is over all their rows."""
    if not isinstance(values[0], tuple):
        return sum(values) / taken
    rows = sum(count for _, count in values)
    return sum(mean * count for mean, count in values) / ops.maximum(rows, 1.0), rows


@_register
class BalancedSteps(AdaptiveSteps):
    """Keep D(x) − D(G(z)) in a band: below it one discriminator step more, above it one less.

    The difference is that of the logs `d_real` and `d_fake`. For losses of a critic (hinge,
    Wasserstein), it is in the units of the score, which is unbounded.

    Args:
        low: lower end of the band.
        high: upper end, larger than `low`.
        minimum: smallest k, from 1 to `discriminator_steps`, which is the largest.
        decay: decay of the average of the difference, in [0, 1).
        patience: number of training steps between two changes of k, at least 1.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range, or `high` is not larger than `low`.

    Example:

    >>> gan = kg.GAN(
    ...     keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]),
    ...     keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]),
    ...     seed=0,
    ... )
    >>> rule = kg.updates.BalancedSteps(low=0.1, high=0.5)
    >>> gan.compile("sgd", "sgd", update=rule, discriminator_steps=5)  # 1 to 5 minibatches of 64
    >>> history = gan.fit(np.ones((320, 1), "float32"), batch_size=320, verbose=0)
    >>> history.history["discriminator_steps"]
    [1.0]
    """

    def __init__(
        self,
        low: float = 0.1,
        high: float = 0.5,
        *,
        minimum: int = 1,
        decay: float = 0.9,
        patience: int = 10,
    ) -> None:
        super().__init__(minimum, decay, patience)
        self.low = check_number("low", low)
        hint = "It must be larger than `low`."
        self.high = check_number("high", high, above=self.low, hint=hint)

    def balance(self, loss: Loss, real_logits: Structure, fake_logits: Structure) -> Tensor:
        """Return the mean of D(x) − D(G(z))."""
        d_real, d_fake = loss.mean_decisions(real_logits, fake_logits)
        return d_real - d_fake

    def direction(self, average: Tensor) -> Tensor:
        """See base class."""
        return ops.cast(average < self.low, "int32") - ops.cast(average > self.high, "int32")

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {"low": self.low, "high": self.high, **super().get_config()}


@_register
class IncreasingSteps(AdaptiveSteps):
    """Take more discriminator steps once the discriminator accepts too many fakes; never fewer.

    Bie, Kamath, Zhang, 2023, arXiv 2302.02936, section 4.2, for discriminators whose gradients are
    noisy: if the average accuracy on generated samples is at most `threshold`, k becomes the next of 1,
    2, 5, 10, 20, 50, … k never decreases, so a generator whose discriminator has recovered learns
    slowly. They measure the accuracy after the discriminator's steps, on further samples; here it is
    that of the last step.

    Args:
        threshold: accuracy in (0, 1) at and below which k increases.
        minimum: the first k, from 1 to `discriminator_steps`, which is the last.
        decay: decay of the average of the accuracy, in [0, 1).
        patience: number of training steps between two changes of k, at least 1.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range.

    Example:

    >>> list(kg.updates.IncreasingSteps().counts(20))
    [1, 2, 5, 10, 20]
    """

    def __init__(
        self,
        threshold: float = 0.6,
        *,
        minimum: int = 1,
        decay: float = 0.99,
        patience: int = 200,
    ) -> None:
        super().__init__(minimum, decay, patience)
        self.threshold = check_number("threshold", threshold, above=0, below=1)

    def balance(self, loss: Loss, real_logits: Structure, fake_logits: Structure) -> Tensor:
        """Return the share of generated samples that the discriminator recognizes."""
        pairs = zip(structures.leaves(real_logits), structures.leaves(fake_logits), strict=True)
        fakes = [loss.decisions(*pair)[1] for pair in pairs]
        shares = [ops.mean(ops.cast(fake < loss.boundary, "float32")) for fake in fakes]
        return sum(shares) / len(shares)

    def direction(self, average: Tensor) -> Tensor:
        """See base class."""
        return ops.cast(average <= self.threshold, "int32")

    def counts(self, maximum: int) -> Sequence[int]:
        """See base class: 1, 2, 5, 10, 20, 50, … between both ends."""
        scale = (factor * 10**power for power in range(len(str(maximum))) for factor in (1, 2, 5))
        between = [count for count in scale if self.minimum < count < maximum]
        return sorted({self.minimum, *between, maximum})

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {"threshold": self.threshold, **super().get_config()}
