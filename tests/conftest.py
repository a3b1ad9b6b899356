"""What all tests share."""

import gc
import os
import pathlib

# As the program sets it: what TensorFlow logs depends on the processor, and is none of what tests read.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
if "PYTEST_XDIST_WORKER" in os.environ:
    # As many processes as cores: threads of one would only wait for those of the others.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
# Most of the time on JAX is compilation, of the same small programs in many tests and processes.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(pathlib.Path(__file__).parents[1] / ".pytest_cache" / "jax")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import keras
import numpy as np
import pytest

# Files of few tests that take minutes: begun last, they would leave one process to run alone.
LONG = (
    "test_killed",
    "test_variants",
    "test_replicas",
    "test_mixed_precision",
    "test_backends",
    "test_tuner",
    "test_conformance",
    "test_paper_examples",
    "test_examples",
    "test_export",
    "test_annealed",
    "test_theory",
    "test_updates",
    "test_terms",
)


def pytest_configure(config):
    """On JAX, compile quickly; only what takes long is compiled as it is for users."""
    if keras.backend.backend() == "jax" and config.getoption("markexpr") == "not slow":
        import jax

        jax.config.update("jax_disable_most_optimizations", True)


def pytest_collection_modifyitems(config, items):
    """Leave out what the backend at hand has no meaning for, and begin with what takes long."""
    foreign = [item for item in items if not _is_for(item, keras.backend.backend())]
    config.hook.pytest_deselected(items=foreign)
    items[:] = [item for item in items if item not in foreign]
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


def pytest_collection_finish(session):
    """Collect garbage less often, and leave out what imports made: it took a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(700, 10, 100)


def _is_for(item, backend):
    own = {name for name in ("tensorflow", "jax", "torch") if item.get_closest_marker(name)}
    # What takes long runs once, where its marks do not say that it proves something elsewhere too.
    if item.get_closest_marker("slow"):
        own = own or {"tensorflow"}
    return not own or backend in own


@pytest.fixture(autouse=True)
def _fresh_keras():
    """Start every test from the same seed and the default precision."""
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
    keras.backend.clear_session(free_memory=False)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def channels_first():
    """Have images with their channels first, as many users of torch do."""
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format("channels_last")
