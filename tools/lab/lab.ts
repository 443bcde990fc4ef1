// A lab: a switch, a client machine and some nodes, made together and ended together.
//
// Its folder holds what outlives a machine: logs, driver stores, registries. All else ends with this process, in whatever way it ends.
import { mkdirSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Client } from './client.js';
import { serveControl, type Verbs } from './control.js';
import { labsFolder, removeStale } from './labs.js';
import { Namespace } from './namespace.js';
import { Node } from './node.js';
import { LabError } from './process.js';
import { Switch } from './switch.js';

export interface LabOptions {
  /** How many machines that serve. */
  nodes: number;
  /** How many client addresses. */
  clients: number;
}

export class Lab {
  lan!: Switch;
  client!: Client;
  readonly nodes: Node[] = [];
  /** What `npm run lab` can ask of it, besides `exec` and `stop`. */
  readonly verbs: Verbs = {};
  private closing: Promise<void> | undefined;

  private constructor(
    readonly id: string,
    readonly folder: string,
  ) {}

  static async create({ nodes, clients }: LabOptions): Promise<Lab> {
    await removeStale();
    const id = process.pid.toString(36) + Date.now().toString(36).slice(-4);
    const folder = path.join(labsFolder(), id);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (statSync(labsFolder()).uid !== process.getuid?.()) {
      throw new LabError(`${labsFolder()} belongs to someone else; remove it`);
    }
    const lab = new Lab(id, folder);
    lab.closeOnSignals();
    try {
      await serveControl(folder, lab.verbs, (machine) => lab.machine(machine));
      lab.lan = await Switch.create('switch');
      lab.client = await Client.create(lab.lan, clients);
      for (let index = 1; index <= nodes; index += 1) {
        const name = `node${index}`;
        lab.nodes.push(new Node(name, index, lab.lan, path.join(folder, name)));
      }
      return lab;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  private closeOnSignals(): void {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => {
        void this.close().then(() => process.exit(128 + os.constants.signals[signal]));
      });
    }
  }

  node(name: string): Node {
    const node = this.nodes.find((one) => one.name === name);
    if (!node) {
      const names = this.nodes.map((one) => one.name).join(', ');
      throw new LabError(`there is no ${name}; there are client, switch, ${names}`);
    }
    return node;
  }

  private machine(name: string): Namespace {
    if (name === 'client') return this.client.namespace;
    if (name === 'switch') return this.lan.namespace;
    return this.node(name).namespace;
  }

  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.end()));
    await (this.client as Client | undefined)?.close();
    await (this.lan as Switch | undefined)?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
