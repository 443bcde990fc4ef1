// The way from the primary to its backup: cut, whole again, narrow.
import { readdirSync } from 'node:fs';
import type { Replica } from '../../lab/replica.js';

const TABLE = 'inet bench';
/** Where a backup in the primary's own namespace listens. */
const LOCAL_PORT = 7102;

function nft({ machine }: Replica, ...lines: string[]): void {
  for (const line of lines) machine.run('nft', line);
}

/** Nothing comes through, in either direction; nobody is told. */
export function cut(replica: Replica): void {
  nft(
    replica,
    `add table ${TABLE}`,
    `add chain ${TABLE} out { type filter hook output priority 0; }`,
    `add rule ${TABLE} out tcp dport ${LOCAL_PORT} drop`,
    `add rule ${TABLE} out tcp sport ${LOCAL_PORT} drop`,
    `add rule ${TABLE} out oifname != "lo" drop`,
  );
}

export function restore(replica: Replica): void {
  nft(replica, `delete table ${TABLE}`);
}

/** So many bits a second at most leave the primary's machine, to itself, too. */
export function narrow({ machine }: Replica, megabits: number): void {
  for (const device of devices(machine.run('ip', '-o', 'link'))) {
    const shape = ['rate', `${megabits}mbit`, 'burst', '512kb', 'latency', '100ms'];
    machine.run('tc', 'qdisc', 'replace', 'dev', device, 'root', 'tbf', ...shape);
  }
}

function devices(links: string): string[] {
  return [...links.matchAll(/^\d+: ([^:@]+)/gm)].map(([, name]) => name!);
}

/** Bytes that have left the primary's machine so far. */
export function sentBytes({ machine }: Replica): number {
  const text = machine.run('cat', '/proc/net/dev');
  return [...text.matchAll(/^\s*\S+:\s*(?:\d+\s+){8}(\d+)/gm)].reduce(
    (sum, [, bytes]) => sum + Number(bytes),
    0,
  );
}

/** Whether a program is there, in the usual places. */
export function isInstalled(program: string): boolean {
  return (process.env.PATH ?? '').split(':').some((folder) => {
    try {
      return readdirSync(folder).includes(program);
    } catch {
      return false;
    }
  });
}
