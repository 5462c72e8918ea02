"""Handwritten digits read row by row with a CfC in MLX: eight observations of eight pixels.

    python examples/digits/digits.py [--epochs 20] [--units 64] [--seeds 3]

The last output of a CfC, wired as a neural circuit policy or dense, goes through a linear layer to
ten classes. The data, 1797 images of 8 x 8 pixels, come with scikit-learn (UCI "Optical recognition
of handwritten digits"); a quarter of them, drawn with a fixed seed, is for testing only.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from shoal.mlx import CfC
from shoal.wirings import AutoNCP


class Classifier(nn.Module):
    """Sequences in, logits out."""

    def __init__(self, input_size: int, units, classes: int):
        super().__init__()
        self.rnn = CfC(input_size=input_size, units=units, return_sequences=False)
        self.head = nn.Linear(self.rnn.output_size, classes)

    def __call__(self, x: mx.array) -> mx.array:
        last, _ = self.rnn(x)
        return self.head(last)


def digits() -> tuple[np.ndarray, ...]:
    """Training and test images, (rows, 8, 8) in [0, 1], and their classes."""
    data = load_digits()
    images = (data.images / 16.0).astype(np.float32)
    options = {"test_size": 0.25, "random_state": 0, "stratify": data.target}
    return tuple(train_test_split(images, data.target.astype(np.int32), **options))


def train(model: nn.Module, x: np.ndarray, y: np.ndarray, *, epochs: int, seed: int) -> None:
    """Adam with a learning rate that falls along a cosine, in batches of 64, compiled."""
    batch, rng = 64, np.random.default_rng(seed)
    batches = len(x) // batch
    rate = optim.cosine_decay(3e-3, epochs * batches)
    optimiser = optim.Adam(learning_rate=rate, bias_correction=True)
    optimiser.init(model.trainable_parameters())
    gradient = nn.value_and_grad(model, loss)
    state = [model.state, optimiser.state]

    def step(x, y):
        value, gradients = gradient(model, x, y)
        optimiser.update(model, gradients)
        return value

    step = mx.compile(step, inputs=state, outputs=state)
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for rows in np.split(order[: batches * batch], batches):
            step(mx.array(x[rows]), mx.array(y[rows]))
            mx.eval(state)


def loss(model: nn.Module, x: mx.array, y: mx.array) -> mx.array:
    """Cross-entropy, the mean over the batch."""
    return nn.losses.cross_entropy(model(x), y, reduction="mean")


def accuracy(model: nn.Module, x: np.ndarray, y: np.ndarray) -> float:
    """The share of right answers."""
    return float(np.mean(np.array(mx.argmax(model(mx.array(x)), axis=-1)) == y))


def run(units, *, epochs: int, seed: int) -> float:
    """The accuracy on the test images of a model trained from scratch."""
    mx.random.seed(seed)
    x, test_x, y, test_y = digits()
    model = Classifier(8, units, 10)
    train(model, x, y, epochs=epochs, seed=seed)
    return accuracy(model, test_x, test_y)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="a file for the accuracies")
    arguments = parser.parse_args()
    wiring = AutoNCP(arguments.units, arguments.units // 4)
    accuracies = {}
    for name, units in (("dense", arguments.units), (f"wired {wiring}", wiring)):
        start = time.perf_counter()
        found = [run(units, epochs=arguments.epochs, seed=seed) for seed in range(arguments.seeds)]
        accuracies[name] = found
        percent = 100.0 * np.array(found)
        seconds = time.perf_counter() - start
        spread = f"{percent.mean():.1f} ± {percent.std():.1f} %"
        print(f"{name}: {spread} over {len(found)} seeds, {seconds:.0f} s")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({"accuracy": accuracies}, indent=1) + "\n")


if __name__ == "__main__":
    main()
