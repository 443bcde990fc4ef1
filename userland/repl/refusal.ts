/** Why the REPL driver refused, in words that say what to do. */
import { type NtsError, isNtsError, ntsError } from '../common/errors.js';
import { describeStatus } from '../common/ntstatus.js';
import {
  REPL_CONTRACT_VERSION,
  REPL_MAX_BLOCK_MS,
  REPL_MAX_BRACKETS,
  REPL_MAX_RING,
  REPL_MAX_RULES,
  REPL_MAX_SETS,
  REPL_MAX_STAGING,
  REPL_MIN_JOURNAL,
  REPL_MIN_RING,
  REPL_MIN_STAGING,
  type ReplRefusal,
  ReplRefusalReason,
} from './codec.js';
import { constantName } from '../common/struct.js';

/** What a refusal is about, for the words. */
export interface RefusalSubject {
  /** Of a configuration: the sets' roots by their index. */
  readonly roots?: readonly string[];
  /** Of the rules by their index. */
  readonly rules?: readonly string[];
}

const mismatch =
  'the driver and this program do not fit together; install the driver of this release';

/** Of what would be a record. */
export const STATUS_DEVICE_NOT_READY = 0xc00000a3;

/** There is no place for a record. Whatever else the driver has refused since then. */
export function hasNoPlace(error: unknown): boolean {
  return isNtsError(error) && error.ntstatus === STATUS_DEVICE_NOT_READY;
}

type Explain = (index: number, subject: RefusalSubject) => string;

function root(index: number, { roots }: RefusalSubject): string {
  return roots?.[index] ?? `set ${index + 1}`;
}

const explanations: Readonly<Record<ReplRefusalReason, Explain>> = {
  [ReplRefusalReason.none]: () => 'the driver gives no reason',
  [ReplRefusalReason.length]: () => `the request has a wrong length: ${mismatch}`,
  [ReplRefusalReason.contract]: () =>
    `the driver's contract is not version ${REPL_CONTRACT_VERSION}: ${mismatch}`,
  [ReplRefusalReason.reserved]: () => `the request sets what the driver reserves: ${mismatch}`,
  [ReplRefusalReason.generation]: () =>
    'somebody else has changed the configuration in the meantime; try again',
  [ReplRefusalReason.count]: () =>
    `a node has ${REPL_MAX_SETS} sets and ${REPL_MAX_RULES} rules at most`,
  [ReplRefusalReason.setId]: (index) =>
    `the number of set ${index + 1} is none, or that of another set`,
  [ReplRefusalReason.mode]: (index, subject) =>
    `${root(index, subject)}: the driver does not know its mode`,
  [ReplRefusalReason.root]: (index, subject) =>
    `${root(index, subject)} is no folder of a volume, or lies in the folder of another set`,
  [ReplRefusalReason.volume]: (index, subject) =>
    `${root(index, subject)}: there is no such volume, or REPL is not attached to it. "ntswift driver status NtsRepl" tells the volumes; on the driver host, mount the folder first (nthost --mount)`,
  [ReplRefusalReason.rule]: (index, { rules }) =>
    `rule ${rules?.[index] ?? index + 1} is no wildcard, or belongs to no set`,
  [ReplRefusalReason.staging]: () =>
    `staging memory is ${REPL_MIN_STAGING} to ${REPL_MAX_STAGING} bytes, in pages, and there must be as much`,
  [ReplRefusalReason.journal]: () =>
    `the journal could not be made: it has ${REPL_MIN_JOURNAL} bytes or more, which must be free on the system's volume, and it keeps its size while something is in it`,
  [ReplRefusalReason.bound]: () => `an operation waits ${REPL_MAX_BLOCK_MS} ms at most`,
  [ReplRefusalReason.epoch]: () =>
    'another node has taken the role since then; this one was told of a higher epoch',
  [ReplRefusalReason.role]: () =>
    'not in the present role of this node; "ntswift repl status" tells it',
  [ReplRefusalReason.ring]: () =>
    `another program receives the stream already, or the ring is not ${REPL_MIN_RING} to ${REPL_MAX_RING} bytes`,
  [ReplRefusalReason.sequence]: () => 'no record with that number was given out',
  [ReplRefusalReason.bracket]: () =>
    `there is no such bracket, more than ${REPL_MAX_BRACKETS}, or what changed in it was not taken yet`,
  [ReplRefusalReason.file]: () => 'there is no such file or folder in the set',
};

export function replRefusal(
  refusal: ReplRefusal,
  cause: NtsError,
  subject: RefusalSubject = {},
): NtsError {
  const below = refusal.status === 0 ? null : describeStatus(refusal.status);
  const words = hasNoPlace(cause)
    ? 'ring and journal are full, so nothing can be recorded now; try again when "ntswift repl status" no longer says that records are not kept'
    : explanations[refusal.reason](refusal.index, subject);
  const what = `the REPL driver refuses: ${words}${below ? ` (${below.name}: ${below.meaning})` : ''}`;
  return ntsError(
    'NTS_ERR_REFUSED',
    { what },
    {
      cause,
      ntstatus: cause.ntstatus,
      facts: {
        reason: constantName(ReplRefusalReason, refusal.reason),
        index: refusal.index,
        ...(below ? { below: below.name } : {}),
      },
    },
  );
}

/** Whether an error is a refusal for one of these reasons. */
export function isRefusal(error: unknown, ...reasons: (keyof typeof ReplRefusalReason)[]): boolean {
  const { reason } = (error as Partial<NtsError>).facts ?? {};
  return reasons.some((one) => constantName(ReplRefusalReason, ReplRefusalReason[one]) === reason);
}
