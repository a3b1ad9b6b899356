"""What docs/monitoring.md says of TensorBoard, read back from the logs by TensorBoard's own reader."""

import pathlib
import re

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.util import tensor_util

ROOT = pathlib.Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "monitoring.md").read_text()
(PROGRAM,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def read(folder):
    log = EventAccumulator(str(folder))
    log.Reload()
    return log


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_monitoring_page_program_writes_the_described_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(PROGRAM.replace("batch_size=100", "batch_size=500"), names)
    history, run = names["gan"].history.history, tmp_path / "logs" / "run1"
    train, validation = read(run / "train"), read(run / "validation")
    logged = re.findall(r"`(\w+)`", PAGE.partition("|---|---|")[2].partition("`val_...`")[0])
    expected = {"d_loss", "g_loss", "d_real", "d_fake", "r1", "d_gradient_norm", "g_gradient_norm"}
    assert expected <= set(logged)
    for log, prefix in ((train, ""), (validation, "val_")):
        own = [name for name in history if name.startswith("val_") == bool(prefix)]
        assert own
        for name in own:
            events = log.Tensors(f"epoch_{name.removeprefix(prefix)}")
            values = [tensor_util.make_ndarray(event.tensor_proto) for event in events]
            np.testing.assert_allclose(values, history[name], rtol=1e-6)
    assert expected <= set(history)
    histograms = [tag for tag in train.Tags()["tensors"] if tag.endswith("/histogram")]
    assert len(histograms) == len(names["gan"].trainable_weights)
    assert len(read(run / "samples").Images("samples")) == 2
    content = read(run / "settings").summary_metadata["_hparams_/session_start_info"]
    data = plugin_data_pb2.HParamsPluginData.FromString(content.plugin_data.content)
    written = {name: v.number_value for name, v in data.session_start_info.hparams.items()}
    assert written == names["settings"]
