/** A table for people: columns as wide as their widest cell, numbers to the right, no lines but one under the head. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(...[title, ...rows.map((row) => row[column] ?? "")].map(width)));
  const numeric = head.map(
    (_, column) => rows.length > 0 && rows.every((row) => /^[-\d.,]+( \w+)?$/.test(row[column] ?? "")),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => pad(cell, widths[column] ?? 0, numeric[column] ?? false))
      .join("  ")
      .trimEnd();
  return [line(head), widths.map((count) => "─".repeat(count)).join("  "), ...rows.map(line)].join("\n");
}

/** A size in bytes as people read it. */
export function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

function pad(cell: string, size: number, right: boolean): string {
  const space = " ".repeat(Math.max(0, size - width(cell)));
  return right ? space + cell : cell + space;
}

function width(text: string): number {
  return [...text.replace(/\x1b\[[0-9;]*m/g, "")].length;
}
