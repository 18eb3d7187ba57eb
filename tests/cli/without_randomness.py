"""hcat with everything random in a training switched off: ``python without_randomness.py [STOP] run ...``.

Hidden blocks, modality dropout and the VAE's draws depend on each patient alone, so that one process and
several compute the same. The recipe sets dropout and noise to 0. With a number STOP the training is
interrupted at that step.
"""

import itertools
import sys

import torch

from hcat_core.cli.main import main
from hcat_core.imputation import hidden_blocks
from hcat_core.training import augmentation, loop

views = itertools.cycle(["first", "last"])


def one_of_several(present, which):
    """(N, M) bool: the first or the last modality of each patient who has several."""
    order = (
        torch.arange(present.shape[1], 0, -1) if which == "first" else torch.arange(present.shape[1]) + 1
    )
    chosen = (present * order).argmax(dim=1, keepdim=True)
    several = present.sum(dim=1, keepdim=True) > 1
    return torch.zeros_like(present).scatter_(1, chosen, True) & several


def draw_zeros(draw):
    """torch.randn, but 0 where a batch draws on its device."""
    return lambda *size, **options: draw(*size, **options) * (0 if "device" in options else 1)


def interrupt_at(step, number):
    """The training step, interrupted when it is called for the ``number``-th time."""
    calls = itertools.count(1)

    def interrupted(*arguments):
        if next(calls) == number:
            raise KeyboardInterrupt
        return step(*arguments)

    return interrupted


if __name__ == "__main__":
    hidden_blocks.random_hiding = lambda present, generator=None: one_of_several(present, "first")
    augmentation.dropped_modalities = lambda present, rate, mode: one_of_several(present, next(views))
    torch.randn = draw_zeros(torch.randn)
    arguments = sys.argv[1:]
    if arguments[0].isdigit():
        loop.training_step = interrupt_at(loop.training_step, int(arguments.pop(0)))
    sys.exit(main(arguments))
