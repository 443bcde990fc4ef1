/** What this node keeps of ONE-IP across restarts: the configuration that was applied, and the veto. */
import type { Store } from '../common/store.js';
import { type Configuration, decodeConfiguration, encodeConfiguration } from './configuration.js';
import type { Names } from './names.js';

export interface AppliedConfiguration {
  /** With the beacon key, and the table that was in force. */
  readonly configuration: Configuration;
  readonly names: Names;
  /** The cluster file that it came from. */
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

const VETO = 'oneip.veto';

export function loadConfiguration(store: Store): AppliedConfiguration | null {
  const row = store.get('SELECT * FROM oneip_configuration') as Row | null;
  if (!row) return null;
  const names = JSON.parse(row.names) as [number, string][];
  return {
    configuration: decodeConfiguration(row.configuration),
    names: new Map(names),
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
    encodeConfiguration(applied.configuration),
    JSON.stringify([...applied.names]),
    applied.source,
    applied.appliedAt,
  );
}

export function forgetConfiguration(store: Store): void {
  store.execute('DELETE FROM oneip_configuration');
}

export function loadVeto(store: Store): boolean {
  return store.get('SELECT 1 FROM setting WHERE name = ?', VETO) !== null;
}

export function saveVeto(store: Store, veto: boolean): void {
  if (veto) store.execute("INSERT OR REPLACE INTO setting (name, value) VALUES (?, '1')", VETO);
  else store.execute('DELETE FROM setting WHERE name = ?', VETO);
}
