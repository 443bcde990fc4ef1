// A second LAN on the cables of the first: frames with 802.1Q tags.
import { vlan } from './addresses.js';
import { builtFile } from './built.js';
import type { Namespace } from './namespace.js';
import { LabError } from './process.js';

/** Gives a machine an interface of the second LAN, on top of one that it has. Returns its name. */
export async function addVlanInterface(machine: Namespace, device: string): Promise<string> {
  const name = `${device}.${vlan.id}`;
  const { child } = await machine.spawn(
    builtFile('bin/lab-vlan'),
    [device, String(vlan.id), name],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', () => resolve());
    child.once('exit', (code) => reject(new LabError(`lab-vlan ended with ${code}`)));
  });
  machine.ip(`link set ${name} up`);
  return name;
}
