"""How rows are shared among processes; tests/cli/test_torchrun.py starts real ones."""

import torch

from hcat_core.training.distributed import Processes


def test_processes_share_rows_without_a_gap_and_each_takes_all_of_a_few_rows():
    for size in (1, 2, 3, 7):
        for n in (7, 32, 64):
            shares = [Processes(rank, size).rows(n) for rank in range(size)]
            assert torch.cat([torch.arange(n)[share] for share in shares]).tolist() == list(range(n))
        assert [Processes(rank, 8).rows(5) for rank in range(8)] == 8 * [slice(0, 5)]


def test_one_process_passes_everything_through():
    rows = torch.randn(4, 3)
    module = torch.nn.Linear(3, 1)
    one = Processes()
    assert (
        one.all_gather(rows, 4) is rows and one.wrap(module) is module and one.broadcast("text") == "text"
    )
