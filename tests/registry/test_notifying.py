"""Hooks reach every run, fold and comparison; a plugin that fails is named once, and ends nothing."""

import pytest

from hcat_core.errors import StorageError, UsageError
from hcat_core.registry.catalog import load_catalog
from hcat_core.registry.hooks import hookimpl
from hcat_core.registry.notifying import notify
from hcat_core.registry.trackers import add_trackers, tracker_names


class Recorder:
    def __init__(self):
        self.calls = []

    @hookimpl
    def hcat_epoch_finished(self, record):
        self.calls.append(record["epoch"])


class Failing:
    def __init__(self, error):
        self.error = error

    @hookimpl
    def hcat_epoch_finished(self, record):
        raise self.error


def test_a_hook_that_raises_is_named_once_and_the_others_are_called():
    plugins, recorder, said = load_catalog([]).plugins, Recorder(), []
    plugins.register(recorder, name="recorder")
    plugins.register(Failing(KeyError("lost")), name="acme")
    for epoch in (1, 2, 3):
        notify(plugins, "hcat_epoch_finished", said.append, run_folder=None, record={"epoch": epoch})
    assert recorder.calls == [1, 2, 3]
    assert said == [
        "the plugin acme failed in its hook hcat_epoch_finished and is not called again: KeyError: 'lost'"
    ]


def test_an_error_of_hcat_itself_is_not_swallowed():
    plugins = load_catalog([]).plugins
    plugins.register(Failing(StorageError("stdout takes no more")))
    with pytest.raises(StorageError):
        notify(plugins, "hcat_epoch_finished", print, run_folder=None, record={"epoch": 1})


def test_a_tracker_that_does_not_exist_is_refused_with_those_that_do():
    assert {"mlflow", "tensorboard"} <= set(tracker_names())
    with pytest.raises(UsageError, match='no such tracker. Did you mean "mlflow"'):
        add_trackers(load_catalog([]), ["mlfow"])
