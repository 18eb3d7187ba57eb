"""A job is run once; its result is kept, and read again only where it is complete."""

import os
import signal
from dataclasses import asdict, dataclass, replace

import pytest

from hcat_core.errors import TrainingError
from hcat_core.experiments.jobs import Backend, Experiment, Job, job_key, run_jobs


@dataclass(frozen=True)
class Answer:
    name: str
    answer: int
    error: str | None = None
    label = score = ""

    def named(self, name):
        return replace(self, name=name)

    def as_json(self):
        return asdict(self)

    @classmethod
    def from_json(cls, document):
        return cls(**document)


def job(name, key=None):
    return Job(name, key or name, None)


def answer(job):
    return Answer(job.name, 42)


def killed(job):
    if job.key == "b":
        os.kill(os.getpid(), signal.SIGKILL)
    return answer(job)


HERE = Backend()


def run(jobs, function, folder, *, backend=HERE, finished=lambda *progress: None):
    return run_jobs(
        jobs, Experiment(function, Answer.from_json), folder, backend=backend, finished=finished
    )


@pytest.mark.parametrize(
    "left", ["", "{", '{"job": "a", "name"', "[]", "{}", '{"error": null}', '{"job": "b", "error": null}',
             '{"job": "a", "error": null}', '{"job": "a", "error": "no luck"}']
)  # fmt: skip
def test_only_a_complete_result_of_the_same_job_is_taken_as_finished(tmp_path, left):
    def run_again():
        progress = []
        results = run([job("a")], answer, tmp_path, finished=lambda *one: progress.append(one))
        return results[0].answer, len(progress)

    (tmp_path / "a.json").write_text(left)
    assert run_again() == (42, 1)
    (tmp_path / "a.json").write_text((tmp_path / "a.json").read_text().replace("42", "43"))
    assert run_again() == (43, 1)  # what is finished is read


@pytest.mark.parametrize("kept", [False, True])
def test_one_job_under_two_names_is_run_once_and_reported_as_both(tmp_path, kept):
    progress, ran = [], []

    def once(job):
        ran.append(job.key)
        return answer(job)

    jobs = [job("first", "a"), job("second", "a")]
    for _ in range(1 + kept):
        progress.clear()
        results = run(jobs, once, tmp_path, finished=lambda *one: progress.append(one))
    assert [result.name for result in results] == ["first", "second"]
    assert [(result.name, done) for result, done, _ in progress] == [("first", 1), ("second", 2)]
    assert ran == ["a"]


def test_a_killed_process_ends_a_comparison_with_one_message(tmp_path):
    with pytest.raises(TrainingError, match="a process was killed"):
        run([job("a"), job("b")], killed, tmp_path, backend=Backend(2))
    assert not (tmp_path / "b.json").exists()


def test_a_worker_that_dies_of_a_job_ends_a_comparison_on_a_cluster(scheduler, tmp_path):
    with pytest.raises(TrainingError, match="could not finish a job: KilledWorker"):
        run([job("b")], killed, tmp_path, backend=Backend(scheduler=scheduler))
    assert not (tmp_path / "b.json").exists()


def test_a_key_changes_with_every_fact():
    keys = {job_key(name="a"), job_key(name="b"), job_key(name="a", seed=0), job_key(name="a", seed=1)}
    assert len(keys) == 4 and job_key(seed=0, name="a") in keys
