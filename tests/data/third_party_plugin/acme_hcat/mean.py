import torch

from hcat_core.interfaces import Imputation


class AcmeMean:
    """Fills a gap with ``(1 - shrinkage)`` times the training mean, at the training spread."""

    def __init__(self, layout, *, shrinkage: float = 0.1):
        self.cells = layout.cells
        self.shrinkage = shrinkage
        self.mean = torch.zeros(self.cells.shape)
        self.spread = torch.ones(self.cells.shape)

    def fit(self, train, validation, context):
        count = train.measured.sum(dim=0).clamp(min=1)
        self.mean = train.emb.sum(dim=0) / count
        self.spread = (((train.emb - self.mean) ** 2 * train.measured).sum(dim=0) / count).sqrt()

    def __call__(self, batch):
        filled = ~batch.measured & self.cells
        emb = torch.where(filled, (1 - self.shrinkage) * self.mean, batch.emb)
        return Imputation(emb, self.spread * filled, filled)

    def state_dict(self):
        return {"mean": self.mean, "spread": self.spread}

    def load_state_dict(self, state):
        self.mean, self.spread = state["mean"], state["spread"]
