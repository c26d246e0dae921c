/** A line without axes, for a table cell or a tile. */

interface Props {
  values: (number | null)[];
  width?: number;
  height?: number;
  tone?: "accent" | "bad" | "muted";
}

export function Sparkline({ values, width = 96, height = 24, tone = "accent" }: Props) {
  const path = sparkPath(values, width, height);
  return (
    <svg
      class={`spark spark-${tone}`}
      width={width}
      height={height}
      viewBox={`0 0 ${width} ${height}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      {path && <path class="spark-area" d={areaPath(path, width, height)} />}
      {path && <path class="spark-line" d={path} />}
    </svg>
  );
}

/** The path from the first to the last value, from zero at the bottom to the greatest at the top. */
export function sparkPath(values: (number | null)[], width: number, height: number): string {
  const top = Math.max(...values.map((value) => value ?? 0), 0);
  if (values.length < 2) return "";
  const step = width / (values.length - 1);
  let path = "";
  let pen = false;
  values.forEach((value, index) => {
    if (value === null) {
      pen = false;
      return;
    }
    const y = top > 0 ? height - 1.5 - (value / top) * (height - 3) : height - 1.5;
    path += `${pen ? "L" : "M"}${(index * step).toFixed(1)},${y.toFixed(1)}`;
    pen = true;
  });
  return path;
}

/** The line closed down to the base, stretch by stretch. */
function areaPath(line: string, width: number, height: number): string {
  return line
    .split("M")
    .filter(Boolean)
    .map((stretch) => {
      const points = stretch.split("L");
      const [first = "0", last = String(width)] = [points[0], points[points.length - 1]].map(
        (one) => one?.split(",")[0],
      );
      return `M${stretch}L${last},${height}L${first},${height}Z`;
    })
    .join("");
}
