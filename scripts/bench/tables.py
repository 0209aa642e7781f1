"""What was measured, as tables for people and as JSON for programs."""


class Table:
    """Rows of cells under a heading; the first column and those without a heading are text, the others figures."""

    def __init__(self, *heading):
        self.rows = [heading]

    def add(self, *cells):
        self.rows.append(cells)

    def text(self, indent="    "):
        widths = [max(len(str(row[i])) for row in self.rows) for i in range(len(self.rows[0]))]
        lines = []
        for row in self.rows:
            cells = [str(cell).ljust(width) if i == 0 or not self.rows[0][i] else str(cell).rjust(width)
                     for i, (cell, width) in enumerate(zip(row, widths))]
            lines.append(indent + "  ".join(cells).rstrip())
        return "\n".join(lines)


class Results:
    """The ratios with their targets: what a run is judged by."""

    def __init__(self):
        self.rows = []

    def add(self, name, value, unit, target, higher):
        met = value >= target if higher else value <= target
        self.rows.append({"name": name, "value": value, "unit": unit, "target": target, "at_least": higher,
                          "verdict": "PASS" if met else "under" if higher else "over"})

    def skip(self, name, why):
        self.rows.append({"name": name, "verdict": f"skipped: {why}"})

    def void(self, why):
        """The last one means nothing."""
        self.rows[-1]["verdict"] = why

    @staticmethod
    def sign(row):
        return "≥" if row["at_least"] else "≤"

    def text(self):
        table = Table("", "measured", "target", "")
        for row in self.rows:
            if "value" in row:
                table.add(row["name"], f"{row['value']:.2f}{row['unit']}",
                          f"{self.sign(row)} {row['target']:g}{row['unit']}", row["verdict"])
            else:
                table.add(row["name"], "", "", row["verdict"])
        return table.text("")
