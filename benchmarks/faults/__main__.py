"""Tries and bad outcomes, section by section."""

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from benchmarks.cells import machine_facts, source_hash
from benchmarks.faults import files, kills, tables
from benchmarks.faults.outcomes import Outcome, Trial, run_tries


class Section(NamedTuple):
    prepare: Callable[[], object]
    trial: Trial
    tries: int
    what: str
SECTIONS: Final = {"files": Section(files.prepare, files.trial, 560, "x"), "tables": Section(tables.prepare, tables.trial, 520, "x"), "kills": Section(kills.prepare, kills.trial, 120, "x")}

def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="+", choices=[*SECTIONS], default=[*SECTIONS])
    parser.add_argument("--tries", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    for name in args.only:
        s = SECTIONS[name]
        s.prepare()
        t = time.time()
        out: list[Outcome] = []
        for got in run_tries(s.trial, range(args.seed, args.seed + (args.tries or s.tries)), jobs=args.jobs):
            out += got
        bad = [o for o in out if o.bad]
        print(name, len(out), len(bad), time.time() - t)
        for o in sorted(bad, key=lambda o: (o.what, o.seed)):
            print(o.seed, o.what, "|", o.about, "|", o.bad)

main()
