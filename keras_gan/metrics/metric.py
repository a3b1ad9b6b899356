"""What all metrics have in common: one signature, and results that say how they were made."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Score:
    """What a metric found, and all that another score must share to be compared with it.

    Scores of generated images depend on the features, the weights that made them, the resizing, the
    numbers of images and the real images they are held against, more than on most changes of a
    model. So none is given without them.

    Attributes:
        values: dict from names to numbers: `{"fid": 12.3}`, `{"precision": 0.7, "recall": 0.6}`.
        num_real: how many real images were used.
        num_fake: how many samples of the model were used.
        extractor: name of what made the features; `None` if the metric needs none.
        weights: SHA-256 of the extractor's weights, hexadecimal; `None` if it has none.
        resizer: how images were brought to the extractor's size; `None` if they were not.
        split: what the user calls the real images, such as `"mnist test"`; `None` if not said.
        errors: dict from some names of `values` to standard deviations; what of, the metric says.
        settings: dict of the metric's own settings, such as `{"k": 5}`.

    Example:

    >>> score = kg.metrics.Score({"fid": 12.345}, 10_000, 5_000, extractor="pixels", split="test")
    >>> print(score)
    fid 12.35 (10000 real of test, 5000 fake; pixels)
    """

    values: dict
    num_real: int
    num_fake: int
    extractor: str | None = None
    weights: str | None = None
    resizer: str | None = None
    split: str | None = None
    errors: dict = field(default_factory=dict)
    settings: dict = field(default_factory=dict)

    def __str__(self):
        items = self.values.items()
        found = ", ".join(f"{name} {value:.4g}{self._error(name)}" for name, value in items)
        real = f"{self.num_real} real" + (f" of {self.split}" if self.split else "")
        how = [self.extractor, self.weights and f"weights {self.weights[:12]}", self.resizer]
        how += [f"{name} = {value}" for name, value in self.settings.items()]
        how = ", ".join(part for part in how if part)
        return f"{found} ({real}, {self.num_fake} fake{'; ' + how if how else ''})"

    def _error(self, name):
        return f" ± {self.errors[name]:.2g}" if name in self.errors else ""


class Metric:
    """Base class of metrics: `metric(real, fake)` holds samples against real ones.

    A member writes `reference`, which summarises real images once, and `compare`, which may then be
    called for many sets of samples, as `kg.callbacks.EvaluateSamples` does in each epoch. The numbers
    of a result stand in its `values`, a dict from names to floats.

    Example:

    >>> class MeanBrightness(kg.metrics.Metric):
    ...     def reference(self, real):
    ...         return np.mean(real)
    ...     def compare(self, reference, fake):
    ...         return kg.metrics.Score({"brightness": np.mean(fake) - reference}, 1, len(fake))
    >>> MeanBrightness()(real=np.zeros((1, 4)), fake=np.ones((3, 4))).values["brightness"].item()
    1.0
    """

    def reference(self, real):
        """Return what `compare` needs of real images; its size should not grow without need."""
        raise NotImplementedError(f"{type(self).__name__} must define `reference`.")

    def compare(self, reference, fake):
        """Return a result with a dict `values`, such as a `Score`."""
        raise NotImplementedError(f"{type(self).__name__} must define `compare`.")

    def __call__(self, real, fake):
        """Return `compare(reference(real), fake)`."""
        return self.compare(self.reference(real), fake)
