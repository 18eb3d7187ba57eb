import json
from dataclasses import asdict

import pytest
import torch

from hcat_builtin.fusions.enhanced_hcat import EnhancedHCAT
from hcat_builtin.heads.binary import BinaryHead
from hcat_builtin.imputers.none import NoImputer
from hcat_builtin.losses.binary import BinaryCrossEntropy
from hcat_builtin.losses.infonce import InfoNCE
from hcat_core.errors import TrainingError, UsageError
from hcat_core.recipe.build import WeightedLoss
from hcat_core.recipe.schema import TrainingTable
from hcat_core.storage.checkpoint import read_checkpoint
from hcat_core.testing.cohorts import random_cohort
from hcat_core.training import loop
from hcat_core.training.checkpoints import LAST, Checkpoints
from hcat_core.training.context import TrainingContext
from hcat_core.training.loop import TrainingPatients, train
from hcat_core.training.model import HcatModel
from hcat_core.training.observer import NoObserver
from hcat_core.training.step import TotalLoss, build_optimiser, training_step

COHORT = random_cohort(72)
TRAINING, VALIDATION = COHORT[slice(0, 48)], COHORT[slice(48, 72)]


def new_model():
    torch.manual_seed(1)
    layout = COHORT.layout
    fusion = EnhancedHCAT(layout, d_model=16, n_heads=2, n_global_layers=1)
    heads = {task: BinaryHead(layout, task, 16) for task in layout.task_names}
    return HcatModel(layout, NoImputer(layout), fusion, heads, {t: t for t in layout.task_names})


class Listener(NoObserver):
    def __init__(self, on_epoch):
        self.epoch_finished = on_epoch


def run(folder, *, epochs=4, resume=False, on_epoch=lambda record: None, losses=None, **settings):
    layout = COHORT.layout
    losses = losses or [
        *(WeightedLoss(f"bce_{t}", 1.0, BinaryCrossEntropy(layout, head=t)) for t in layout.task_names),
        WeightedLoss("infonce", 0.1, InfoNCE(layout)),
    ]
    folder.mkdir(exist_ok=True)
    model = new_model()
    settings = {"lr": 1e-3, "batch": 16, **settings}
    progress = train(
        model,
        losses,
        TrainingPatients(TRAINING, VALIDATION),
        TrainingTable(epochs=epochs, **settings),
        Checkpoints(folder, {}, {}),
        TrainingContext(3, observer=Listener(on_epoch)),
        resume=resume,
    )
    return model, progress


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_the_same_seed_gives_identical_weights(tmp_path):
    first, _ = run(tmp_path / "a")
    second, _ = run(tmp_path / "b")
    assert same(first.state(), second.state())


def test_the_weights_move_and_the_loss_falls(tmp_path):
    model, progress = run(tmp_path / "a", epochs=12)
    assert not same(model.state(), new_model().state())
    assert progress.history[-1].train_loss < progress.history[0].train_loss


class Stop(Exception):
    pass


@pytest.mark.parametrize("at", [1, 3])
def test_a_resumed_run_ends_with_the_unbroken_runs_weights_optimiser_and_history(tmp_path, at):
    whole, unbroken = run(tmp_path / "whole", epochs=5)

    def stop(epoch):
        if epoch.epoch == at:
            raise Stop

    with pytest.raises(Stop):
        run(tmp_path / "broken", epochs=5, on_epoch=stop)
    model, progress = run(tmp_path / "broken", epochs=5, resume=True)
    assert same(model.state(), whole.state())
    last, _ = read_checkpoint(tmp_path / "broken" / LAST)
    expected, _ = read_checkpoint(tmp_path / "whole" / LAST)
    assert same(last, expected)
    assert progress.history == unbroken.history


def test_a_run_stopped_inside_an_epoch_resumes_from_its_start(tmp_path, monkeypatch):
    whole, _ = run(tmp_path / "whole", epochs=3)
    step, calls = loop.training_step, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 5:  # three steps an epoch: inside the second
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(loop, "training_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", epochs=3)
    monkeypatch.setattr(loop, "training_step", step)
    model, _ = run(tmp_path / "broken", epochs=3, resume=True)
    assert same(model.state(), whole.state())


def test_early_stopping_waits_while_epochs_get_better_and_stops_when_they_do_not(tmp_path, monkeypatch):
    scores = iter([0.6, 0.7, 0.65, 0.8, 0.7, 0.7, 0.7, 0.9])

    def scripted(*arguments, **keywords):
        auc = next(scores)
        return {task: {"auc": auc, "f1": auc} for task in COHORT.layout.task_names}

    monkeypatch.setattr(loop, "validate", scripted)
    _, progress = run(tmp_path / "a", epochs=8, early_stop_patience=3)
    # Better at 1, 2 and 4; then three epochs without: it stops at 7, and never sees the 0.9.
    assert progress.epoch == 7
    assert progress.best_epoch["average"] == 4
    assert progress.best["average"] == pytest.approx(0.8)


def test_a_best_checkpoint_holds_the_weights_of_its_epoch(tmp_path):
    states = {}

    def remember(epoch):
        tensors, _ = read_checkpoint(tmp_path / "a" / LAST)
        states[epoch.epoch] = tensors

    _, progress = run(tmp_path / "a", epochs=5, on_epoch=remember)
    for name, epoch in progress.best_epoch.items():
        tensors, header = read_checkpoint(tmp_path / "a" / f"best_{name}.safetensors")
        assert header["epoch"] == epoch
        assert all(torch.equal(tensors[k], states[epoch][k]) for k in tensors)


def test_a_training_killed_between_the_best_and_the_last_checkpoint_of_an_epoch_goes_on(
    tmp_path, monkeypatch
):
    scores = {1: 0.6, 2: 0.7, 3: 0.65}
    write = Checkpoints._write

    def scripted(*arguments, **keywords):
        auc = scores[len(begun) + 1]
        return {task: {"auc": auc, "f1": auc} for task in COHORT.layout.task_names}

    def killed(self, path, model, extra, **header):
        if path.name == LAST and header["progress"]["epoch"] == 2:
            raise Stop
        write(self, path, model, extra, **header)

    monkeypatch.setattr(loop, "validate", scripted)
    begun = []
    run(tmp_path / "whole", epochs=3, on_epoch=begun.append)
    monkeypatch.setattr(Checkpoints, "_write", killed)
    begun = []
    with pytest.raises(Stop):
        run(tmp_path / "broken", epochs=3, on_epoch=begun.append)
    _, header = read_checkpoint(tmp_path / "broken" / "best_average.safetensors")
    assert header["epoch"] == 2  # of which last knows nothing
    monkeypatch.setattr(Checkpoints, "_write", write)
    run(tmp_path / "broken", epochs=3, resume=True, on_epoch=begun.append)
    for path in (tmp_path / "whole").iterdir():
        assert (tmp_path / "broken" / path.name).read_bytes() == path.read_bytes()


class Exploding:
    needs_second_view = False

    def __init__(self, at, value):
        self.calls, self.at, self.value = 0, at, float(value)

    def __call__(self, outputs, batch):
        self.calls += 1
        return outputs.fused.pooled.square().mean() * (self.value if self.calls == self.at else 1.0)


@pytest.mark.parametrize("value", ["nan", "inf"])
@pytest.mark.parametrize(("call", "epoch", "batch"), [(1, 1, 1), (3, 1, 3), (5, 2, 2), (12, 4, 3)])
def test_a_loss_that_is_not_finite_stops_with_epoch_and_batch_and_leaves_the_last_good_checkpoint(
    tmp_path, value, call, epoch, batch
):
    message = f"epoch {epoch}, batch {batch} of 3: the loss boom is {value}. The last good .* a smaller"
    with pytest.raises(TrainingError, match=message):
        run(tmp_path / "a", losses=[WeightedLoss("boom", 1.0, Exploding(call, value))])
    tensors, header = read_checkpoint(tmp_path / "a" / LAST)
    assert header["progress"]["epoch"] == epoch - 1
    new_model().load(tensors)
    assert all(t.isfinite().all() for t in tensors.values() if t.is_floating_point())


class Steep:
    needs_second_view = False

    def __call__(self, outputs, batch):
        return (outputs.fused.pooled.square().sum() * 0).sqrt()  # 0, with a slope of 0 * inf


def test_a_gradient_that_is_not_finite_is_named_apart_from_the_losses(tmp_path):
    with pytest.raises(TrainingError, match="epoch 1, batch 1 of 3: the gradient is not finite"):
        run(tmp_path / "a", losses=[WeightedLoss("steep", 1.0, Steep())])


def test_a_contrastive_loss_without_two_different_views_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="moddrop"):
        run(tmp_path / "a", moddrop=0.0, emb_noise=0.0)


def test_an_epoch_is_plain_json(tmp_path):
    records = []
    run(tmp_path / "a", epochs=1, on_epoch=records.append)
    record = json.loads(json.dumps(asdict(records[0]), allow_nan=False))
    assert record["epoch"] == 1
    assert set(record["val"]) == set(COHORT.layout.task_names)
    assert {"auc", "f1"} <= set(record["val"]["survival"])


def one_step(precision):
    model = new_model().train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(module, torch.nn.MultiheadAttention):
            module.dropout = 0.0
    losses = [WeightedLoss("bce", 1.0, BinaryCrossEntropy(COHORT.layout, head="survival"))]
    settings = TrainingTable(batch=48, precision=precision)
    optimiser = build_optimiser(model, settings)
    torch.manual_seed(0)
    total, _ = training_step(TotalLoss(model, losses, settings), TRAINING, optimiser, settings.grad_clip)
    gradients = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    return model, optimiser, total, gradients


def test_a_step_in_bf16_is_nearly_that_in_float32_and_leaves_weights_in_float32():
    _, _, expected, exact = one_step("float32")
    model, optimiser, total, gradients = one_step("bf16")
    assert total == pytest.approx(expected, rel=0.01)
    assert not torch.equal(gradients, exact)
    assert torch.nn.functional.cosine_similarity(gradients, exact, dim=0) > 0.995
    kept = [*model.state().values(), *(t for s in optimiser.state.values() for t in s.values())]
    assert {tensor.dtype for tensor in kept if tensor.is_floating_point()} == {torch.float32}


def test_bf16_is_refused_where_the_processor_has_none(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    with pytest.raises(UsageError, match="training.precision: the cpu here has no bf16"):
        run(tmp_path / "a", precision="bf16")
    assert not list((tmp_path / "a").iterdir())
