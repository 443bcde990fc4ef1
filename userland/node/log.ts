/** The log of a node, by pino. */
import { type Logger, pino } from 'pino';

export type Log = Logger;

export const levels = ['error', 'warn', 'info', 'debug'] as const;
export type Level = (typeof levels)[number];

export const silentLog: Log = pino({ level: 'silent' });
