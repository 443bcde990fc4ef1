/** A device of the driver host. */
import type { Backend, Started, StartedLent } from './device.js';
import { expectReply, isFailure, openError, request } from './convert.js';
import { type HostLink, connectHost } from './host-link.js';
import type { NativeBinding } from './native.js';

export class HostDevice implements Backend {
  private constructor(
    private readonly link: HostLink,
    private readonly handle: number,
  ) {}

  /** Each device has a connection of its own: to the host, a process of its own. */
  static async open(
    native: NativeBinding & { kind: 'host' },
    endpoint: string,
    path: string,
    access: number,
  ): Promise<HostDevice> {
    const link = await connectHost(native, endpoint);
    try {
      const { wire } = link;
      const reply = await link.request(wire.open, path, { arg0: access, payload: path });
      if (isFailure(reply.status)) throw openError(reply.status, path);
      return new HostDevice(link, reply.information);
    } catch (error) {
      link.close();
      throw error;
    }
  }

  ioctl(code: number, input: Uint8Array | null, outputBytes: number, what: string): Started {
    return this.start(this.link.wire.ioctl, code, outputBytes, input, what);
  }

  lend(code: number, input: Uint8Array | null, bytes: number, what: string): StartedLent {
    const { link, handle } = this;
    const { reply, done } = expectReply(what, link.endpoint);
    const { request: tag, memory } = link.native.lend(handle, code, bytes, input, done);
    return { reply, memory, cancel: () => this.cancel(tag) };
  }

  read(offset: bigint, bytes: number, what: string): Started {
    return this.start(this.link.wire.read, bytes, 0, offsetBytes(offset), what);
  }

  write(offset: bigint, data: Uint8Array, what: string): Started {
    const payload = Buffer.concat([offsetBytes(offset), data]);
    return this.start(this.link.wire.write, 0, 0, payload, what);
  }

  async close(): Promise<void> {
    const { wire } = this.link;
    try {
      // Nothing to cancel is an answer like any other.
      await this.link.request(wire.cancel, 'cancel', { handle: this.handle });
      await this.link.request(wire.close, 'close', { handle: this.handle });
    } finally {
      this.link.close();
    }
  }

  private start(
    op: number,
    arg0: number,
    arg1: number,
    payload: Uint8Array | null,
    what: string,
  ): Started {
    const { link, handle } = this;
    let tag = 0;
    const reply = request(
      (done) => {
        tag = link.native.request(op, handle, arg0, arg1, payload, done);
      },
      what,
      link.endpoint,
    );
    return { reply, cancel: () => this.cancel(tag) };
  }

  private cancel(tag: number): void {
    const { link, handle } = this;
    // The request's own reply tells what came of it; a connection that is gone has told already.
    const ignore = (): void => undefined;
    const low = tag % 2 ** 32;
    link.native.request(link.wire.cancel, handle, low, (tag - low) / 2 ** 32, null, ignore);
  }
}

function offsetBytes(offset: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(offset);
  return bytes;
}
