"""The protocol is part of the number: values measured in different ways never share a name."""

import json

import pandas as pd


def base(metric: str) -> str:
    """Return the name under which the catalogue knows ``metric``: without its place and without its protocol."""
    return metric.partition(" [")[0].partition("/")[0]


def separate_protocols(
    runs: pd.DataFrame, records: pd.DataFrame, outcomes: pd.DataFrame, facts: pd.DataFrame, warnings: list[str]
) -> pd.DataFrame:
    """Rename, in place, each metric that was measured by several protocols on one dataset; return all protocols.

    Args:
        runs: index run id, with ``dataset`` and ``configuration``.
        records: with ``run`` and ``metric``.
        outcomes: with ``run`` and ``metric``.
        facts: run, metric, facts (canonical JSON), for the runs that ended.
        warnings: a line is appended for each metric that is split.

    Returns:
        One row a protocol: dataset, metric (as it is called from now on), facts (a dict).
    """
    facts = facts.join(runs[["dataset", "configuration"]], on="run")
    protocols = []
    for key, group in facts.groupby(["dataset", "metric"], sort=False):
        dataset, metric = map(str, key)
        distinct = list(dict.fromkeys(group["facts"]))
        names = {text: f"{metric} [protocol {number}]" for number, text in enumerate(distinct, 1)}
        if len(distinct) == 1:
            names = {distinct[0]: metric}
        else:
            warnings.append(f"{dataset}: {metric} was measured by {len(distinct)} protocols; they are reported apart")
            of_configuration = group.set_index("configuration")["facts"].map(names).groupby(level=0).first()
            of_run = runs.loc[runs["dataset"] == dataset, "configuration"].map(of_configuration)
            of_run.update(group.set_index("run")["facts"].map(names))
            of_run = of_run.fillna(f"{metric} [protocol not known]")
            for frame in (records, outcomes):
                _rename(frame, metric, of_run)
        protocols += [(dataset, names[text], json.loads(text)) for text in distinct]
    return pd.DataFrame(protocols, columns=["dataset", "metric", "facts"])


def _rename(frame: pd.DataFrame, metric: str, of_run: pd.Series) -> None:
    affected = (frame["metric"] == metric) & frame["run"].isin(of_run.index)
    frame.loc[affected, "metric"] = frame.loc[affected, "run"].map(of_run)
