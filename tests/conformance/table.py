"""One row for each public object: of which kind it is, and how one is made.

Arguments are not the defaults: a configuration that leaves one out would otherwise make the same.
"""

import keras
import kinds
import members as small
import numpy as np
from keras import ops
from kinds import (
    FAKE,
    REAL,
    Callback,
    ClassTerm,
    Extractor,
    FeatureTerm,
    Function,
    Initializer,
    Layer,
    Loss,
    Mask,
    Metric,
    Network,
    Optimizer,
    Prior,
    Refused,
    Rule,
    Schedule,
    Settings,
    TensorFunction,
    Term,
    Trains,
    Unwritable,
    Variant,
)

import keras_gan as kg

serialize = keras.saving.serialize_keras_object
X, Y = small.POINTS
BRIGHT = small.Brightness


def decayed():
    return kg.optimizers.GeometricDecay(0.05, factor=1.5, minimum=0.001)


def ramp():
    return kg.optimizers.EpochRamp(0.5, 0.7, first_epoch=1, last_epoch=3, steps_per_epoch=1)


ROWS = {
    # The game
    "GAN": Variant(lambda: kinds.game(single_pass=True, ema_decay=0.5)),
    "models.BiGAN": Variant(lambda: kinds.game(kg.models.BiGAN, networks=kinds.paired_networks)),
    "models.CompletionGAN": Variant(
        lambda: kinds.game(kg.models.CompletionGAN, networks=kinds.masked_networks)
    ),
    "models.SemiSupervisedGAN": Variant(
        lambda: kinds.game(
            kg.models.SemiSupervisedGAN, networks=kinds.classifier_networks, ema_decay=0.5
        )
    ),
    "models.fit_encoder": Trains(small.encoded),
    "models.Objectives": Variant(lambda: kinds.game(small.Variant)),
    "models.WeightEMA": Settings(lambda: {"ema_decay": 0.5}),
    "models.Play": Function(lambda: small.play().mean_real(REAL)),
    "models.Player": Function(lambda: small.player().variables),
    "export_savedmodel": Function(lambda: kg.export_savedmodel(kinds.game(), "exported").parent.name),
    "tuner.GANHyperModel": Trains(lambda: small.searched().get_best_models()[0].generate(3, seed=1)),
    "tuner.trials_table": Function(lambda: kg.tuner.trials_table(small.searched())),
    # Losses
    "losses.Loss": Loss(small.Loss),
    "losses.Minimax": Loss(lambda: kg.losses.Minimax(label_smoothing=0.1)),
    "losses.NonSaturating": Loss(lambda: kg.losses.NonSaturating(label_smoothing=0.1)),
    "losses.MaximumLikelihood": Loss(lambda: kg.losses.MaximumLikelihood(label_smoothing=0.1)),
    "losses.LeastSquares": Loss(lambda: kg.losses.LeastSquares(label_smoothing=0.1)),
    "losses.Hinge": Loss(kg.losses.Hinge),
    "losses.Wasserstein": Loss(kg.losses.Wasserstein),
    "losses.RelativisticAverage": Loss(kg.losses.RelativisticAverage),
    "losses.RelativisticPaired": Loss(kg.losses.RelativisticPaired),
    "losses.Weights": Function(lambda: kg.losses.Weights(ops.array([0.5, 1.5])).mean_real(ops.ones(2))),
    "losses.mean": Function(lambda: kg.losses.mean(ops.ones((2, 3)), ops.array([0.5, 1.5]))),
    "losses.get": Function(lambda: serialize(kg.losses.get("hinge"))),
    # Priors
    "priors.Prior": Prior(lambda: small.Prior(shape=6)),
    "priors.Uniform": Prior(lambda: kg.priors.Uniform(-2.0, 0.5, shape=6)),
    "priors.Normal": Prior(lambda: kg.priors.Normal(1.0, 0.5, shape=6)),
    "priors.Spherical": Prior(lambda: kg.priors.Spherical(shape=6)),
    "priors.Categorical": Prior(lambda: kg.priors.Categorical(6, [0.5, 0.1, 0.1, 0.1, 0.1, 0.1])),
    "priors.Joint": Prior(lambda: kg.priors.Joint([kg.priors.Normal(1.0), kg.priors.Categorical(2)])),
    "priors.Distribution": (
        Refused(lambda: kg.priors.Distribution(small.distribution()), "no distributions for the backend")
        if small.BACKEND == "torch"
        else Unwritable(lambda: kg.priors.Distribution(small.distribution()))
    ),
    "priors.get": Function(lambda: serialize(kg.priors.get("normal"))),
    # Masks
    "masks.Mask": Mask(small.Mask),
    "masks.Random": Mask(lambda: kg.masks.Random(0.3, shape=(4, 4, 1))),
    "masks.Halves": Mask(lambda: kg.masks.Halves(shape=(4, 4, 1))),
    "masks.get": Function(lambda: serialize(kg.masks.get("halves"))),
    # Terms (an interval makes a branch, which takes JAX seconds: two rows have one)
    "terms.Term": Term(lambda: small.Term(weight=0.5, interval=2, name="other")),
    "terms.GradientPenalty": Term(
        lambda: kg.terms.GradientPenalty(2.0, target=0.5, one_sided=True, name="other")
    ),
    "terms.DRAGAN": Term(lambda: kg.terms.DRAGAN(2.0, target=0.5, one_sided=True, name="other")),
    "terms.R1": Term(lambda: kg.terms.R1(2.0, interval=2, name="other")),
    "terms.R2": Term(lambda: kg.terms.R2(2.0, name="other")),
    "terms.FeatureMatching": Term(lambda: kg.terms.FeatureMatching("features", 2.0, name="other")),
    "terms.HistoricalAveraging": Term(
        lambda: kg.terms.HistoricalAveraging("generator", 2.0, name="other")
    ),
    "terms.AuxiliaryClassifier": ClassTerm(
        lambda: kg.terms.AuxiliaryClassifier(weight=2.0, generator_weight=0.5, name="other")
    ),
    "terms.PullAway": FeatureTerm(lambda: kg.terms.PullAway(weight=2.0, name="other")),
    "terms.ConditionalEntropy": FeatureTerm(
        lambda: kg.terms.ConditionalEntropy(weight=2.0, name="other")
    ),
    "terms.squared_norms": Function(lambda: kg.terms.squared_norms(small.decoder, X)),
    "terms.get": Function(lambda: serialize(kg.terms.get("dragan"))),
    # Update rules
    "updates.UpdateRule": Rule(small.Rule),
    "updates.Alternating": Rule(lambda: kg.updates.Alternating(share_fakes=True)),
    "updates.Simultaneous": Rule(kg.updates.Simultaneous),
    "updates.Extragradient": Rule(kg.updates.Extragradient),
    "updates.Optimistic": Rule(kg.updates.Optimistic),
    "updates.Consensus": Rule(lambda: kg.updates.Consensus(gamma=0.1)),
    "updates.AdaptiveSteps": Rule(lambda: small.MoreSteps(minimum=1, decay=0.5, patience=2)),
    "updates.BalancedSteps": Rule(
        lambda: kg.updates.BalancedSteps(-0.2, 0.3, minimum=1, decay=0.5, patience=2)
    ),
    "updates.IncreasingSteps": Rule(
        lambda: kg.updates.IncreasingSteps(0.7, minimum=1, decay=0.5, patience=2)
    ),
    "updates.descend": Function(small.descended),
    "updates.get": Function(lambda: serialize(kg.updates.get("consensus"))),
    # Optimizers and recipes
    "optimizers.GeometricDecay": Schedule(decayed),
    "optimizers.EpochRamp": Schedule(ramp),
    "optimizers.MomentumSGD": Optimizer(
        lambda: kg.optimizers.MomentumSGD(decayed(), ramp(), name="other")
    ),
    "recipes.goodfellow2014": Settings(lambda: kg.recipes.goodfellow2014(5, learning_rate=0.05)),
    "recipes.adam_r1_ema": Settings(lambda: kg.recipes.adam_r1_ema(1e-3, r1=0.5, ema_decay=0.9)),
    "recipes.r3gan": Settings(lambda: kg.recipes.r3gan(1e-3, gamma=0.5, ema_decay=0.9)),
    # Layers
    "layers.Maxout": Layer(lambda: kg.layers.Maxout(3, 2, **small.WEIGHTS), (4,)),
    "layers.MaxoutConv2D": Layer(
        lambda: kg.layers.MaxoutConv2D(3, 2, (3, 2), strides=2, padding="same", **small.WEIGHTS),
        (6, 5, 2),
    ),
    "layers.UntiedBias": Layer(lambda: kg.layers.UntiedBias("random_normal"), (3, 2)),
    "layers.Projection": Layer(
        lambda: kg.layers.Projection(
            3, kernel_initializer="he_normal", embeddings_initializer="random_normal"
        ),
        (4,),
        (),
    ),
    "layers.SpectralNormalization": Layer(
        lambda: kg.layers.SpectralNormalization(keras.layers.Dense(3)), (4,)
    ),
    "initializers.Sparse": Initializer(lambda: kg.initializers.Sparse(2, stddev=0.5, seed=3), (5,)),
    # Networks
    "architectures.mnist_generator": Network(lambda: kg.architectures.mnist_generator(seed=0)),
    "architectures.mnist_discriminator": Network(lambda: kg.architectures.mnist_discriminator(seed=0)),
    "architectures.tfd_generator": Network(lambda: kg.architectures.tfd_generator(seed=0, units=100)),
    "architectures.tfd_stacked_generator": Network(
        lambda: kg.architectures.tfd_stacked_generator(
            kg.architectures.tfd_generator(seed=0, units=100), seed=1, units=8
        )
    ),
    "architectures.tfd_discriminator": Network(
        lambda: kg.architectures.tfd_discriminator(seed=0, units=8)
    ),
    "architectures.cifar10_generator": Network(
        lambda: kg.architectures.cifar10_generator(seed=0, units=8)
    ),
    "architectures.cifar10_discriminator": Network(
        lambda: kg.architectures.cifar10_discriminator(seed=0, units=8)
    ),
    "architectures.cifar10_conv_generator": Network(
        lambda: kg.architectures.cifar10_conv_generator(seed=0, units=100)
    ),
    "architectures.cifar10_conv_discriminator": Network(
        lambda: kg.architectures.cifar10_conv_discriminator(seed=0)
    ),
    "architectures.dcgan_generator": Network(
        lambda: kg.architectures.dcgan_generator(
            8, 1, latent_dim=6, activation="sigmoid", num_classes=3, width=4, seed=0
        )
    ),
    "architectures.dcgan_discriminator": Network(
        lambda: kg.architectures.dcgan_discriminator(8, 1, num_classes=3, width=4, seed=0)
    ),
    "architectures.digit_classifier": Network(lambda: kg.architectures.digit_classifier(seed=0)),
    "architectures.embed_labels": TensorFunction(
        lambda: lambda label: kg.architectures.embed_labels(label, 3, size=2, seed=0), ()
    ),
    "architectures.join_conditions": TensorFunction(
        lambda: lambda parts: kg.architectures.join_conditions(*parts), (4, 4, 2), (3,), (8, 6, 1)
    ),
    # Metrics
    "metrics.Metric": Metric(small.Metric),
    "metrics.FeatureMetric": Metric(lambda: small.FeatureMetric(small.pixels())),
    "metrics.ClassifierMetric": Metric(lambda: small.ClassifierMetric(BRIGHT())),
    "metrics.FID": Metric(lambda: kg.metrics.FID(BRIGHT(), split="test")),
    "metrics.KID": Metric(
        lambda: kg.metrics.KID(small.pixels(), subset_size=8, num_subsets=3, seed=1, split="test")
    ),
    "metrics.InceptionScore": Metric(
        lambda: kg.metrics.InceptionScore(BRIGHT(), splits=2, split="test")
    ),
    "metrics.PrecisionRecall": Metric(
        lambda: kg.metrics.PrecisionRecall(small.pixels(), k=2, split="test")
    ),
    "metrics.DensityCoverage": Metric(
        lambda: kg.metrics.DensityCoverage(small.pixels(), k=2, split="test")
    ),
    "metrics.Memorization": Metric(lambda: kg.metrics.Memorization(FAKE + 0.01, split="test")),
    "metrics.ParzenWindow": Metric(lambda: kg.metrics.ParzenWindow(REAL, (0.2, 0.5), split="test")),
    "metrics.ModeCoverage": Metric(
        lambda: kg.metrics.ModeCoverage(REAL[:3].reshape(3, -1), 0.3), lambda x: x.reshape(len(x), -1)
    ),
    "metrics.StackedDigits": Metric(
        lambda: kg.metrics.StackedDigits(small.Digits(), split="test"),
        lambda x: np.repeat(x, 3, axis=-1),
    ),
    # Feature extractors
    "metrics.FeatureExtractor": Extractor(lambda: BRIGHT(value_range=(0, 2))),
    "metrics.Identity": Extractor(lambda: kg.metrics.Identity((4, 4, 1))),
    "metrics.Pixels": Extractor(lambda: kg.metrics.Pixels((4, 4, 1), value_range=(0, 2))),
    "metrics.ModelFeatures": Extractor(
        lambda: kg.metrics.ModelFeatures(
            small.convolution(), "features", name="other", value_range=(0, 2), batch_size=5
        )
    ),
    "metrics.DigitClassifier": Extractor(
        lambda: kg.metrics.DigitClassifier(small.convolution(), value_range=(0, 2), resizer="nearest")
    ),
    "metrics.InceptionV3": Extractor(small.inception),
    # What metrics return, and functions of arrays
    "metrics.Score": Function(lambda: kg.metrics.Score({"fid": 1.5}, 3, 4, "pixels", split="test")),
    "metrics.ParzenResult": Function(lambda: kg.metrics.ParzenResult(225.0, 2.0, 0.2, 10, 20)),
    "metrics.AnnealedResult": Function(
        lambda: kg.metrics.AnnealedResult(np.array([1.0, 3.0]), "forward", 0.1, 10, 2, 0.6)
    ),
    "metrics.GaussianStatistics": Function(lambda: _statistics(X).covariance),
    "metrics.annealed_log_likelihood": Function(
        lambda: kg.metrics.annealed_log_likelihood(
            small.decoder,
            np.ones((2, 2)),
            0.5,
            kg.priors.Normal(shape=2),
            num_temperatures=3,
            num_chains=2,
        )
    ),
    "metrics.simulate_decoder": Function(
        lambda: kg.metrics.simulate_decoder(small.decoder, 3, 0.5, kg.priors.Normal(shape=2))
    ),
    "metrics.inception_score": Function(lambda: kg.metrics.inception_score(np.eye(4), splits=2)),
    "metrics.frechet_distance": Function(lambda: kg.metrics.frechet_distance(X, Y)),
    "metrics.kernel_distance": Function(
        lambda: kg.metrics.kernel_distance(X, Y, subset_size=10, num_subsets=3)
    ),
    "metrics.duplicate_threshold": Function(lambda: kg.metrics.duplicate_threshold(X, quantile=0.5)),
    "metrics.duplicates": Function(lambda: kg.metrics.duplicates(X, 0.5)),
    "metrics.memorization_scores": Function(
        lambda: kg.metrics.memorization_scores(X[:20], X[20:] + 0.1, Y[:20])
    ),
    "metrics.high_quality_ceiling": Function(lambda: kg.metrics.high_quality_ceiling(2)),
    "metrics.mode_coverage": Function(lambda: kg.metrics.mode_coverage(X, [[0, 0, 0], [3, 0, 0]], 0.5)),
    "metrics.stacked_digit_modes": Function(lambda: kg.metrics.stacked_digit_modes([1, 1, 999])),
    "metrics.density_coverage": Function(lambda: kg.metrics.density_coverage(X, Y)),
    "metrics.nearest_distances": Function(lambda: kg.metrics.nearest_distances(X, Y, k=2)),
    "metrics.precision_recall": Function(lambda: kg.metrics.precision_recall(X, Y)),
    "metrics.parzen_log_likelihood": Function(
        lambda: kg.metrics.parzen_log_likelihood(*small.SHARES, 0.5)
    ),
    "metrics.select_bandwidth": Function(lambda: kg.metrics.select_bandwidth(*small.SHARES, (0.3, 0.6))),
    # Callbacks
    "callbacks.CollapseMonitor": Callback(
        lambda folder: kg.callbacks.CollapseMonitor(REAL, patience=9, num_samples=8)
    ),
    "callbacks.EvaluateSamples": Callback(
        lambda folder: kg.callbacks.EvaluateSamples(small.Metric(), REAL, num_samples=8, seed=1)
    ),
    "callbacks.LatentInterpolation": Callback(
        lambda folder: kg.callbacks.LatentInterpolation(folder, rows=2, steps=3, gif=True)
    ),
    "callbacks.ParzenLogLikelihood": Callback(
        lambda folder: kg.callbacks.ParzenLogLikelihood(REAL, num_samples=8, grid=(0.2, 0.5))
    ),
    "callbacks.PlayerCallback": Callback(
        lambda folder: kg.callbacks.PlayerCallback("g", small.HalvedRate())
    ),
    "callbacks.Resume": Callback(kg.callbacks.Resume),
    "callbacks.SampleGrid": Callback(
        lambda folder: kg.callbacks.SampleGrid(folder, rows=2, columns=3, nearest=REAL, gif=True)
    ),
    "callbacks.TrainingCurves": Callback(
        lambda folder: kg.callbacks.TrainingCurves(folder / "curves.png", every=2)
    ),
    # Data
    "datasets.load": Function(
        lambda: small.first_batch((small.DIGITS, np.arange(10)), batch_size=4, labels=True, seed=1)
    ),
    "datasets.GaussianMixture": Function(lambda: kg.datasets.GaussianMixture.ring(5).sample(9, seed=1)),
    "datasets.stack_digits": Function(
        lambda: kg.datasets.stack_digits(small.DIGITS, 4, seed=0, labels=np.arange(10))
    ),
    "datasets.balanced_rows": Function(lambda: kg.datasets.balanced_rows(np.arange(12) % 3, 2, seed=0)),
    "datasets.mix_labeled": Function(
        lambda: small.first(kg.datasets.mix_labeled((X[:4], np.arange(4)), X, 10, labeled_rows=2))
    ),
    "datasets.load_arrays": Function(lambda: kg.datasets.load_arrays(small.DIGITS, "train[:3]")),
    # Latents, second derivatives, pictures
    "interpolation.interpolate": Function(
        lambda: kg.interpolation.interpolate(X, Y, 3, path="spherical")
    ),
    "interpolation.get": Function(lambda: kg.interpolation.get("linear")(X, Y, 0.5)),
    "interpolation.linear": Function(lambda: kg.interpolation.linear(X, Y, 0.3)),
    "interpolation.spherical": Function(lambda: kg.interpolation.spherical(X, Y, 0.3)),
    "second_order.twice_differentiable": Function(
        lambda: kg.second_order.twice_differentiable(small.decoder, ops.ones((2, 3)))
    ),
    "second_order.check": Function(small.checked),
    "visualization.check_value_range": Function(lambda: kg.visualization.check_value_range((-1, 1))),
    "visualization.to_uint8": Function(lambda: kg.visualization.to_uint8(small.DIGITS, (0, 1))),
    "visualization.image_grid": Function(
        lambda: kg.visualization.image_grid(np.uint8(255 * small.DIGITS), 2, 5)
    ),
    "visualization.encode_png": Function(lambda: kg.visualization.encode_png(small.PICTURE)),
    "visualization.check_png": Function(lambda: [kg.visualization.check_png("some.png")]),
    "visualization.save_png": Function(lambda: kg.visualization.save_png("some.png", small.PICTURE)),
    "visualization.save_gif": Function(
        lambda: kg.visualization.save_gif("some.gif", [small.PICTURE] * 2)
    ),
    "visualization.training_curves": Function(
        lambda: kg.visualization.training_curves(small.history(), "some.png")
    ),
}


def _statistics(features):
    statistics = kg.metrics.GaussianStatistics(features.shape[1])
    statistics.update(features)
    return statistics
