"""Validates JSON output files, given as arguments, with Rally's own validation and charts."""

import json
import sys

from rally.common.plugin import plugin
from rally.plugins import load
from rally.task.processing import charts

load()
seen = set()
for name in sys.argv[1:]:
    with open(name) as file:
        output = json.load(file)
    # VMTasks.boot_runcommand_delete requires these keys; it shows any other output as text.
    assert set(output) == {"additive", "complete"}, f"{name}: {set(output)}"
    for kind, items in output.items():
        assert items, f"{name}: no {kind} chart"
        for chart in items:
            error = charts.validate_output(kind, chart)
            assert not error, f"{name}: {error}"
            cls = plugin.Plugin.get(chart["chart_plugin"])
            seen.add((kind, chart["chart_plugin"]))
            if kind == "complete":
                cls.render_complete_data(dict(chart, widget=cls.widget))
                continue
            shown = cls({"total_iteration_count": 2}, title=chart["title"], label=chart["label"])
            for _ in range(2):
                shown.add_iteration(chart["data"])
            assert shown.render()["data"], f"{name}: chart {chart['title']} is empty"
print(*sorted(f"{kind}:{plugin}" for kind, plugin in seen))
