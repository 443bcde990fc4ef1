/**
 * Roles change in order: the primary stops its writers, the backup gets and applies all that there is, and
 * becomes primary with the next epoch from that number on.
 */
import { z } from 'zod';
import { ntsError } from '../common/errors.js';
import { ReplRoleKind } from './codec.js';
import { setsSchema } from './config.js';
import { askRepl } from './control-client.js';
import { type ControlCommand, controlCommand } from './control.js';
import type { Link } from './link.js';
import type { Session } from './primary.js';
import { becomePrimary } from './takeover.js';
import { nodeReplView } from './view.js';

export const switchover: ControlCommand = controlCommand(
  z.strictObject({
    node: z.string(),
    /** Where this node keeps the sets from then on; null: nowhere. */
    folder: z.string().nullable(),
  }),
  async ({ node, signal, progress }, { node: to, folder }) => {
    const { config, context } = node;
    const { value } = config;
    const backup = value.backups.find((one) => one.node === to);
    if (!backup || value.role !== 'primary') {
      const what =
        value.role === 'primary'
          ? `node ${to} is no backup of this node`
          : `node ${context.local.name} is not primary; run this on the primary`;
      throw ntsError('NTS_ERR_USAGE', { what });
    }
    const session = (await node.startPrimary()).require();
    const { driver, pump } = session;
    const link = pump.streaming.find((one) => one.node === to);
    if (!link) throw ntsError('NTS_ERR_REFUSED', { what: `node ${to} is not connected now` });
    if ((await driver.brackets()).length > 0) {
      const what = `node ${to} is being synchronised; wait until "repl status" says that it is not`;
      throw ntsError('NTS_ERR_REFUSED', { what });
    }
    progress({ step: 'demote' });
    const done = node.changing();
    let last;
    try {
      last = await demote(session, link, value.epoch, signal, (record) =>
        progress({ step: 'flush', last: record }),
      );
      await link.checkpoint();
      progress({ step: 'promote' });
      await askRepl(context.local, to, 'takeover', {
        stream: value.stream,
        epoch: value.epoch + 1,
        sequence: last,
        sets: value.sets,
        nextSetId: value.nextSetId,
        backup: folder === null ? null : { node: context.local.name, folder },
      });
    } catch (error) {
      // The other one has not become primary: this one goes on.
      await driver.setRole(ReplRoleKind.primary, value.epoch);
      done();
      throw error;
    }
    try {
      const epoch = value.epoch + 1;
      await config.update({ role: 'backup', epoch, handedOver: epoch, backups: [] });
      await driver.setRole(ReplRoleKind.backup, value.epoch + 1);
      await node.primary?.updateLinks();
    } finally {
      done();
    }
    return nodeReplView(node);
  },
);

/** Files in copy mode are copied while they are being written to; so often. */
const ATTEMPTS = 5;

/** From here on nobody writes into the sets, and the backup has all that there is up to the number returned. */
async function demote(
  { driver, copies }: Session,
  link: Link,
  epoch: number,
  signal: AbortSignal,
  flushing: (last: number) => void,
): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    await copies.flush(signal);
    await driver.setRole(ReplRoleKind.backup, epoch);
    const last = Number((await driver.status()).lastSequence);
    flushing(last);
    await link.reached('applied', last, signal);
    await link.reached('durable', last, signal);
    if (copies.waiting === 0) return last;
    if (attempt === ATTEMPTS) {
      const what = `${copies.waiting} files of sets in copy mode were written to all the time; end the programs that do, and try again`;
      throw ntsError('NTS_ERR_REFUSED', { what });
    }
    await driver.setRole(ReplRoleKind.primary, epoch);
  }
}

/** Asked of the backup, by the primary that steps down. */
export const takeOver: ControlCommand = controlCommand(
  z.strictObject({
    stream: z.string(),
    epoch: z.int().positive(),
    sequence: z.int().nonnegative(),
    sets: setsSchema,
    nextSetId: z.int().positive(),
    backup: z.strictObject({ node: z.string(), folder: z.string() }).nullable(),
  }),
  async ({ node }, given) => {
    const backup = node.backups.get(given.stream);
    if (!backup) {
      throw ntsError('NTS_ERR_REFUSED', { what: 'this node does not keep that stream' });
    }
    const { durable, applied } = backup.status;
    if (durable !== given.sequence || applied !== given.sequence) {
      const what = `this node has ${applied} of ${given.sequence} records`;
      throw ntsError('NTS_ERR_REFUSED', { what });
    }
    await becomePrimary(node, backup, {
      stream: given.stream,
      epoch: given.epoch,
      sequence: given.sequence,
      sets: given.sets,
      nextSetId: given.nextSetId,
      backups: given.backup === null ? [] : [{ ...given.backup, limit: null, paused: false }],
    });
    return nodeReplView(node);
  },
);
