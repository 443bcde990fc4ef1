/**
 * Windows' own tools: netcfg and pnputil install, sc starts and stops.
 *
 * None of this has run on Windows yet.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { messageOf, ntsError } from '../common/errors.js';
import { type InfFacts, infFacts } from './inf-facts.js';
import type { Adapter, InfError, Service, ServiceManager } from './services.js';

const run = promisify(execFile);

const ERROR_ACCESS_DENIED = 5;
const ERROR_SERVICE_DOES_NOT_EXIST = 1060;

/** Where Windows keeps the INF files of drivers, under names of its own (oem12.inf). */
const infFolder = path.join(process.env.SystemRoot ?? 'C:\\Windows', 'INF');

export class WindowsServices implements ServiceManager {
  readonly description = { system: 'Windows', release: os.release() };

  /** Windows checks an INF when it installs it. */
  check(): Promise<InfError[]> {
    return Promise.resolve([]);
  }

  async install(inf: string): Promise<string> {
    const facts = await readFacts(inf);
    if (facts.networkService) {
      await tool('netcfg', ['-v', '-l', inf, '-c', 's', '-i', facts.component ?? '']);
    } else {
      await tool('pnputil', ['/add-driver', inf, '/install']);
    }
    return facts.service;
  }

  async uninstall(service: string): Promise<void> {
    const inf = await this.published(service);
    const facts = await readFacts(inf);
    if (facts.networkService) await tool('netcfg', ['-v', '-u', facts.component ?? '']);
    await tool('pnputil', ['/delete-driver', path.basename(inf), '/uninstall']);
  }

  async start(service: string): Promise<void> {
    await tool('sc', ['start', service]);
  }

  async stop(service: string): Promise<void> {
    await tool('sc', ['stop', service]);
  }

  async list(service: string | null): Promise<Service[]> {
    const services: Service[] = [];
    for (const { facts, inf } of await this.ours()) {
      if (service !== null && facts.service.toLowerCase() !== service.toLowerCase()) continue;
      const query = await tool('sc', ['query', facts.service]).catch((error: unknown) => {
        if (exitOf(error) === ERROR_SERVICE_DOES_NOT_EXIST) return null;
        throw error;
      });
      if (query === null) continue;
      const config = await tool('sc', ['qc', facts.service]);
      services.push({
        service: facts.service,
        displayName: facts.displayName,
        // The number, since the word beside it is in the language of the system. 4: running.
        state: /^\s*\S+\s*:\s*4\s/m.test(query.split(/\r?\n/).slice(3, 4).join(''))
          ? 'running'
          : 'stopped',
        start: /START_TYPE\s*:\s*\d+\s+(\S+)/.exec(config)?.[1]?.toLowerCase() ?? 'unknown',
        class: facts.class,
        version: facts.version,
        inf,
        image: /BINARY_PATH_NAME\s*:\s*(.*)/.exec(config)?.[1]?.trim() ?? '',
        filter: null,
      });
    }
    return services;
  }

  adapters(): Promise<Adapter[]> {
    const adapters = Object.entries(os.networkInterfaces()).flatMap(([name, addresses]) => {
      const [first] = (addresses ?? []).filter(({ internal }) => !internal);
      return first ? [{ name, mac: first.mac, addresses: addresses?.map(({ cidr }) => cidr) }] : [];
    });
    return Promise.resolve(adapters);
  }

  close(): void {
    // Nothing is kept open.
  }

  private async published(service: string): Promise<string> {
    const found = (await this.ours()).find(
      ({ facts }) => facts.service.toLowerCase() === service.toLowerCase(),
    );
    if (found) return found.inf;
    throw ntsError('NTS_ERR_SERVICE', { what: `${service}: no such driver is installed` });
  }

  /** The published INF files whose provider is ntswift. */
  private async ours(): Promise<{ inf: string; facts: InfFacts }[]> {
    const { readdir } = await import('node:fs/promises');
    const names = (await readdir(infFolder)).filter((name) => /^oem\d+\.inf$/i.test(name));
    const found = [];
    for (const name of names) {
      const inf = path.join(infFolder, name);
      const facts = await readFacts(inf).catch(() => null);
      if (facts?.provider === 'ntswift') found.push({ inf, facts });
    }
    return found;
  }
}

async function readFacts(inf: string): Promise<InfFacts> {
  const bytes = await readFile(inf).catch((error: unknown) => {
    throw ntsError('NTS_ERR_FILE_READ', { file: inf, why: messageOf(error) }, { cause: error });
  });
  const utf16 = bytes[0] === 0xff && bytes[1] === 0xfe;
  const facts = infFacts(bytes.toString(utf16 ? 'utf16le' : 'utf8'));
  if (facts) return facts;
  throw ntsError('NTS_ERR_INF', { what: `${inf}: it names no service or no component` });
}

function exitOf(error: unknown): number | null {
  const { code } = ((error as Error).cause ?? error) as { code?: unknown };
  return typeof code === 'number' ? code : null;
}

async function tool(name: string, parameters: string[]): Promise<string> {
  try {
    const { stdout } = await run(name, parameters, { windowsHide: true });
    return stdout;
  } catch (cause) {
    const { stdout = '', stderr = '' } = cause as { stdout?: string; stderr?: string };
    const what = [name, ...parameters].join(' ');
    if (exitOf(cause) === ERROR_ACCESS_DENIED) {
      throw ntsError('NTS_ERR_ACCESS_DENIED', { what }, { cause });
    }
    const why = `${stdout}${stderr}`.trim() || messageOf(cause);
    throw ntsError('NTS_ERR_SERVICE', { what: `${what}: ${why}` }, { cause });
  }
}
