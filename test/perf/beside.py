#!/usr/bin/env python3
"""Lays rows of denim-bench beside those of libraries, as the tables of README.md.

    denim-bench --device cuda ... --json rows.json
    beside.py rows.json [PEERS.json] [--before EARLIER.json]

Both times are medians in ms; `library / ours` above 1 is ahead. A goal that is not reached is bold. `replayed` is there when
a row has it: the launches of a step as a graph, again and again, with warm caches.
"""
import argparse
import json
import pathlib
import sys


def rate(row):
    """What limits the row, as a rate and as a share of what the machine does."""
    if not row["limit"]:  # an empty kernel
        return ""
    if row["limit"] in ("read", "update"):
        text = "%.0f GB/s" % row["gb_per_s"]
    else:
        text = "%.0f TFLOP/s" % (row["gflop_per_s"] / 1e3)
    return "%s, %.0f %%" % (text, 100 * row["share_median"])


def line(row, peer, before, replays):
    ms = row["median_ms"]
    cells = [row["case"], "%.4g" % ms]
    if replays:
        cells.append("%.4g" % row["replay_ms"] if "replay_ms" in row else "")
    if before is not None:
        cells.append("%.4g" % before["median_ms"] if before else "")
    cells.append(rate(row))
    if peer:
        cells += ["%s %.4g" % (peer["library"], peer["ms"]), "%.2f" % (peer["ms"] / ms)]
        goal = peer.get("goal_ms")
        cells.append("" if goal is None else "%.4g" % goal if ms <= goal else "**%.4g**" % goal)
    else:
        cells += ["", "", ""]
    return "| " + " | ".join(cells) + " |"


def read(path, key):
    try:
        return json.loads(pathlib.Path(path).read_text())[key]
    except (OSError, ValueError, KeyError) as fault:
        sys.exit("beside.py: '%s': expected a JSON file with '%s', but got %s: %s"
                 % (path, key, type(fault).__name__, fault))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows")
    parser.add_argument("peers", nargs="?", default=pathlib.Path(__file__).with_name("peers_h200.json"))
    parser.add_argument("--before")
    arguments = parser.parse_args()
    peers = read(arguments.peers, "rows")
    earlier = {r["case"]: r for r in read(arguments.before, "rows")} if arguments.before else None
    rows = read(arguments.rows, "rows")
    replays = any("replay_ms" in row for row in rows)
    heads = ["row", "ms"] + (["replayed"] if replays else []) + (["before"] if earlier is not None else []) + [
        "rate, share of the limit", "best library, ms", "library / ours", "goal, ms"]
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for row in rows:
        before = None if earlier is None else earlier.get(row["case"], {})
        print(line(row, peers.get(row["case"]), before, replays))


if __name__ == "__main__":
    main()
