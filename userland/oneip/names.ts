/** How nodes and addresses are called in what people read. */
import { formatIpv4, formatIpv6 } from '../common/address.js';
import { type OneIpAddress, OneIpFamily } from './codec.js';

/** Names of the members by node id, as the cluster file has them; the driver knows the ids alone. */
export type Names = ReadonlyMap<number, string>;

export const noNames: Names = new Map();

export function nodeName(id: number, names: Names = noNames): string {
  return names.get(id) ?? `node${id}`;
}

export interface NodeRef {
  readonly id: number;
  readonly name: string;
}

/** 0 is nobody. */
export function nodeRef(id: number, names: Names = noNames): NodeRef | null {
  return id === 0 ? null : { id, name: nodeName(id, names) };
}

export function addressText({ family, address }: OneIpAddress): string | null {
  switch (family) {
    case OneIpFamily.ipv4:
      return formatIpv4(address);
    case OneIpFamily.ipv6:
      return formatIpv6(address);
    case 0:
      return null;
  }
}
