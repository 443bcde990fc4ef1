/**
 * The one registry of errors. Codes (NTS_ERR_*) are stable: programs may test them. A user error is the
 * caller's or the environment's and has words about what to do; an internal one is a fault of ours and
 * shows its stack.
 */
import { describeStatus } from './ntstatus.js';

/** Exit statuses of the command line; documented in docs/cli.md. */
export const ExitCode = {
  ok: 0,
  /** A fault of ntswift itself. */
  internal: 1,
  /** The command line is wrong. */
  usage: 2,
  /** The driver, the host or Windows refused what was asked. */
  refused: 3,
  /** The driver host, the driver or the device cannot be reached. */
  unreachable: 4,
  /** Not allowed for this user. */
  denied: 5,
  /** A file is wrong: cluster file, INF. */
  file: 6,
  /** Asked for confirmation and got none. */
  unconfirmed: 7,
  /** What was waited for did not come about in time. */
  timeout: 8,
  /** Stopped by Ctrl-C, as shells count it. */
  interrupted: 130,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

interface Entry<P> {
  readonly kind: 'user' | 'internal';
  readonly exit: ExitCode;
  readonly message: (parameters: P) => string;
}

function user<P>(exit: ExitCode, message: (parameters: P) => string): Entry<P> {
  return { kind: 'user', exit, message };
}

function internal<P>(message: (parameters: P) => string): Entry<P> {
  return { kind: 'internal', exit: ExitCode.internal, message };
}

interface What {
  what: string;
}

const registry = {
  NTS_ERR_USAGE: user<What>(ExitCode.usage, ({ what }) => what),
  NTS_ERR_UNCONFIRMED: user<What>(
    ExitCode.unconfirmed,
    ({ what }) => `${what}: not confirmed. Nothing was changed. Use --yes where nobody can answer`,
  ),

  NTS_ERR_HOST_UNREACHABLE: user<{ endpoint: string; why: string }>(
    ExitCode.unreachable,
    ({ endpoint, why }) =>
      `no driver host answers at ${endpoint} (${why}). Start nthost, or name its socket by --host or NTSWIFT_HOST`,
  ),
  NTS_ERR_HOST_DENIED: user<{ endpoint: string }>(
    ExitCode.denied,
    ({ endpoint }) => `this user may not connect to the driver host at ${endpoint}`,
  ),
  NTS_ERR_HOST_GONE: user<What>(
    ExitCode.unreachable,
    ({ what }) => `${what}: the driver host ended before it answered`,
  ),
  NTS_ERR_PROTOCOL: internal<What>(
    ({ what }) => `the driver host speaks another protocol than this addon: ${what}`,
  ),
  NTS_ERR_NO_DEVICE: user<What>(
    ExitCode.unreachable,
    ({ what }) => `${what} does not exist: its driver is not installed or not started`,
  ),
  NTS_ERR_ACCESS_DENIED: user<What>(
    ExitCode.denied,
    ({ what }) =>
      `${what}: access is denied. This needs ${process.platform === 'win32' ? 'an elevated prompt (Administrator)' : 'root'}`,
  ),
  NTS_ERR_TIMEOUT: user<What>(ExitCode.timeout, ({ what }) => what),
  NTS_ERR_CANCELLED: user<What>(ExitCode.interrupted, ({ what }) => `${what}: cancelled`),
  NTS_ERR_CLOSED: user<What>(ExitCode.internal, ({ what }) => `${what}: the device is closed`),
  NTS_ERR_IO: user<{ what: string; why: string }>(
    ExitCode.refused,
    ({ what, why }) => `${what}: ${why}`,
  ),
  NTS_ERR_WINDOWS_ONLY: user<What>(ExitCode.usage, ({ what }) => `${what} exists on Windows only`),
  NTS_ERR_HOST_ONLY: user<What>(
    ExitCode.usage,
    ({ what }) => `${what} exists on the driver host only, not on Windows`,
  ),

  NTS_ERR_INF: user<What>(ExitCode.file, ({ what }) => what),
  NTS_ERR_SERVICE: user<What>(ExitCode.refused, ({ what }) => what),

  NTS_ERR_CLUSTER_FILE: user<What>(ExitCode.file, ({ what }) => what),
  NTS_ERR_FILE_READ: user<{ file: string; why: string }>(
    ExitCode.file,
    ({ file, why }) => `${file}: cannot be read (${why})`,
  ),
  NTS_ERR_FILE_PERMISSIONS: user<{ file: string; why: string; command: string }>(
    ExitCode.file,
    ({ file, why, command }) =>
      `${file}: ${why}; it holds the cluster's key, which only its owner may read. Run: ${command}`,
  ),
  NTS_ERR_FILE_WRITE: user<{ file: string; why: string }>(
    ExitCode.file,
    ({ file, why }) => `${file}: cannot be written (${why})`,
  ),
  NTS_ERR_FLOW_FILE: user<What>(ExitCode.file, ({ what }) => what),
  NTS_ERR_LOCAL_NODE: user<What>(ExitCode.file, ({ what }) => what),
  NTS_ERR_REFUSED: user<What>(ExitCode.refused, ({ what }) => what),
  NTS_ERR_CONTRACT: user<What>(ExitCode.refused, ({ what }) => what),

  NTS_ERR_CLUSTER_EXISTS: user<{ folder: string; cluster: string; node: string }>(
    ExitCode.refused,
    ({ folder, cluster, node }) =>
      `${folder} holds node ${node} of cluster ${cluster} already. "ntswift node leave" forgets it`,
  ),
  NTS_ERR_NO_CLUSTER: user<{ folder: string }>(
    ExitCode.refused,
    ({ folder }) =>
      `${folder} holds no node of a cluster. "ntswift cluster init" makes a cluster, "ntswift node join" joins one`,
  ),
  /** What needs the CA's key, on a node without it. */
  NTS_ERR_NO_AUTHORITY: user<What>(ExitCode.refused, ({ what }) => what),
  NTS_ERR_TOKEN_UNKNOWN: user<What>(ExitCode.refused, ({ what }) => what),
  NTS_ERR_TOKEN_USED: user<What>(ExitCode.refused, ({ what }) => what),
  NTS_ERR_TOKEN_EXPIRED: user<What>(ExitCode.refused, ({ what }) => what),
  NTS_ERR_NAME_TAKEN: user<What>(ExitCode.refused, ({ what }) => what),
  NTS_ERR_UNKNOWN_NODE: user<What>(ExitCode.usage, ({ what }) => what),
  NTS_ERR_NOT_A_MEMBER: user<What>(ExitCode.denied, ({ what }) => what),
  NTS_ERR_WRONG_CLUSTER: user<What>(ExitCode.denied, ({ what }) => what),
  NTS_ERR_CERTIFICATE_EXPIRED: user<What>(ExitCode.denied, ({ what }) => what),
  NTS_ERR_NODE_REVOKED: user<What>(ExitCode.denied, ({ what }) => what),
  NTS_ERR_CLOCK_SKEW: user<What>(ExitCode.denied, ({ what }) => what),
  NTS_ERR_PEER_REFUSED: user<What>(ExitCode.refused, ({ what }) => what),
  NTS_ERR_PEER_UNREACHABLE: user<What>(ExitCode.unreachable, ({ what }) => what),
  /** The other side says what no node says: another program, or harm. */
  NTS_ERR_PEER_PROTOCOL: user<What>(ExitCode.refused, ({ what }) => what),

  NTS_ERR_STORE: user<{ file: string; why: string }>(
    ExitCode.refused,
    ({ file, why }) => `${file}: ${why}`,
  ),
  /** A record is malformed; facts: fault. */
  NTS_ERR_REPL_RECORD: user<What>(ExitCode.refused, ({ what }) => what),
  /** What is stored of the stream is damaged, or not what it should be. */
  NTS_ERR_REPL_LOG: user<{ file: string; why: string }>(
    ExitCode.file,
    ({ file, why }) => `${file}: ${why}`,
  ),
  /** Records are missing between what is there and what came; facts: expected, got. */
  NTS_ERR_REPL_GAP: user<What>(ExitCode.refused, ({ what }) => what),
  /** Records of an epoch that is over; facts: epoch, highest. */
  NTS_ERR_REPL_EPOCH: user<What>(ExitCode.refused, ({ what }) => what),
  /** A record says something that the backup's tree contradicts; facts: sequence. */
  NTS_ERR_REPL_APPLY: user<What>(ExitCode.refused, ({ what }) => what),
  /** A moment that the window does not cover. */
  NTS_ERR_REPL_WINDOW: user<What>(ExitCode.refused, ({ what }) => what),
  NTS_ERR_CODEC: internal<What>(({ what }) => what),
  NTS_ERR_ADDON: user<{ tried: string; why: string }>(
    ExitCode.unreachable,
    ({ tried, why }) =>
      `the native addon cannot be loaded from ${tried} (${why}). Build it: npm run build:addon`,
  ),
  NTS_ERR_INTERNAL: internal<What>(({ what }) => what),
} as const;

export type ErrorCode = keyof typeof registry;
type Parameters<C extends ErrorCode> = (typeof registry)[C] extends Entry<infer P> ? P : never;

export interface ErrorDetails {
  readonly cause?: unknown;
  readonly ntstatus?: number | null;
  /** What arrived in spite of the error: a warning such as STATUS_BUFFER_OVERFLOW brings data. */
  readonly data?: Buffer | null;
  /** Further facts for --json: file, line, reason ... */
  readonly facts?: Readonly<Record<string, unknown>>;
}

export class NtsError extends Error {
  readonly code: ErrorCode;
  readonly kind: 'user' | 'internal';
  readonly exitCode: ExitCode;
  readonly ntstatus: number | null;
  /** The name of the NTSTATUS, or the code where there is none. */
  override readonly name: string;
  readonly data: Buffer | null;
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    const entry: Entry<never> = registry[code];
    this.code = code;
    this.kind = entry.kind;
    this.exitCode = entry.exit;
    this.ntstatus = details.ntstatus ?? null;
    this.name = this.ntstatus === null ? code : describeStatus(this.ntstatus).name;
    this.data = details.data ?? null;
    this.facts = details.facts ?? {};
  }

  /** What --json prints. */
  toJSON(): Record<string, unknown> {
    return {
      code: this.code,
      message: this.message,
      ...(this.ntstatus === null
        ? {}
        : {
            ntstatus: `0x${this.ntstatus.toString(16).toUpperCase().padStart(8, '0')}`,
            name: this.name,
            win32: describeStatus(this.ntstatus).win32,
          }),
      ...this.facts,
    };
  }
}

export function ntsError<C extends ErrorCode>(
  code: C,
  parameters: Parameters<C>,
  details: ErrorDetails = {},
): NtsError {
  const { message } = registry[code] as unknown as Entry<Parameters<C>>;
  return new NtsError(code, message(parameters), details);
}

export function isNtsError(error: unknown, ...codes: ErrorCode[]): error is NtsError {
  return error instanceof NtsError && (codes.length === 0 || codes.includes(error.code));
}

export function errorCodes(): ErrorCode[] {
  return Object.keys(registry) as ErrorCode[];
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
