/** What a node and its address are called, on the command line, in certificates and on the wire. */
import { isIPv6 } from 'node:net';
import os from 'node:os';
import { z } from 'zod';

/** As in cluster files: it stands in certificates, hence nothing that a distinguished name would have to escape. */
const NAME = /^[A-Za-z0-9][\w.-]{0,62}$/;

/** In a certificate, before the node's name. */
export const NODE_URI = 'ntswift:node:';

/** Not assigned by IANA to anything. */
export const DEFAULT_PORT = 7770;

export const nodeNameSchema = z.string().regex(NAME);

export function isNodeName(text: string): boolean {
  return NAME.test(text);
}

/** The first label of this machine's name. */
export function defaultNodeName(): string {
  const label = os.hostname().split('.')[0]!.toLowerCase();
  return isNodeName(label) ? label : 'node1';
}

export interface Endpoint {
  /** A name, or an IPv4 or IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
}

/** HOST, HOST:PORT, [IPV6]:PORT or a bare IPv6 address; null where it is none. Port 0 is for listening. */
export function parseEndpoint(text: string): Endpoint | null {
  if (isIPv6(text)) return { host: text, port: DEFAULT_PORT };
  const match = /^(?:\[([^\]]{2,64})\]|([A-Za-z0-9][A-Za-z0-9.-]{0,252}))(?::(\d{1,5}))?$/.exec(
    text,
  );
  if (!match) return null;
  const [, ipv6, host, digits] = match;
  if (ipv6 !== undefined && !isIPv6(ipv6)) return null;
  const port = digits === undefined ? DEFAULT_PORT : Number(digits);
  return port <= 65535 ? { host: ipv6 ?? host!, port } : null;
}

export function formatEndpoint({ host, port }: Endpoint): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

export const endpointSchema = z
  .string()
  .max(330)
  .refine((text) => parseEndpoint(text) !== null);
