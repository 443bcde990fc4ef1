/** The test points of a TAP document: name to outcome. */
export function points(tap: string): Map<string, boolean> {
  const found = [...tap.matchAll(/^(?<not>not )?ok \d+ - (?<name>.*)$/gm)];
  return new Map(found.map(({ groups }) => [groups?.name ?? '', groups?.not === undefined]));
}
