/** What the commands of clusters share: the state folder, this node, names and addresses as they are typed. */
import os from 'node:os';
import path from 'node:path';
import { ntsError } from '../common/errors.js';
import { stateDir } from '../common/paths.js';
import { type Exchange, exchangeWithAll } from '../node/agent.js';
import { LocalNode } from '../node/local-node.js';
import {
  DEFAULT_PORT,
  type Endpoint,
  defaultNodeName,
  formatEndpoint,
  isNodeName,
  parseEndpoint,
} from '../node/names.js';
import type { Context } from './context.js';

export function stateFolder(given: string | null): string {
  return given === null ? stateDir() : path.resolve(given);
}

export async function withNode<T>(
  state: string | null,
  work: (local: LocalNode) => Promise<T>,
): Promise<T> {
  const local = await LocalNode.open(stateFolder(state));
  try {
    return await work(local);
  } finally {
    local.close();
  }
}

export function nodeName(given: string | null): string {
  const name = given ?? defaultNodeName();
  if (isNodeName(name)) return name;
  const what = `"${name}" is no name: letters, digits, dots and dashes, 63 at most`;
  throw ntsError('NTS_ERR_USAGE', { what });
}

export function endpoint(text: string): Endpoint {
  const parsed = parseEndpoint(text);
  if (parsed) return parsed;
  throw ntsError('NTS_ERR_USAGE', { what: `${text} is no HOST:PORT` });
}

/** What other nodes are told: no port that is still to be chosen. */
export function ownAddress(given: string | null): string {
  const own = given === null ? { host: os.hostname(), port: DEFAULT_PORT } : endpoint(given);
  if (own.port !== 0) return formatEndpoint(own);
  throw ntsError('NTS_ERR_USAGE', { what: `${given ?? ''}: other nodes cannot reach port 0` });
}

export interface Told {
  readonly told: readonly string[];
  readonly notTold: readonly { readonly node: string; readonly why: string }[];
}

/**
 * Gives the others the new list of nodes now; those that are not reached get it from any node that they talk
 * to. The service of this node gets it too, where it runs.
 */
export async function tellOthers(local: LocalNode, context: Context): Promise<Told> {
  const names = local.membership.names;
  const others = (await exchangeWithAll(local, names)).filter(({ node }) => node !== local.name);
  const missed = others.filter(({ error }) => error !== null);
  for (const { node } of missed) {
    context.warn(`node ${node} was not reached; it learns of this when it next talks to a node`);
  }
  return {
    told: others.filter(({ error }) => error === null).map(({ node }) => node),
    notTold: missed.map(({ node, error }: Exchange) => ({ node, why: (error as Error).message })),
  };
}
