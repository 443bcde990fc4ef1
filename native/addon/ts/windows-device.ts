/** A device of Windows. */
import type { Backend, Started, StartedLent } from './device.js';
import { expectReply, isFailure, openError, request } from './convert.js';
import type { NativeBinding, NativeDone, NativeWindowsDevice } from './native.js';

const SYSTEM = 'Windows';

export class WindowsDevice implements Backend {
  private constructor(private readonly native: NativeWindowsDevice) {}

  static async open(
    native: NativeBinding & { kind: 'windows' },
    path: string,
    access: number,
  ): Promise<WindowsDevice> {
    const device = new native.WindowsDevice();
    const reply = await request((done) => device.open(path, access, done), path, SYSTEM);
    if (isFailure(reply.status)) throw openError(reply.status, path);
    return new WindowsDevice(device);
  }

  ioctl(code: number, input: Uint8Array | null, outputBytes: number, what: string): Started {
    return this.start((done) => this.native.ioctl(code, input, outputBytes, done), what);
  }

  lend(code: number, input: Uint8Array | null, bytes: number, what: string): StartedLent {
    const { reply, done } = expectReply(what, SYSTEM);
    const { request: id, memory } = this.native.lend(code, input, bytes, done);
    return { reply, memory, cancel: () => this.native.cancel(id) };
  }

  read(offset: bigint, bytes: number, what: string): Started {
    return this.start((done) => this.native.read(offset, bytes, done), what);
  }

  write(offset: bigint, data: Uint8Array, what: string): Started {
    return this.start((done) => this.native.write(offset, data, done), what);
  }

  async close(): Promise<void> {
    await request((done) => this.native.close(done), 'close', SYSTEM);
  }

  private start(begin: (done: NativeDone) => number, what: string): Started {
    let id = 0;
    const reply = request(
      (done) => {
        id = begin(done);
      },
      what,
      SYSTEM,
    );
    return { reply, cancel: () => this.native.cancel(id) };
  }
}
