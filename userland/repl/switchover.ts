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
    const { driver, pump } = (await node.startPrimary()).require();
    const link = pump.streaming.find((one) => one.node === to);
    if (!link) throw ntsError('NTS_ERR_REFUSED', { what: `node ${to} is not connected now` });
    if ((await driver.brackets()).length > 0) {
      const what = `node ${to} is being synchronised; wait until "repl status" says that it is not`;
      throw ntsError('NTS_ERR_REFUSED', { what });
    }
    // From here on nobody writes into the sets.
    progress({ step: 'demote' });
    const done = node.changing();
    await driver.setRole(ReplRoleKind.backup, value.epoch);
    let last;
    try {
      last = Number((await driver.status()).lastSequence);
      progress({ step: 'flush', last });
      await link.reached('applied', last, signal);
      await link.reached('durable', last, signal);
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
