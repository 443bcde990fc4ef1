/** REPL in the process of a node: the primary's side, the backups that it keeps for others, and its control. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { isNtsError, messageOf, ntsError } from '../common/errors.js';
import type { Channel } from '../node/channel.js';
import { readMessage, writeMessage } from '../node/message.js';
import type { Service, ServiceContext } from '../node/service.js';
import { setAside } from './aside.js';
import { Backup, backupPaths } from './backup.js';
import { Repl, type ReplDriver } from './client.js';
import { ConfigFile, DEFAULT_KEEP_BYTES, type Hosted } from './config.js';
import { runControl } from './control.js';
import { overlaps } from './overlap.js';
import { Primary } from './primary.js';
import { rejoin, stepDown } from './takeover.js';
import { type Push, REPL_MESSAGE_LIMIT, REPL_SERVICE, askSchema, plainWords } from './protocol.js';

export interface ReplServiceOptions {
  /** Socket of the driver host. */
  readonly endpoint?: string | null;
  readonly openDriver?: () => Promise<ReplDriver>;
  /** Milliseconds before a driver that is gone is looked for again. */
  readonly pause?: number;
}

/** What the commands work on. */
export interface ReplNode {
  readonly context: ServiceContext;
  readonly config: ConfigFile;
  readonly backups: ReadonlyMap<string, Backup>;
  /** null: this node has no set of its own. */
  readonly primary: Primary | null;
  /** Starts the primary's side, if it does not run. */
  startPrimary(): Promise<Primary>;
  stopPrimary(): Promise<void>;
  host(hosted: Hosted): Promise<Backup>;
  unhost(stream: string): Promise<void>;
  /** Roles are changing until the returned function is called: streams are told to come again. */
  changing(): () => void;
}

export class ReplService implements Service, ReplNode {
  readonly name = REPL_SERVICE;
  readonly backups = new Map<string, Backup>();
  primary: Primary | null = null;
  private context_: ServiceContext | null = null;
  private config_: ConfigFile | null = null;
  private changes = 0;
  private steppingDown: Promise<void> | null = null;
  private rejoining: NodeJS.Timeout | null = null;

  constructor(private readonly options: ReplServiceOptions = {}) {}

  get context(): ServiceContext {
    if (!this.context_) throw ntsError('NTS_ERR_INTERNAL', { what: `${this.name} does not run` });
    return this.context_;
  }

  get config(): ConfigFile {
    if (!this.config_) throw ntsError('NTS_ERR_INTERNAL', { what: `${this.name} does not run` });
    return this.config_;
  }

  async start(context: ServiceContext): Promise<void> {
    this.context_ = context;
    this.config_ = await ConfigFile.open(context.local.folder.state);
    // Its driver knows this process as one that may write into the tree before anything is replayed.
    if (this.config.value.sets.length > 0) await this.startPrimary();
    for (const hosted of this.config.value.hosted) {
      try {
        this.open(hosted);
      } catch (error) {
        // One that is damaged does not stop the others; its primary is told why.
        context.log.error({ err: error, folder: hosted.folder }, 'a backup cannot be opened');
      }
    }
    void this.rejoin();
  }

  changing(): () => void {
    this.changes += 1;
    return () => (this.changes -= 1);
  }

  /** Until the node that is primary now has this one as a backup. */
  private async rejoin(): Promise<void> {
    if (this.rejoining) clearTimeout(this.rejoining);
    this.rejoining = null;
    if (await rejoin(this)) return;
    this.rejoining = setTimeout(() => void this.rejoin(), this.options.pause ?? 1000);
  }

  private async fenced(peer: string): Promise<void> {
    // A switchover says itself what this node becomes.
    if (this.changes > 0) return;
    this.steppingDown ??= stepDown(this, peer)
      .then(() => this.rejoin())
      .catch((error: unknown) => this.context.log.warn({ peer, err: error }, 'not stepped down'))
      .finally(() => (this.steppingDown = null));
    await this.steppingDown;
  }

  async stop(): Promise<void> {
    if (this.rejoining) clearTimeout(this.rejoining);
    await this.stopPrimary();
    await Promise.all([...this.backups.values()].map((backup) => backup.close()));
    this.backups.clear();
  }

  async startPrimary(): Promise<Primary> {
    if (this.primary) return this.primary;
    const { endpoint = null, openDriver = () => Repl.open({ endpoint }), pause } = this.options;
    const { context, config } = this;
    const primary = new Primary({
      config: () => config.value,
      openDriver,
      connect: (node, signal) => context.connect(node, { signal }),
      log: context.log,
      ...(pause === undefined ? {} : { pause }),
    });
    this.primary = primary;
    primary.on('fenced', (peer) => void this.fenced(peer));
    await primary.start();
    return primary;
  }

  async stopPrimary(): Promise<void> {
    const { primary } = this;
    this.primary = null;
    await primary?.stop();
  }

  private open(hosted: Hosted): Backup {
    const { stream, epoch, handedOver } = this.config.value;
    const paths = backupPaths(hosted.folder);
    if (hosted.stream === stream && !existsSync(path.join(paths.state, 'map.db'))) {
      // What is there was this node's as primary.
      const names = hosted.sets.map(({ name }) => name);
      setAside(paths, epoch, names, handedOver === epoch);
    }
    const backup = Backup.open(hosted, this.context.log);
    this.backups.set(hosted.stream, backup);
    return backup;
  }

  async host(hosted: Hosted): Promise<Backup> {
    const others = this.config.value.hosted.filter(({ stream }) => stream !== hosted.stream);
    const inside = others.find(({ folder }) => overlaps(folder, hosted.folder));
    if (inside) {
      const what = `${hosted.folder} overlaps ${inside.folder}, which keeps what ${inside.primary} replicates; choose another folder`;
      throw ntsError('NTS_ERR_REFUSED', { what });
    }
    await this.config.update({ hosted: [...others, hosted] });
    const present = this.backups.get(hosted.stream);
    if (!present) return this.open(hosted);
    present.setHosted(hosted);
    return present;
  }

  async unhost(stream: string): Promise<void> {
    const hosted = this.config.value.hosted.filter((one) => one.stream !== stream);
    await this.config.update({ hosted });
    const backup = this.backups.get(stream);
    this.backups.delete(stream);
    await backup?.close();
  }

  async handle(channel: Channel): Promise<void> {
    const ask = await readMessage(channel.stream, askSchema, REPL_MESSAGE_LIMIT);
    if (ask.ask === 'control') {
      await runControl(this, channel, ask);
      return;
    }
    try {
      const backup = await this.backupFor(ask, channel.peer.name);
      await backup.receive(channel, ask);
    } catch (error) {
      const { log } = this.context;
      const peer = channel.peer.name;
      if (channel.stream.destroyed)
        log.info({ peer, why: messageOf(error) }, 'the primary is gone');
      else {
        log.warn({ peer, err: error }, 'the stream was refused');
        const refused = isNtsError(error) ? error.code : 'NTS_ERR_INTERNAL';
        await writeMessage(channel.stream, { refused, why: plainWords(messageOf(error)) });
        channel.stream.end();
      }
    }
  }

  /** A stream of which this node is, or was, primary. */
  private async checkOwn(push: Push, peer: string): Promise<void> {
    if (this.changes > 0) throw ntsError('NTS_ERR_REFUSED', { what: 'roles are changing here' });
    const { stream, role, epoch } = this.config.value;
    if (push.stream !== stream || role === 'none') return;
    if (push.epoch < epoch || (push.epoch === epoch && role === 'primary')) {
      const what = `epoch ${push.epoch} has ended: ${epoch} is on`;
      throw ntsError('NTS_ERR_REPL_EPOCH', { what });
    }
    if (role !== 'primary') return;
    await this.fenced(peer);
    if (this.config.value.role === 'primary') {
      throw ntsError('NTS_ERR_REFUSED', { what: 'this node is primary' });
    }
  }

  private async backupFor(push: Push, peer: string): Promise<Backup> {
    if (!path.isAbsolute(push.folder)) {
      throw ntsError('NTS_ERR_USAGE', { what: `${push.folder} is no absolute path` });
    }
    await this.checkOwn(push, peer);
    const known = this.config.value.hosted.find(({ stream }) => stream === push.stream);
    const backup = this.backups.get(push.stream);
    if (known && known.primary !== peer && backup && push.epoch <= backup.log.epoch) {
      throw ntsError('NTS_ERR_REPL_EPOCH', {
        what: `the stream is ${known.primary}'s in epoch ${backup.log.epoch}`,
      });
    }
    if (known && known.folder !== push.folder) {
      const what = `the stream is kept in ${known.folder}, not in ${push.folder}`;
      throw ntsError('NTS_ERR_REFUSED', { what });
    }
    const wanted: Hosted = {
      stream: push.stream,
      primary: peer,
      folder: push.folder,
      sets: push.sets,
      keepBytes: known?.keepBytes ?? DEFAULT_KEEP_BYTES,
    };
    if (backup && JSON.stringify(known) === JSON.stringify(wanted)) return backup;
    return this.host(wanted);
  }
}
