"""Trace modules with ``torch.export``, for any number of patients."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram


def trace(module: nn.Module, inputs: tuple[Tensor, ...]) -> ExportedProgram:
    """A module as a program for any number N of patients, the first axis of every input.

    Args:
        module: in evaluation mode.
        inputs: of at least two patients.

    Raises:
        Exception: of many kinds, for a module that is not tensor operations alone.
    """
    patients = Dim("patients", min=1)
    with torch.no_grad():
        return torch.export.export(module, inputs, dynamic_shapes=({0: patients},) * len(inputs))


def give_own_memory(program: ExportedProgram) -> None:
    """Copy the tensors of a program, as a part of a larger tensor would be saved as all of it."""
    for name, tensor in program.state_dict.items():
        copied = tensor.detach().clone()
        is_parameter = isinstance(tensor, nn.Parameter)
        program.state_dict[name] = nn.Parameter(copied, requires_grad=False) if is_parameter else copied
    for name, constant in program.constants.items():
        if isinstance(constant, Tensor):
            program.constants[name] = constant.detach().clone()
