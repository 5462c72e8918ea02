"""Do members that share their matrices predict as well as independent ones?

    python benchmarks/shared_study.py [--splits 5] [--data diabetes digits sunspots] [--json PATH]

Crowds of 8 on data that ship with scikit-learn and statsmodels: an MLP 64-64 on diabetes (442 rows,
normal answers) and on digits (1797 rows, classes), a CfC with 16 units on the yearly sunspots
1700-2008, of which 30 % are dropped at random, so that the gaps differ (the square root; one value
ahead of 16 years seen). Every way gets the same splits, epochs, batch size, learning rate and rule
for its best epoch; "divided" therefore shows each member an eighth of the rows in an epoch. Tabular
data are split anew each time (60 % train, 20 % valid, 20 % test), the series keeps its order and
changes what is dropped. Figures are means over the splits ± their standard error; "better than
independent" counts the splits in which a way's NLL is below the independent crowd's. Seconds are
the median training's, the first one, which compiles, left out.
"""

from __future__ import annotations

import argparse
import time

import harness
import numpy as np

MEMBERS = 8
WAYS = {
    "one member": (1, None),
    "independent": (MEMBERS, None),
    "batch_ensemble, divided": (MEMBERS, {"kind": "batch_ensemble"}),
    "batch_ensemble, every row": (MEMBERS, {"kind": "batch_ensemble", "rows": "all"}),
    "tabm, every row": (MEMBERS, {"kind": "tabm"}),
}
EPOCHS = {"diabetes": 100, "digits": 60, "sunspots": 100}
MLPS = {"diabetes": (10, (1,), "normal"), "digits": (64, (10,), "categorical")}
WINDOW = 16


def tabular(name: str, seed: int):
    """Train, valid and test of a table of scikit-learn's, features standardised."""
    from sklearn import datasets
    from sklearn.preprocessing import StandardScaler

    found = getattr(datasets, f"load_{name}")()
    order = np.random.default_rng(seed).permutation(len(found.target))
    train, valid, test = np.split(order, [int(0.6 * len(order)), int(0.8 * len(order))])
    x = StandardScaler().fit(found.data[train]).transform(found.data).astype(np.float32)
    y = found.target.astype(np.int32)
    if name == "diabetes":
        y = y[:, None].astype(np.float32)
        y = (y - y[train].mean()) / y[train].std()
    return [(x[rows], y[rows]) for rows in (train, valid, test)]


def sunspots(seed: int):
    """Windows of an irregular series, in the order of time, with the years since the last one."""
    from statsmodels.datasets import sunspots as source

    table = source.load_pandas().data
    kept = np.sort(np.random.default_rng(seed).choice(len(table), int(0.7 * len(table)), False))
    years, values = table["YEAR"].to_numpy()[kept], np.sqrt(table["SUNACTIVITY"].to_numpy()[kept])
    first = int(0.6 * len(values))
    values = (values - values[:first].mean()) / values[:first].std()
    gaps = np.diff(years, prepend=years[0] - 1)
    starts = np.arange(len(values) - WINDOW)
    seen = starts[:, None] + np.arange(WINDOW)
    x = np.stack([values[seen], gaps[seen + 1]], axis=-1).astype(np.float32)  # the gap ahead too
    spans, y = gaps[seen].astype(np.float32), values[starts + WINDOW, None].astype(np.float32)
    parts = np.split(starts, [int(0.6 * len(starts)), int(0.8 * len(starts))])
    return [(x[rows], spans[rows], y[rows]) for rows in parts]


def make(name: str):
    """`make(key)` of a member for a data set."""
    import jax

    import shoal
    from shoal.neurons import MLP

    if name != "sunspots":
        inputs, shape, answer = MLPS[name]
        return lambda key: MLP(inputs, 64, shape, num_layers=2, likelihood=answer, key=key)

    def cfc(key):
        a, b = jax.random.split(key)
        rnn = shoal.CfC(2, 16, backbone_units=32, return_sequences=False, key=a)
        return shoal.SequenceModel(rnn, shoal.Head(16, (1,), "normal", key=b))

    return cfc


def scores(name: str, way: str, seed: int) -> dict[str, float]:
    """One training, judged on the test rows."""
    import equinox as eqx
    import jax

    import shoal
    from shoal.score import evaluate

    train, valid, test = sunspots(seed) if name == "sunspots" else tabular(name, seed)
    members, sharing = WAYS[way]
    crowd = shoal.Population.init(make(name), members, 1000 * seed, sharing=sharing)
    start = time.perf_counter()
    options = {"epochs": EPOCHS[name], "batch_size": 32, "learning_rate": 3e-3, "stopping": None}
    fitted = shoal.fit(crowd, train, valid, data_seed=seed, **options)
    seconds = time.perf_counter() - start
    spans = test[1] if len(test) == 3 else None
    found = evaluate(shoal.Collective(fitted.population).predict(test[0], spans), test[-1])
    overall = found["overall"]
    told = {"seconds": seconds, "nll": overall.get("nll", overall.get("log_loss"))}
    if name == "digits":
        told |= {"accuracy": overall["accuracy"], "ece": overall["ece"]}
    else:
        told |= {"rmse": overall["rmse"], "coverage 0.9": overall["coverage"]["0.9"]}
    arrays = jax.tree.leaves(eqx.filter(crowd, eqx.is_inexact_array))
    return told | {"parameters": float(sum(a.size for a in arrays))}


def study(names: list[str], splits: int, path: str | None) -> None:
    """Prints and saves the rows of the table, data set by data set."""
    rows: list[dict] = []
    for name in names:
        found = {way: [scores(name, way, seed) for seed in range(splits)] for way in WAYS}
        for way, told in found.items():
            row: dict[str, object] = {"data": name, "way": way, "members": WAYS[way][0]}
            for score in (k for k in told[0] if k not in ("seconds", "parameters")):
                values = np.array([one[score] for one in told])
                error = values.std(ddof=1) / np.sqrt(splits)
                row[score] = f"{values.mean():.3f} ± {error:.3f}"
            pairs = zip(told, found["independent"], strict=True)
            row["better than independent"] = sum(a["nll"] < b["nll"] for a, b in pairs)
            row["splits"] = splits
            row["seconds"] = float(np.median([one["seconds"] for one in told[1:]]))
            row["parameters"] = int(told[0]["parameters"])
            rows.append(row)
        print(harness.table([row for row in rows if row["data"] == name]), flush=True)
        print("written to", harness.save("shared_study", rows, path), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--data", nargs="+", choices=tuple(EPOCHS), default=list(EPOCHS))
    parser.add_argument("--json", default=None, help="default: benchmarks/results/")
    arguments = parser.parse_args()
    study(arguments.data, max(2, arguments.splits), arguments.json)


if __name__ == "__main__":
    main()
