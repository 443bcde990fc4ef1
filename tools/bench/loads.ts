// What the client does, and what one unit of that work is.
import { builtFile } from '../lab/built.js';
import type { Lab } from '../lab/lab.js';
import type { ArmName } from './arms.js';

export const loadNames = ['keep', 'connect', 'upload', 'download', 'udp', 'ping'] as const;
export type LoadName = (typeof loadNames)[number];

export interface LoadOptions {
  seconds: number;
  /** Datagrams a second. */
  rate: number;
}

/** What bench-load printed. */
export type Printed = Record<string, number>;

interface Load {
  title: string;
  unit: string;
  args: (options: LoadOptions) => number[];
  units: (printed: Printed) => number;
  /** The share of the work that may fail. */
  mayFail: number;
  failed: (printed: Printed) => number;
  not?: ArmName[];
}

const requests = (printed: Printed) => printed.answered ?? 0;
const megabytes = (printed: Printed) => (printed.bytes ?? 0) / 1e6;
const failed = (printed: Printed) => printed.failed ?? 0;

export const loads: Record<LoadName, Load> = {
  keep: {
    title: 'HTTP requests, 32 connections that stay',
    unit: 'request',
    args: () => [32],
    units: requests,
    mayFail: 0,
    failed,
  },
  connect: {
    title: 'HTTP requests, each on a new connection, 16 at a time',
    unit: 'request',
    args: () => [16],
    units: requests,
    mayFail: 0,
    failed,
  },
  upload: {
    title: 'upload by 12 connections',
    unit: 'MB',
    args: () => [12],
    units: megabytes,
    mayFail: 0,
    failed,
  },
  download: {
    title: 'download by 12 connections',
    unit: 'MB',
    args: () => [12],
    units: megabytes,
    mayFail: 0,
    failed,
  },
  udp: {
    title: 'datagrams of 64 bytes at a fixed rate',
    unit: 'datagram',
    args: ({ rate }) => [rate, 64],
    units: (printed) => printed.sent ?? 0,
    mayFail: 0,
    failed: (printed) => printed.refused ?? 0,
    // It forwards no datagrams.
    not: ['haproxy'],
  },
  ping: {
    title: 'echo requests, a millisecond after each answer',
    unit: 'echo',
    args: () => [1000],
    units: requests,
    mayFail: 0.01,
    failed: (printed) => printed.lost ?? 0,
    // Its own kernel answers.
    not: ['haproxy'],
  },
};

/** Runs one on the client machine. */
export async function runLoad(
  lab: Lab,
  name: LoadName,
  target: string,
  options: LoadOptions,
): Promise<Printed> {
  const { client } = lab;
  const { args } = loads[name];
  const words = [name, target, options.seconds, ...args(options)].map(String);
  const sources = `${client.sources('ipv4').join('\n')}\n`;
  return JSON.parse(await client.command(builtFile('bin/bench-load'), words, sources)) as Printed;
}
