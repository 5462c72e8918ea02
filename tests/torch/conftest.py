"""float64 throughout, so that agreement can be asked to the last digits."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _double():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
