"""What the measurements mean: floor, ratios, table, JSON, plot.

Pure functions but write_plot and take; no PyTorch. A cell is {"hidden", "tokens", "us": {contender: [µs]},
"missing": {contender: reason}}; the list holds one number for each rank.
"""

OURS = "ours auto"
OUR_PREFIX = "ours"
GOAL = 0.9
LIMIT = 1.0

# Name: (value, where it comes from). Of a machine that has none of its own, see take().
CONSTANTS = {
    "graph_node_us": (0.85, "an empty kernel node in a CUDA graph, measured on H100 80GB HBM3"),
    "flag_us": (0.88, "one-way flag latency between peers over NVLink, measured on H100 80GB HBM3"),
    "link_gb_per_s": (450.0, "NVLink 4 of an H100, per direction: 18 links of 25 GB/s"),
}


def take(measured: dict) -> None:
    """What link_floor found on this machine, in place of the constants above."""
    for name in CONSTANTS:
        if name in measured:
            CONSTANTS[name] = (measured[name], "measured in this run by link_floor")


def bytes_over_link(world: int, tokens: int, hidden: int, element_bytes: int = 2) -> float:
    """That any unicast all-reduce sends from each rank at least: (W − 1) / W of the rows as addends,
    as much again as sums. For two ranks it is the payload, as one-shot sends it."""
    return 2 * (world - 1) / world * tokens * hidden * element_bytes


def floor_us(world: int, tokens: int, hidden: int) -> float:
    values = {name: value for name, (value, _) in CONSTANTS.items()}
    transfer = bytes_over_link(world, tokens, hidden) / (values["link_gb_per_s"] * 1e3)
    return values["graph_node_us"] + values["flag_us"] + transfer


def time_of(cell: dict, contender: str):
    """The slowest rank's; None where it was not measured."""
    ranks = cell["us"].get(contender)
    return max(ranks) if ranks else None


def peers_of(cell: dict) -> dict:
    names = [name for name in cell["us"] if not name.startswith(OUR_PREFIX)]
    return {name: time_of(cell, name) for name in names if time_of(cell, name) is not None}


def fastest_peer(cell: dict):
    """(name, µs), or None."""
    peers = peers_of(cell)
    return min(peers.items(), key=lambda item: item[1]) if peers else None


def ratio(cell: dict):
    """Ours, as it chooses by itself, to the fastest peer; None where one is missing."""
    ours, peer = time_of(cell, OURS), fastest_peer(cell)
    return ours / peer[1] if ours is not None and peer is not None else None


def mark(value) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" + (" !!" if value > LIMIT else " !" if value > GOAL else "")


def contenders_of(cells: list) -> list:
    """In the order in which they first appear."""
    return list(dict.fromkeys(name for cell in cells for name in cell["us"]))


def rows_of(cells: list, world: int, floor: bool, ratios: bool) -> list:
    names = contenders_of(cells)
    rows = [["hidden", "tokens", *(["floor"] if floor else []), *names,
             *(["fastest peer", "ratio"] if ratios else [])]]
    for cell in cells:
        times = [time_of(cell, name) for name in names]
        peer = fastest_peer(cell)
        rows.append([
            str(cell["hidden"]), str(cell["tokens"]),
            *([f"{floor_us(world, cell['tokens'], cell['hidden']):.2f}"] if floor else []),
            *("-" if time is None else f"{time:.2f}" for time in times),
            *([peer[0] if peer else "-", mark(ratio(cell))] if ratios else []),
        ])
    return rows


def table(cells: list, world: int, floor: bool = True, ratios: bool = True) -> str:
    """`floor`: with the least that separate GPUs need."""
    rows = rows_of(cells, world, floor, ratios)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(text.ljust(width) for text, width in zip(row, widths)) + " |"
             for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def summary(cells: list) -> str:
    ratios = [value for value in map(ratio, cells) if value is not None]
    if not ratios:
        return "no cell has both ours and a peer: no ratio"
    over_goal = sum(value > GOAL for value in ratios)
    over_limit = sum(value > LIMIT for value in ratios)
    return (f"{len(ratios)} cells with a peer; ratio of '{OURS}' to the fastest: worst "
            f"{max(ratios):.2f}, best {min(ratios):.2f}; {over_goal} above {GOAL} (!), "
            f"{over_limit} above {LIMIT} (!!)")


def reasons(cells: list, given_up=None) -> list:
    """One line for each contender and reason that it is missing."""
    found = {(name, why) for cell in cells for name, why in cell["missing"].items()}
    found |= set((given_up or {}).items())
    return [f"left out: {name}: {why}" for name, why in sorted(found)]


def document(cells: list, world: int, method: dict, machine: dict) -> dict:
    """The times of a rehearsal have no ratio."""
    real = "rehearsal" not in method
    return {
        "world": world,
        "method": method,
        "machine": machine,
        "constants": {name: {"value": value, "source": source}
                      for name, (value, source) in CONSTANTS.items()},
        "cells": [{**cell, "floor_us": floor_us(world, cell["tokens"], cell["hidden"]),
                   "ratio": ratio(cell) if real else None} for cell in cells],
    }


def write_plot(cells: list, path: str, title: str, world=None) -> str:
    """One panel for each hidden size; returns "" or why there is no plot. `world`: with the floor of
    so many GPUs."""
    try:
        import matplotlib
    except ImportError:
        return "matplotlib is not installed: no plot"
    matplotlib.use("Agg")
    from matplotlib import pyplot

    sizes = sorted({cell["hidden"] for cell in cells})
    figure, axes = pyplot.subplots(1, len(sizes), figsize=(6 * len(sizes), 5), squeeze=False)
    for axis, hidden in zip(axes[0], sizes):
        plot_panel(axis, [cell for cell in cells if cell["hidden"] == hidden], world)
        axis.set_title(f"hidden {hidden}, bf16")
    figure.suptitle(title)
    axes[0][0].set_ylabel("µs per operation")
    axes[0][-1].legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.02, 1))
    figure.tight_layout()
    figure.savefig(path)
    return ""


def plot_panel(axis, cells: list, world) -> None:
    cells = sorted(cells, key=lambda cell: cell["tokens"])
    for name in contenders_of(cells):
        points = [(cell["tokens"], time_of(cell, name)) for cell in cells]
        points = [point for point in points if point[1] is not None]
        style = "-" if name.startswith(OUR_PREFIX) else "--"
        axis.plot([x for x, _ in points], [y for _, y in points], style, marker=".", label=name)
    tokens = [cell["tokens"] for cell in cells]
    if world is not None:
        axis.plot(tokens, [floor_us(world, count, cells[0]["hidden"]) for count in tokens], "k:",
                  label="floor")
    axis.set(xscale="log", yscale="log", xlabel="tokens")
