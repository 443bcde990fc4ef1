/** The codecs of the ONE-IP contract: bytes as the C compiler makes them, round trips, refusals. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import type { Struct } from '../../userland/common/struct.js';
import { constantName } from '../../userland/common/struct.js';
import * as codec from '../../userland/oneip/codec.js';
import {
  CONFIGURATION_LIMIT,
  type Configuration,
  DEFAULT_FLOWS,
  decodeConfiguration,
  encodeConfiguration,
} from '../../userland/oneip/configuration.js';
import { decodeStored } from '../../userland/oneip/stored-configuration.js';
import { compiler, contractPrelude } from './c-compiler.js';

const bytes = (count: number, first: number): Uint8Array =>
  Uint8Array.from({ length: count }, (_, i) => (first + i) & 0xff);

const address = (family: codec.OneIpFamily, ...head: number[]): codec.OneIpAddress => {
  const address = new Uint8Array(16);
  address.set(head);
  return { family, address };
};

const member: codec.OneIpMember = {
  nodeId: 0xfffffffe,
  rank: 2,
  weight: 1000,
  mac: bytes(6, 2),
  ipv4: Uint8Array.of(10, 77, 0, 1),
  ipv6: bytes(16, 0xf0),
};

const event: codec.OneIpEvent = {
  sequence: 0xffff_ffff_ffff_fffen,
  systemTime: 133_000_000_000_000_000n,
  kind: codec.OneIpEventKind.memberDown,
  node: 3,
  value: 31n,
  epoch: { counter: 7n, nodeId: 2 },
  address: address(codec.OneIpFamily.ipv6, 0xfd, 0x77),
  mac: bytes(6, 0x10),
};

const lookup: codec.OneIpLookup = {
  client: address(codec.OneIpFamily.ipv4, 192, 0, 2, 7),
  cluster: address(codec.OneIpFamily.ipv4, 10, 77, 0, 100),
  protocol: 6,
  clientPort: 0xc001,
  clusterPort: 80,
};

const rule: codec.OneIpRule = {
  protocol: 6,
  firstPort: 0x0102,
  lastPort: 0xfffe,
  mode: codec.OneIpRuleMode.single,
  affinity: 0,
  owner: 0xfffffffe,
};

const flow: codec.OneIpFlow = {
  client: bytes(16, 0x20),
  cluster: bytes(16, 0x40),
  clientPort: 0xc001,
  clusterPort: 80,
  family: codec.OneIpFamily.ipv6,
  protocol: 17,
  state: codec.OneIpFlowState.closing,
  nodeId: 3,
  idleMs: 0xfffffff0,
};

const query: codec.OneIpFlowQuery = {
  cursor: 0x1_0000_0002n,
  client: address(codec.OneIpFamily.ipv4, 192, 0, 2),
  cluster: address(codec.OneIpFamily.ipv4, 10, 77, 0, 100),
  clientPrefix: 24,
  protocol: 6,
  clientPort: 1,
  clusterPort: 443,
  nodeId: 2,
  state: codec.OneIpFlowState.established,
};

const counts: codec.OneIpFlowCounts = {
  memberCount: 2,
  ruleCount: 3,
  capacity: 1024n,
  bytes: 70656n,
  all: { opening: 1n, established: 1n << 40n, closing: 3n },
};

const ruleStatus: codec.OneIpRuleStatus = {
  rule,
  nodeId: 2,
  frames: 4n,
  bytes: 5n,
  flows: 6n,
  dropped: 7n,
};

const header: codec.OneIpConfig = {
  version: codec.ONEIP_CONTRACT_VERSION,
  size: 128,
  generation: 0x1_0000_0001n,
  clusterId: bytes(16, 1),
  hashKey: bytes(16, 0x20),
  beaconKey: bytes(16, 0x40),
  localNode: 1,
  beaconMilliseconds: 10,
  silenceBeacons: 3,
  announceSeconds: 60,
  affinity: codec.OneIpAffinity.fiveTuple,
  dispatch: codec.OneIpDispatch.table,
  addressCount: 1,
  memberCount: 2,
  tableSlots: 65537,
  pastSlots: 65537,
  ruleCount: 3,
  flowCapacity: 1024,
  tcpIdleSeconds: 7440,
  udpIdleSeconds: 300,
  openingSeconds: 30,
  closingSeconds: 60,
};

/** The same values in C. */
const golden = String.raw`
#include <stdio.h>
#define PUT(...) do { __VA_ARGS__; fwrite(&v, sizeof v, 1, stdout); } while (0)
#define SIXTEEN(n) {n,n+1,n+2,n+3,n+4,n+5,n+6,n+7,n+8,n+9,n+10,n+11,n+12,n+13,n+14,n+15}
#define RULE { .Protocol = 6, .FirstPort = 0x0102, .LastPort = 0xfffe, .Mode = OneIpRuleSingle, .Owner = 0xfffffffe }
int main(void) {
    PUT(ONEIP_MEMBER v = { .NodeId = 0xfffffffe, .Rank = 2, .Weight = 1000, .Mac = {2,3,4,5,6,7},
        .Ipv4 = {10,77,0,1}, .Ipv6 = {0xf0,0xf1,0xf2,0xf3,0xf4,0xf5,0xf6,0xf7,0xf8,0xf9,0xfa,0xfb,0xfc,0xfd,0xfe,0xff} });
    PUT(ONEIP_EVENT v = { .Sequence = 0xfffffffffffffffe, .SystemTime = 133000000000000000, .Kind = OneIpEventMemberDown,
        .Node = 3, .Value = 31, .Epoch = { .Counter = 7, .NodeId = 2 },
        .Address = { .Family = OneIpFamilyIpv6, .Address = {0xfd, 0x77} }, .Mac = {0x10,0x11,0x12,0x13,0x14,0x15} });
    PUT(ONEIP_LOOKUP v = { .Client = { .Family = OneIpFamilyIpv4, .Address = {192,0,2,7} },
        .Cluster = { .Family = OneIpFamilyIpv4, .Address = {10,77,0,100} }, .Protocol = 6,
        .ClientPort = __builtin_bswap16(0xc001), .ClusterPort = __builtin_bswap16(80) });
    PUT(ONEIP_CONFIG v = { .Version = ONEIP_CONTRACT_VERSION, .Size = 128, .Generation = 0x100000001,
        .ClusterId = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16},
        .HashKey = {0x20,0x21,0x22,0x23,0x24,0x25,0x26,0x27,0x28,0x29,0x2a,0x2b,0x2c,0x2d,0x2e,0x2f},
        .BeaconKey = {0x40,0x41,0x42,0x43,0x44,0x45,0x46,0x47,0x48,0x49,0x4a,0x4b,0x4c,0x4d,0x4e,0x4f},
        .LocalNode = 1, .BeaconMilliseconds = 10, .SilenceBeacons = 3, .AnnounceSeconds = 60,
        .Affinity = OneIpAffinityFiveTuple, .Dispatch = OneIpDispatchTable,
        .AddressCount = 1, .MemberCount = 2, .TableSlots = ONEIP_TABLE_SLOTS,
        .PastSlots = ONEIP_TABLE_SLOTS, .RuleCount = 3, .FlowCapacity = ONEIP_MIN_FLOWS, .TcpIdleSeconds = 7440,
        .UdpIdleSeconds = 300, .OpeningSeconds = 30, .ClosingSeconds = 60 });
    PUT(ONEIP_RULE v = RULE);
    PUT(ONEIP_FLOW v = { .Client = SIXTEEN(0x20), .Cluster = SIXTEEN(0x40), .ClientPort = __builtin_bswap16(0xc001),
        .ClusterPort = __builtin_bswap16(80), .Family = OneIpFamilyIpv6, .Protocol = 17, .State = OneIpFlowClosing,
        .NodeId = 3, .IdleMs = 0xfffffff0 });
    PUT(ONEIP_FLOW_QUERY v = { .Cursor = 0x100000002, .Client = { .Family = OneIpFamilyIpv4, .Address = {192,0,2} },
        .Cluster = { .Family = OneIpFamilyIpv4, .Address = {10,77,0,100} }, .ClientPrefix = 24, .Protocol = 6,
        .ClientPort = __builtin_bswap16(1), .ClusterPort = __builtin_bswap16(443), .NodeId = 2,
        .State = OneIpFlowEstablished });
    PUT(ONEIP_FLOW_PAGE v = { .Cursor = 0x200000001, .Count = 9 });
    PUT(ONEIP_FLOW_IMPORT v = { .Version = ONEIP_CONTRACT_VERSION, .Count = 4 });
    PUT(ONEIP_FLOW_IMPORTED v = { .Imported = 1, .Unknown = 2, .NoRoom = 3 });
    PUT(ONEIP_FLOW_COUNTS v = { .MemberCount = 2, .RuleCount = 3, .Capacity = 1024, .Bytes = 70656,
        .All = { .Opening = 1, .Established = 1ull << 40, .Closing = 3 } });
    PUT(ONEIP_RULE_STATUS v = { .Rule = RULE, .NodeId = 2, .Frames = 4, .Bytes = 5, .Flows = 6, .Dropped = 7 });
    PUT(ONEIP_DRAIN v = { .Drain = 1 });
    PUT(ONEIP_LOOKUP_RESULT v = { .NodeId = 1, .Slot = 2, .Rule = 3, .Flow = 4 });
    return 0;
}`;

t.test("golden bytes: the C compiler's", { skip: compiler ? false : 'no clang here' }, (t) => {
  const folder = t.testdir({});
  const source = path.join(folder, 'golden.c');
  const program = path.join(folder, 'golden');
  writeFileSync(source, `${contractPrelude('kernel/include/ntswift/oneip.h')}\n${golden}`);
  execFileSync(compiler!, ['-std=c17', '-fshort-wchar', '-o', program, source]);
  const written = execFileSync(program);
  const ours = Buffer.concat([
    codec.OneIpMember.encode(member),
    codec.OneIpEvent.encode(event),
    codec.OneIpLookup.encode(lookup),
    codec.OneIpConfig.encode(header),
    codec.OneIpRule.encode(rule),
    codec.OneIpFlow.encode(flow),
    codec.OneIpFlowQuery.encode(query),
    codec.OneIpFlowPage.encode({ cursor: 0x2_0000_0001n, count: 9 }),
    codec.OneIpFlowImport.encode({ version: codec.ONEIP_CONTRACT_VERSION, count: 4 }),
    codec.OneIpFlowImported.encode({ imported: 1, unknown: 2, noRoom: 3 }),
    codec.OneIpFlowCounts.encode(counts),
    codec.OneIpRuleStatus.encode(ruleStatus),
    codec.OneIpDrain.encode({ drain: 1 }),
    codec.OneIpLookupResult.encode({ nodeId: 1, slot: 2, rule: 3, flow: 4 }),
  ]);
  t.equal(ours.toString('hex'), written.toString('hex'));
  t.end();
});

const samples: [Struct<unknown>, unknown][] = [
  [codec.OneIpMember, member],
  [codec.OneIpEvent, event],
  [codec.OneIpLookup, lookup],
  [codec.OneIpConfig, header],
  [codec.OneIpRule, rule],
  [codec.OneIpFlow, flow],
  [codec.OneIpFlowQuery, query],
  [codec.OneIpFlowCounts, counts],
  [codec.OneIpRuleStatus, ruleStatus],
];

t.test('round trips', (t) => {
  for (const [type, value] of samples) {
    t.same(type.decode(type.encode(value)), value, type.name);
    t.same(type.decodeArray(type.encodeArray([value, value, value])), [value, value, value]);
  }
  t.same(codec.OneIpEvent.decodeArray(Buffer.alloc(0)), []);
  t.end();
});

t.test('decoding reads views into larger buffers', (t) => {
  const room = Buffer.alloc(200, 0xee);
  codec.OneIpMember.encode(member).copy(room, 77);
  t.same(codec.OneIpMember.decode(room.subarray(77, 117)), member);
  t.end();
});

t.test('what was decoded is not touched by what happens to the bytes', (t) => {
  const encoded = codec.OneIpMember.encode(member);
  const decoded = codec.OneIpMember.decode(encoded);
  encoded.fill(0);
  t.same(decoded, member);
  t.end();
});

t.test('wrong lengths are refused', (t) => {
  for (const [type, value] of samples) {
    const encoded = type.encode(value);
    const message = { code: 'NTS_ERR_CODEC', message: new RegExp(`${type.name}.* bytes`) };
    t.throws(() => type.decode(encoded.subarray(1)), message);
    t.throws(() => type.decode(Buffer.concat([encoded, Buffer.alloc(1)])), message);
    t.throws(() => type.decode(Buffer.alloc(0)), message);
    t.throws(() => type.decodeArray(encoded.subarray(1)), message);
  }
  t.end();
});

t.test('every Reserved byte must be zero', (t) => {
  const structs = Object.values(codec).filter(
    (value): value is Struct<unknown> & typeof value =>
      typeof value === 'object' && 'decode' in value && 'encode' in value,
  );
  t.ok(structs.length >= 24);
  const reserved: Record<string, number[]> = {
    ONEIP_VERSION: [20, 21, 22, 23],
    ONEIP_ADDRESS: [4, 5, 6, 7],
    ONEIP_MEMBER: [18, 19],
    ONEIP_RULE: [20, 21, 22, 23],
    ONEIP_MEMBER_STATUS: [44, 45, 46, 47],
    ONEIP_DRAIN: [4, 5, 6, 7],
    ONEIP_FLOW_QUERY: [12, 13, 14, 15, 36, 37, 38, 39, 76, 77, 78, 79],
    ONEIP_FLOW_PAGE: [12, 13, 14, 15],
    ONEIP_FLOW_IMPORTED: [12, 13, 14, 15],
    ONEIP_RULE_STATUS: [20, 21, 22, 23, 28, 29, 30, 31],
    ONEIP_EPOCH: [12, 13, 14, 15],
    ONEIP_EVENT: [44, 45, 46, 47, 52, 53, 54, 55, 78, 79],
    ONEIP_VETO: [4, 5, 6, 7],
    ONEIP_STATUS: [28, 29, 30, 31],
    ONEIP_LOOKUP: [4, 5, 6, 7, 28, 29, 30, 31],
  };
  for (const type of structs) {
    const refused: number[] = [];
    for (let i = 0; i < type.size; i++) {
      const encoded = Buffer.alloc(type.size);
      encoded[i] = 1;
      try {
        type.decode(encoded);
      } catch (error) {
        if (String(error).includes('reserved and not zero')) refused.push(i);
      }
    }
    t.same(refused, reserved[type.name] ?? [], type.name);
  }
  t.end();
});

t.test('values that do not fit are refused', (t) => {
  const refuse = (value: Partial<codec.OneIpMember>, message: RegExp): void => {
    t.throws(() => codec.OneIpMember.encode({ ...member, ...value }), {
      code: 'NTS_ERR_CODEC',
      message,
    });
  };
  refuse({ nodeId: -1 }, /ONEIP_MEMBER\.nodeId: -1 does not fit in 32 bits/);
  refuse({ nodeId: 2 ** 32 }, /does not fit/);
  refuse({ nodeId: 1.5 }, /does not fit/);
  refuse({ mac: bytes(5, 0) }, /ONEIP_MEMBER\.mac: 5 bytes, not 6/);
  t.throws(() => codec.OneIpEvent.encode({ ...event, value: -1n }), /64 bits/);
  t.throws(() => codec.OneIpEvent.encode({ ...event, value: 1n << 64n }), /64 bits/);
  t.throws(() => codec.OneIpLookup.encode({ ...lookup, clientPort: 65536 }), /16 bits/);
  t.throws(
    () => codec.OneIpStats.encode({ ...codec.OneIpStats.decode(Buffer.alloc(320)), drops: [1n] }),
    /1 elements, not 16/,
  );
  t.end();
});

t.test('enums are closed; zero is nothing where an enum has no zero', (t) => {
  const encoded = codec.OneIpEvent.encode(event);
  encoded.writeUInt32LE(99, 16);
  t.throws(() => codec.OneIpEvent.decode(encoded), {
    code: 'NTS_ERR_CODEC',
    message: /ONEIP_EVENT\.kind: 99 is none of .*memberDown/,
  });
  t.equal(codec.OneIpEvent.decode(Buffer.alloc(80)).address.family, 0);
  t.equal(constantName(codec.OneIpEventKind, codec.OneIpEventKind.memberDown), 'member-down');
  t.equal(constantName(codec.OneIpEventKind, 77), '77');
  t.end();
});

const configuration = (table: Uint8Array | null, past: Uint8Array | null = null): Configuration => {
  const { version, size, addressCount, memberCount, ruleCount, tableSlots, pastSlots, ...rest } =
    header;
  t.ok(version + size + addressCount + memberCount + ruleCount + tableSlots + pastSlots);
  return {
    ...rest,
    addresses: [address(codec.OneIpFamily.ipv4, 10, 77, 0, 100)],
    members: [
      { ...member, nodeId: 1, rank: 0 },
      { ...member, nodeId: 2, rank: 1 },
    ],
    rules: [rule, { ...rule, protocol: 17, mode: codec.OneIpRuleMode.blocked, owner: 0 }],
    table,
    past,
  };
};

t.test('a configuration with its arrays', (t) => {
  const plain = configuration(null);
  const encoded = encodeConfiguration(plain);
  const arrays = 24 + 2 * 40 + 2 * 24;
  t.equal(encoded.length, 128 + arrays);
  t.equal(encoded.readUInt32LE(4), encoded.length);
  t.same(decodeConfiguration(encoded), plain);

  const table = Uint8Array.from({ length: codec.ONEIP_TABLE_SLOTS }, (_, i) => i % 2);
  const past = Uint8Array.from({ length: codec.ONEIP_TABLE_SLOTS }, (_, i) => (i % 3 ? 1 : 0xff));
  const tabled = encodeConfiguration(configuration(table));
  t.equal(tabled.length, 128 + arrays + 65544);
  t.same(decodeConfiguration(tabled), configuration(table));
  const both = encodeConfiguration(configuration(table, past));
  t.equal(both.length, 128 + arrays + 2 * 65544);
  t.ok(both.length <= CONFIGURATION_LIMIT);
  t.same(decodeConfiguration(both), configuration(table, past));

  const codecError = { code: 'NTS_ERR_CODEC' };
  t.throws(() => encodeConfiguration(configuration(new Uint8Array(5))), codecError);
  t.throws(() => encodeConfiguration(configuration(table, new Uint8Array(5))), codecError);
  t.throws(() => encodeConfiguration(configuration(null, past)), codecError);
  t.end();
});

t.test('a configuration whose parts contradict each other is refused', (t) => {
  const encoded = encodeConfiguration(configuration(null));
  const with32 = (offset: number, value: number): Buffer => {
    const copy = Buffer.from(encoded);
    copy.writeUInt32LE(value, offset);
    return copy;
  };
  const refused: [Buffer, RegExp][] = [
    [encoded.subarray(0, 50), /too few/],
    [encoded.subarray(0, -1), /its counts make 280/],
    [Buffer.concat([encoded, Buffer.alloc(8)]), /its counts make 280/],
    [with32(0, 3), /version 3/],
    [with32(4, 200), /of which it claims 200/],
    [with32(88, 2), /its counts make 304/],
    [with32(92, 1), /its counts make 240/],
    [with32(92, 0xffffffff), /its counts make/],
    [with32(96, 5), /5 slots/],
    [with32(100, 5), /5 slots of the past/],
    [with32(100, codec.ONEIP_TABLE_SLOTS), /65537 slots of the past/],
    [with32(104, 1), /its counts make 256/],
  ];
  for (const [bytes, message] of refused) {
    t.throws(() => decodeConfiguration(bytes), { code: 'NTS_ERR_CODEC', message });
  }
  const slots = new Uint8Array(codec.ONEIP_TABLE_SLOTS);
  for (const fromEnd of [1, 65544 + 1]) {
    const tabled = encodeConfiguration(configuration(slots, slots));
    tabled[tabled.length - fromEnd] = 1;
    t.throws(() => decodeConfiguration(tabled), /padding/);
  }
  t.end();
});

/** As release 0.1 stored it: the header of contract 1, written by its offsets. */
function version1(table: Uint8Array | null): Buffer {
  const { addresses, members } = configuration(null);
  const head = Buffer.alloc(104);
  const arrays = Buffer.concat([
    codec.OneIpAddress.encodeArray(addresses),
    codec.OneIpMember.encodeArray(members),
    ...(table ? [Buffer.concat([table], 65544)] : []),
  ]);
  head.writeUInt32LE(1, 0);
  head.writeUInt32LE(head.length + arrays.length, 4);
  head.writeBigUInt64LE(header.generation, 8);
  head.set(header.clusterId, 16);
  head.set(header.hashKey, 32);
  head.set(header.beaconKey, 48);
  [1, 10, 3, 60, 2, 1, 1, 2, table?.length ?? 0].forEach((value, i) =>
    head.writeUInt32LE(value, 64 + 4 * i),
  );
  return Buffer.concat([head, arrays]);
}

t.test('a configuration that was stored by an earlier release', (t) => {
  const expected = { ...configuration(null), ...DEFAULT_FLOWS, rules: [] };
  t.same(decodeStored(version1(null)), expected);
  const table = Uint8Array.from({ length: codec.ONEIP_TABLE_SLOTS }, (_, i) => i % 2);
  t.same(decodeStored(version1(table)), { ...expected, table });
  t.same(decodeStored(encodeConfiguration(configuration(table))), configuration(table), 'or ours');

  const foreign = version1(null);
  foreign.writeUInt32LE(9, 0);
  const cut = version1(null).subarray(0, -1);
  for (const stored of [foreign, cut, Buffer.alloc(3)]) {
    t.throws(() => decodeStored(stored), {
      code: 'NTS_ERR_CONTRACT',
      message: /ntswift oneip apply FILE/,
    });
  }
  t.end();
});
