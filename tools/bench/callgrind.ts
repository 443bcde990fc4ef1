// Reads what callgrind dumps (format: "Callgrind Format Specification", Valgrind user manual), written with --dump-instr=yes,
// --compress-pos=no and --compress-strings=no, and counts the instructions that were executed inside one image.

export interface ImageAt {
  /** The end of the name of an ELF object; null for an image that callgrind has no name for. */
  object: string | null;
  /** Where it is mapped; callgrind says addresses where it has no name. */
  base: number;
  bytes: number;
}

export interface Instructions {
  total: number;
  /** Of each function with a name. */
  functions: Map<string, number>;
}

/** An object that callgrind has no name for, such as a PE image that the driver host has mapped itself. */
const unnamed = '???';

export function instructionsIn(dump: string, image: ImageAt): Instructions {
  const functions = new Map<string, number>();
  let total = 0;
  let inside = false;
  let byAddress = false;
  let name = '';
  let callee = false;
  for (const line of dump.split('\n')) {
    if (line.startsWith('ob=')) {
      const object = line.slice(3);
      byAddress = object === unnamed && image.object === null;
      inside = byAddress || (image.object !== null && object.endsWith(image.object));
    } else if (line.startsWith('fn=')) {
      name = line.slice(3);
    } else if (line.startsWith('calls=')) {
      // The next line is what the callee cost.
      callee = true;
    } else {
      const [, address = '', events = ''] = /^0x([0-9a-f]+) \S+ (\d+)$/.exec(line) ?? [];
      if (address === '') continue;
      if (callee) {
        callee = false;
        continue;
      }
      const offset = parseInt(address, 16) - image.base;
      if (!inside || (byAddress && (offset < 0 || offset >= image.bytes))) continue;
      const count = Number(events);
      total += count;
      functions.set(name, (functions.get(name) ?? 0) + count);
    }
  }
  return { total, functions };
}
