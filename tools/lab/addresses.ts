// Who has which address in a lab.
//
// The nodes and the client's own interface share one LAN. The client's thousand addresses are beyond it: to the servers, the client
// machine is the router to them, as a router is to real clients, so that a server keeps one neighbour entry and not a thousand.

export interface Pair {
  ipv4: string;
  ipv6: string;
}

export const cluster: Pair = { ipv4: '10.77.0.100', ipv6: 'fd77::100' };
export const router: Pair = { ipv4: '10.77.0.1', ipv6: 'fd77::1' };
export const lan = { ipv4Bits: 16, ipv6Bits: 64 };
export const clientNets: Pair = { ipv4: '10.78.0.0/16', ipv6: 'fd78::/64' };

/** Where nobody lives, among the clients: what a flood pretends to come from (syn.c). */
export const nobody: Pair = { ipv4: '10.78.128.0/17', ipv6: 'fd78::8000:0:0/96' };

export function node(index: number): Pair {
  return { ipv4: `10.77.0.${10 + index}`, ipv6: `fd77::${10 + index}` };
}

export function nodeMac(index: number): string {
  return `02:77:00:00:00:${index.toString(16).padStart(2, '0')}`;
}

export const routerMac = '02:77:00:00:ff:01';

/** The address of the n-th of many clients, from 0. */
export function client(n: number): Pair {
  const high = 1 + Math.floor(n / 250);
  const low = 1 + (n % 250);
  return { ipv4: `10.78.${high}.${low}`, ipv6: `fd78::${high.toString(16)}:${low.toString(16)}` };
}

/** The n-th of those that are further away: behind another hop, whose ends have addresses of their own. */
export function farClient(n: number): Pair {
  return { ipv4: `10.78.200.${1 + n}`, ipv6: `fd78::c8:${(1 + n).toString(16)}` };
}

export const farNets: Pair = { ipv4: '10.78.200.0/24', ipv6: 'fd78::c8:0/112' };
export const hop = {
  near: { ipv4: '10.76.0.1', ipv6: 'fd76::1' },
  far: { ipv4: '10.76.0.2', ipv6: 'fd76::2' },
  ipv4Bits: 30,
  ipv6Bits: 64,
};

/** A second LAN, by 802.1Q tags on the cables of the first. */
export const vlan = {
  id: 7,
  cluster: { ipv4: '10.79.0.100', ipv6: 'fd7a::100' },
  ipv4Bits: 16,
  ipv6Bits: 64,
  node: (index: number): Pair => ({ ipv4: `10.79.0.${10 + index}`, ipv6: `fd7a::${10 + index}` }),
  client: (n: number): Pair => ({
    ipv4: `10.79.1.${1 + n}`,
    ipv6: `fd7a::1:${(1 + n).toString(16)}`,
  }),
};
