"""`shoal`: every command says here what it takes; what it does is imported when it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shoal.app.shell import OptionalMembers, OptionalValue, Shell

app = typer.Typer(
    cls=Shell,
    name="shoal",
    help="Train, combine and deploy crowds of neural models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Config = Annotated[Path, typer.Argument(help="The YAML file.")]
Source = Annotated[Path, typer.Argument(help="A run, the NAME of runs, or a bundle.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Override a value; may be repeated."),
]
NewData = Annotated[Path, typer.Argument(help="CSV, Parquet or NPZ file, as it was trained on.")]
Cache = Annotated[
    bool, typer.Option("--cache/--no-cache", help="Keep compiled programs for the next time.")
]
Plain = Annotated[bool, typer.Option("--plain", help="Lines in place of the live table.")]
DataFile = Annotated[Path | None, typer.Option("--data", help="CSV, Parquet or NPZ file.")]


def _version(asked: bool) -> None:
    if asked:
        from shoal._version import __version__

        typer.echo(f"shoal {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    pass


@app.command()
def init(
    config: Annotated[Path, typer.Argument(help="The file to write.")] = Path("config.yaml"),
    data: DataFile = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
    preset: Annotated[
        str | None, typer.Option("--preset", metavar="NAME", help="forecasting or anomaly.")
    ] = None,
) -> None:
    """Write a commented configuration, with the columns of --data where it is given."""
    from shoal.app.init import init as command

    command(config, data, force, preset)


@app.command(cls=OptionalValue)
def train(
    config: Annotated[Path | None, typer.Argument(help="The YAML file.")] = None,
    sets: Sets = None,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume",
            metavar="[RUN|NAME]",
            help="Continue a run, or the newest of NAME, or of CONFIG's name.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Resume although configuration or data changed.")
    ] = False,
    runs: Annotated[Path, typer.Option("--runs", help="Where runs are kept.")] = Path("runs"),
    cache: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Keep compiled programs for the next time.")
    ] = True,
    plain: Annotated[
        bool, typer.Option("--plain", help="Lines in place of the live table.")
    ] = False,
) -> None:
    """Train what CONFIG describes: members, statistics, report, bundle, exports."""
    from shoal.app.train import train as command

    command(config, sets or [], resume, force, runs, cache, plain)


@app.command(cls=OptionalValue)
def tune(
    config: Annotated[
        Path | None, typer.Argument(help="A YAML file with a `tune` section.")
    ] = None,
    sets: Sets = None,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume",
            metavar="[FOLDER|NAME]",
            help="Continue a search, or the newest of NAME, or of CONFIG's name.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Resume although configuration or data changed.")
    ] = False,
    runs: Annotated[Path, typer.Option("--runs", help="Where searches are kept.")] = Path("runs"),
    cache: Cache = True,
    plain: Plain = False,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            metavar="FILE|URL",
            help="A journal file or postgresql://USER@HOST/DATABASE that many workers share.",
        ),
    ] = None,
    what: Annotated[
        str | None,
        typer.Option("--find", metavar="WHAT", help="learning-rate, batch-size or time-scaling."),
    ] = None,
) -> None:
    """Search a configuration's paths, trials side by side; ends with the best as a file."""
    if what is not None:
        from shoal.app.find import find

        find(config, what, sets or [], runs, cache, resume)
        return
    from shoal.app.tune import tune as command

    command(config, sets or [], resume, force, runs, cache, plain, storage)


@app.command()
def predict(
    source: Source,
    data: DataFile = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="CSV or Parquet file; default: screen.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--every", help="From every window, not only each series' last.")
    ] = False,
    level: Annotated[
        float | None,
        typer.Option("--level", help="What the interval promises; 0.9, for --anomalies 0.99."),
    ] = None,
    novelty: Annotated[
        bool, typer.Option("--novelty", help="Also how unlike the validated rows each row is.")
    ] = False,
    anomalies: Annotated[
        bool, typer.Option("--anomalies", help="Score observations; which lie outside.")
    ] = False,
) -> None:
    """Mean, spread and interval for new data, in the targets' own units."""
    from shoal.app.predict import predict as command

    command(source, data, out, every, level, novelty, anomalies)


@app.command()
def evaluate(
    source: Source,
    data: DataFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON in place of the table.")] = False,
) -> None:
    """Scores on held-out data: a run's own test block, or --data."""
    from shoal.app.evaluate import evaluate as command

    command(source, data, as_json)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="A run, or the NAME of runs.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="HTML file; default: the run's own.")
    ] = None,
) -> None:
    """Write a run's report anew."""
    from shoal.app.report import report as command

    command(run, out)


@app.command()
def info(source: Source) -> None:
    """What a run or a bundle holds."""
    from shoal.app.info import info as command

    command(source)


@app.command()
def export(
    source: Source,
    name: Annotated[str | None, typer.Option("--name", help="Files are NAME_best...")] = None,
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Where to; default: exported_models.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every member, not only the best.")] = False,
    pickle: Annotated[bool, typer.Option("--pickle", help="Also parameters as pickle.")] = False,
    to: Annotated[
        str, typer.Option("--to", metavar="RUNTIME", help="stablehlo, mlx, torch or onnx.")
    ] = "stablehlo",
    length: Annotated[
        int | None,
        typer.Option("--length", help="Observations in a window, for onnx; default: the bundle's."),
    ] = None,
) -> None:
    """A run's or bundle's members for other runtimes: StableHLO, MLX, PyTorch, ONNX."""
    from shoal.app.export import export as command

    command(source, name, folder, every, pickle, to, length)


@app.command()
def wiring(
    source: Annotated[str, typer.Argument(help="A configuration, or e.g. 'auto_ncp(64, 8)'.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="SVG, PNG or PDF file.")] = None,
    inputs: Annotated[
        int | None, typer.Option("--inputs", help="Features it is drawn for.")
    ] = None,
) -> None:
    """Draw a wiring."""
    from shoal.app.wiring import wiring as command

    command(source, out, inputs)


@app.command()
def inspect(
    source: Source,
    data: DataFile = None,
    member: Annotated[
        str | None, typer.Option("--member", metavar="best|N|all", help="Whom; default: the best.")
    ] = None,
    window: Annotated[
        str, typer.Option("--window", metavar="N|last", help="What it reads, counted from 0.")
    ] = "last",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="HTML, PNG, SVG or PDF file; default: inspect.html."),
    ] = None,
) -> None:
    """Look inside: hidden states, time constants, what the answer leans on."""
    from shoal.app.inspect import inspect as command

    command(source, data, member, window, out)


@app.command(cls=OptionalMembers)
def update(
    source: Source,
    data: NewData,
    add: Annotated[
        int | None, typer.Option("--add", metavar="N", help="So many new members.")
    ] = None,
    replace: Annotated[
        str | None,
        typer.Option("--replace", metavar="worst|IDS", help="New members in these ones' places."),
    ] = None,
    retrain: Annotated[
        str | None,
        typer.Option("--retrain", metavar="[all|IDS]", help="Members that train on; alone: all."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The new bundle; default: beside.")
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Write over the bundle, once the new one is whole.")
    ] = False,
    sets: Sets = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Of the first new member; default: the next.")
    ] = None,
    cache: Cache = True,
    plain: Plain = False,
) -> None:
    """Add, replace or retrain members on new data; weights and intervals follow."""
    from shoal.app.update import update as command

    command(source, data, add, replace, retrain, output, in_place, sets or [], seed, cache, plain)


@app.command()
def distill(
    source: Source,
    data: NewData,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The student's bundle; default: beside.")
    ] = None,
    sets: Sets = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the student.")] = 0,
    cache: Cache = True,
    plain: Plain = False,
) -> None:
    """Teach one member to say what the crowd says, and how sure it is."""
    from shoal.app.distill import distill as command

    command(source, data, output, sets or [], seed, cache, plain)


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
