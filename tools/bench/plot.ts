// Plots as SVG, as little of it as the bench needs: bars with a whisker from least to most, and lines over a logarithmic axis.

export interface Bar {
  label: string;
  value: number;
  min: number;
  max: number;
}

export interface Line {
  label: string;
  points: { x: number; y: number }[];
}

const width = 720;
const colours = ['#2f6db3', '#c8553d', '#4c956c', '#8f6bb1', '#b08d2f', '#5f6b76'];

const escape = (text: string) =>
  text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]!);

function text(x: number, y: number, what: string, anchor = 'start', more = ''): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}"${more}>${escape(what)}</text>`;
}

function stroke(x1: number, y1: number, x2: number, y2: number, colour = '#ccc'): string {
  const at = [x1, y1, x2, y2].map((n) => n.toFixed(1));
  return `<line x1="${at[0]}" y1="${at[1]}" x2="${at[2]}" y2="${at[3]}" stroke="${colour}"/>`;
}

function svg(height: number, title: string, parts: string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="13">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    text(16, 26, title, 'start', ' font-weight="bold" font-size="15"'),
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

/** A round number that is not below: 1, 2 or 5 times a power of ten. */
export function ceiling(value: number): number {
  if (!(value > 0) || !Number.isFinite(value)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 5, 10].find((step) => step * power >= value) ?? 10);
}

const figure = (value: number) =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);

export function barChart(title: string, unit: string, bars: Bar[]): string {
  const [left, right, row] = [110, 90, 30];
  const top = ceiling(Math.max(...bars.map(({ max }) => max)));
  const x = (value: number) => left + (value / top) * (width - left - right);
  const bottom = 50 + bars.length * row;
  const parts = [0, 0.25, 0.5, 0.75, 1].flatMap((share) => [
    stroke(x(share * top), 44, x(share * top), bottom),
    text(x(share * top), bottom + 18, figure(share * top), 'middle'),
  ]);
  for (const [index, { label, value, min, max }] of bars.entries()) {
    const y = 50 + index * row;
    parts.push(
      `<rect x="${left}" y="${y}" width="${(x(value) - left).toFixed(1)}" height="20" fill="${colours[0]}"/>`,
      stroke(x(min), y + 10, x(max), y + 10, '#222'),
      text(left - 8, y + 15, label, 'end'),
      text(x(Math.max(value, max)) + 6, y + 15, figure(value)),
    );
  }
  return svg(bottom + 48, title, [...parts, text(left, bottom + 38, unit)]);
}

/** x grows by powers. */
export function lineChart(title: string, xTitle: string, yTitle: string, lines: Line[]): string {
  const [left, right, high, low] = [70, 130, 60, 340];
  const points = lines.flatMap((line) => line.points);
  const xs = [...new Set(points.map((point) => point.x))].sort((a, b) => a - b);
  const [first, last] = [Math.log(xs[0] ?? 1), Math.log(xs.at(-1) ?? 1)];
  const top = ceiling(Math.max(...points.map((point) => point.y)));
  const x = (value: number) =>
    left + ((Math.log(value) - first) / (last - first || 1)) * (width - left - right);
  const y = (value: number) => low - (value / top) * (low - high);
  const parts = [0, 0.25, 0.5, 0.75, 1].flatMap((share) => [
    stroke(left, y(share * top), width - right, y(share * top)),
    text(left - 8, y(share * top) + 4, figure(share * top), 'end'),
  ]);
  for (const value of xs)
    parts.push(text(x(value), low + 18, value.toLocaleString('en'), 'middle'));
  // From the lowest line up, so that no label covers another.
  let free = low + 15;
  const ends = lines.map((line) => line.points.at(-1) ?? { x: 1, y: 0 });
  for (const index of [...lines.keys()].sort((a, b) => ends[a]!.y - ends[b]!.y)) {
    const [line, end, colour] = [lines[index]!, ends[index]!, colours[index % colours.length]!];
    const path = line.points.map((p) => `${x(p.x).toFixed(1)},${y(p.y).toFixed(1)}`).join(' ');
    free = Math.min(free - 15, y(end.y) + 4);
    parts.push(`<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`);
    parts.push(text(x(end.x) + 8, free, line.label, 'start', ` fill="${colour}"`));
  }
  parts.push(text(left, low + 40, xTitle), text(left - 8, high - 14, yTitle));
  return svg(low + 56, title, parts);
}
