/** What this node keeps of ONE-IP across restarts: the configuration that was applied, the veto, the drain. */
import type { Store } from '../common/store.js';
import { type Configuration, encodeConfiguration } from './configuration.js';
import { type Names, noNames } from './names.js';
import { decodeStored } from './stored-configuration.js';

export interface AppliedConfiguration {
  /** With the beacon key, and the table that was in force. */
  readonly configuration: Configuration;
  readonly names: Names;
  /** The cluster file that it came from; "oneip set" may have changed values since. */
  readonly source: string;
  /** ISO 8601 */
  readonly appliedAt: string;
}

interface Row extends Record<string, unknown> {
  configuration: Buffer;
  names: string;
  source: string;
  applied_at: string;
}

/** Wishes for this node alone. */
export type Wish = 'veto' | 'drain';

export function loadConfiguration(store: Store): AppliedConfiguration | null {
  const row = store.get('SELECT * FROM oneip_configuration') as Row | null;
  if (!row) return null;
  return {
    configuration: decodeStored(row.configuration),
    names: namesIn(row.names),
    source: row.source,
    appliedAt: row.applied_at,
  };
}

export function saveConfiguration(store: Store, applied: AppliedConfiguration): void {
  store.execute(
    `INSERT INTO oneip_configuration (id, configuration, names, source, applied_at)
     VALUES (1, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET configuration = excluded.configuration, names = excluded.names,
       source = excluded.source, applied_at = excluded.applied_at`,
    // Without the past of the slots: a driver that has just started knows none of the connections that its node has, and
    // would send them to whoever had the slots before.
    encodeConfiguration({ ...applied.configuration, past: null }),
    JSON.stringify([...applied.names]),
    applied.source,
    applied.appliedAt,
  );
}

export function forgetConfiguration(store: Store): void {
  store.execute('DELETE FROM oneip_configuration');
}

/** The names alone, which are there whatever release stored the configuration. */
export function loadNames(store: Store): Names {
  const row = store.get('SELECT names FROM oneip_configuration') as Pick<Row, 'names'> | null;
  return row ? namesIn(row.names) : noNames;
}

function namesIn(text: string): Names {
  return new Map(JSON.parse(text) as [number, string][]);
}

export function loadWish(store: Store, wish: Wish): boolean {
  return store.get('SELECT 1 FROM setting WHERE name = ?', `oneip.${wish}`) !== null;
}

export function saveWish(store: Store, wish: Wish, on: boolean): void {
  const name = `oneip.${wish}`;
  if (on) store.execute("INSERT OR REPLACE INTO setting (name, value) VALUES (?, '1')", name);
  else store.execute('DELETE FROM setting WHERE name = ?', name);
}
