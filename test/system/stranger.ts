// A program of an ordinary user, on the machine of a primary: tries all there is at the REPL driver's device, and says on stdout what came
// of it (JSON, one object). Arguments: the host's endpoint, how many handles of others to try, the access rights to ask for.
import { connectHost } from '../../native/addon/ts/host-link.js';
import { loadNative } from '../../native/addon/ts/index.js';
import { describeStatus } from '../../userland/common/ntstatus.js';
import { ReplIoctl } from '../../userland/repl/codec.js';

const [endpoint = '', handles = '0', ...accesses] = process.argv.slice(2);
const native = loadNative();
if (native.kind !== 'host') throw new Error('this is for the driver host');
const link = await connectHost(native, endpoint);
const { wire } = link;
const count = (list: string[], status: number): void => {
  const { name } = describeStatus(status);
  if (!list.includes(name)) list.push(name);
};

const opened: string[] = [];
for (const access of accesses) {
  for (const path of ['\\\\.\\NtsRepl', '\\Device\\NtsRepl']) {
    const { status } = await link.request(wire.open, path, {
      arg0: Number(access),
      payload: path,
    });
    count(opened, status);
  }
}
const asked: string[] = [];
for (const code of Object.values(ReplIoctl)) {
  for (let handle = 0; handle < Number(handles); handle++) {
    const { status } = await link.request(wire.ioctl, 'ioctl', {
      handle,
      arg0: code,
      arg1: 4096,
      payload: Buffer.alloc(64),
    });
    count(asked, status);
  }
}
link.close();
process.stdout.write(JSON.stringify({ uid: process.getuid?.(), opened, asked }));
