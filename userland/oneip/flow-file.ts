/**
 * Flows in a file: what one node knows, for another, or for the same after a restart.
 *
 * Lines of JSON. The first says what the file is, each that follows is a flow, the last tells their number and the
 * SHA-256 of all bytes before it, so that a file that was cut or changed is noticed. It is written atomically and read
 * as a whole before anything is done with it.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { z } from 'zod';
import { parseIpv4, parseIpv6 } from '../common/address.js';
import { writeAtomically } from '../common/atomic-file.js';
import { isNtsError, messageOf, ntsError } from '../common/errors.js';
import { pathText } from '../common/yaml.js';
import { FLOWS_PER_REQUEST } from './client.js';
import { ONEIP_MAX_FLOWS, OneIpFamily, OneIpFlow, OneIpFlowState } from './codec.js';
import { FlowProtocol, flowView } from './flow-view.js';
import { noNames } from './names.js';

const FORMAT = 'ntswift-flows';
const VERSION = 1;

export interface FlowFileHeader {
  /** 32 hexadecimal digits. Node ids mean something within one cluster only. */
  readonly clusterId: string;
  /** Who wrote it. */
  readonly node: number;
  /** ISO 8601 */
  readonly time: string;
}

export interface FlowFile {
  readonly header: FlowFileHeader;
  readonly count: number;
  /** The flows, so many at a time as one request takes. */
  batches(): Generator<OneIpFlow[], void, void>;
}

/** The first flow of a file stands in this line. */
export const FIRST_FLOW_LINE = 2;

// Writing

/** Returns the number of flows. `onProgress` hears it as it grows. */
export async function writeFlowFile(
  file: string,
  header: FlowFileHeader,
  pages: AsyncIterable<readonly OneIpFlow[]>,
  onProgress: (flows: number) => void = () => undefined,
): Promise<number> {
  return writeAtomically(file, async (handle) => {
    const hash = createHash('sha256');
    const put = async (text: string): Promise<void> => {
      hash.update(text);
      await append(handle, file, text);
    };
    let flows = 0;
    await put(`${JSON.stringify({ format: FORMAT, version: VERSION, ...header })}\n`);
    for await (const page of pages) {
      await put(page.map((flow) => `${JSON.stringify(written(flow))}\n`).join(''));
      flows += page.length;
      onProgress(flows);
    }
    await append(handle, file, `${JSON.stringify({ flows, sha256: hash.digest('hex') })}\n`);
    return flows;
  });
}

async function append(handle: FileHandle, file: string, text: string): Promise<void> {
  try {
    await handle.writeFile(text);
  } catch (error) {
    throw ntsError('NTS_ERR_FILE_WRITE', { file, why: messageOf(error) }, { cause: error });
  }
}

/** By its server's id: names are a node's own. */
function written(flow: OneIpFlow): Record<string, unknown> {
  return { ...flowView(flow, noNames), node: flow.nodeId };
}

// Reading

const port = z.int('a port').min(0, 'a port').max(0xffff, 'a port');
const node = z
  .int('the id of a node')
  .min(1, 'the id of a node')
  .max(0xfffffffe, 'the id of a node');
const address = z.string('an address').transform((text, context) => {
  const v4 = parseIpv4(text);
  const bytes = v4 ?? parseIpv6(text);
  if (bytes) {
    const address = new Uint8Array(16);
    address.set(bytes);
    return { family: v4 ? OneIpFamily.ipv4 : OneIpFamily.ipv6, address };
  }
  context.issues.push({ code: 'custom', input: text, message: 'an IPv4 or IPv6 address' });
  return z.NEVER;
});

const headerSchema = z.strictObject({
  format: z.literal(FORMAT, FORMAT),
  version: z.literal(VERSION, `version ${VERSION}, which this program reads`),
  clusterId: z.string('a cluster id').regex(/^[0-9a-f]{32}$/, 'a cluster id'),
  node,
  time: z.string('a time'),
});

const flowSchema = z.strictObject({
  client: address,
  clientPort: port,
  cluster: address,
  clusterPort: port,
  protocol: z.enum(['tcp', 'udp'], 'tcp or udp'),
  state: z.enum(['opening', 'established', 'closing'], 'opening, established or closing'),
  node,
  idleMs: z
    .int('a number of milliseconds')
    .min(0, 'a number of milliseconds')
    .max(0xffffffff, 'a number of milliseconds'),
});

const trailerSchema = z.strictObject({
  flows: z.int('a number').min(0, 'a number').max(ONEIP_MAX_FLOWS, `at most ${ONEIP_MAX_FLOWS}`),
  sha256: z.string('a SHA-256').regex(/^[0-9a-f]{64}$/, 'a SHA-256'),
});

/**
 * The whole file, found in order. `refuse` says what is wrong with a flow beyond its form, null for nothing.
 * `onProgress` hears the number of flows read so far.
 */
export async function readFlowFile(
  file: string,
  refuse: (flow: OneIpFlow) => string | null = () => null,
  onProgress: (flows: number) => void = () => undefined,
): Promise<FlowFile> {
  const handle = await open(file, 'r').catch((error: unknown) => {
    throw ntsError('NTS_ERR_FILE_READ', { file, why: messageOf(error) }, { cause: error });
  });
  try {
    const reader = new Reader(file, refuse, onProgress);
    for await (const text of handle.readLines({ encoding: 'utf8' })) reader.line(text);
    return reader.end();
  } catch (error) {
    if (isNtsError(error)) throw error;
    throw ntsError('NTS_ERR_FILE_READ', { file, why: messageOf(error) }, { cause: error });
  } finally {
    await handle.close();
  }
}

class Reader {
  private readonly hash = createHash('sha256');
  private header: FlowFileHeader | null = null;
  /** Encoded, since a million objects are far more than their bytes. */
  private readonly full: Buffer[] = [];
  private batch: OneIpFlow[] = [];
  private count = 0;
  private lines = 0;
  private ended = false;

  constructor(
    private readonly file: string,
    private readonly refuse: (flow: OneIpFlow) => string | null,
    private readonly onProgress: (flows: number) => void,
  ) {}

  line(text: string): void {
    this.lines++;
    if (this.ended) this.bad('this comes after the line that ends the file');
    const value = this.json(text);
    if (!this.header) {
      const { clusterId, node, time } = this.parse(headerSchema, value);
      this.header = { clusterId, node, time };
    } else if (typeof value === 'object' && value !== null && 'sha256' in value) {
      this.trailer(this.parse(trailerSchema, value));
    } else {
      this.flow(this.parse(flowSchema, value));
    }
    this.hash.update(text).update('\n');
  }

  end(): FlowFile {
    const { header, full, count } = this;
    if (!header || !this.ended) {
      this.bad('the file ends too early: its last line, with the number of flows, is missing');
    }
    return {
      header,
      count,
      *batches() {
        for (const bytes of full) yield OneIpFlow.decodeArray(bytes);
      },
    };
  }

  private flow(value: z.output<typeof flowSchema>): void {
    const { client, cluster, protocol, state, node: nodeId, ...rest } = value;
    if (client.family !== cluster.family) this.bad('client and cluster are not of one family');
    const flow: OneIpFlow = {
      ...rest,
      client: client.address,
      cluster: cluster.address,
      family: client.family,
      protocol: FlowProtocol[protocol],
      state: OneIpFlowState[state],
      nodeId,
    };
    const wrong = this.refuse(flow);
    if (wrong !== null) this.bad(wrong);
    if (++this.count > ONEIP_MAX_FLOWS) this.bad(`more than ${ONEIP_MAX_FLOWS} flows`);
    this.batch.push(flow);
    if (this.batch.length === FLOWS_PER_REQUEST) this.flush();
  }

  private flush(): void {
    if (this.batch.length > 0) this.full.push(OneIpFlow.encodeArray(this.batch));
    this.batch = [];
    this.onProgress(this.count);
  }

  private trailer({ flows, sha256 }: z.output<typeof trailerSchema>): void {
    if (flows !== this.count) this.bad(`${flows} flows were written, but ${this.count} are here`);
    if (this.hash.copy().digest('hex') !== sha256) {
      this.bad('the file was changed after it was written: its SHA-256 is another');
    }
    this.flush();
    this.ended = true;
  }

  private json(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch {
      return this.bad(
        this.header
          ? 'this is no JSON'
          : 'this is no file of flows, as "oneip flows --export" writes it',
      );
    }
  }

  private parse<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
    const result = schema.safeParse(value);
    if (result.success) return result.data;
    const [issue] = result.error.issues;
    const where = pathText(issue?.path ?? []);
    return this.bad(
      issue?.code === 'unrecognized_keys'
        ? `${issue.keys.join(', ')} is not known here`
        : `${where || 'this'} is not ${where ? (issue?.message ?? '') : 'a flow'}`,
    );
  }

  private bad(what: string): never {
    throw ntsError('NTS_ERR_FLOW_FILE', {
      what: `${this.file}:${Math.max(this.lines, 1)}: ${what}. Nothing was changed`,
    });
  }
}
