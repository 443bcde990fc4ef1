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
  decodeConfiguration,
  encodeConfiguration,
} from '../../userland/oneip/configuration.js';
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

const header: codec.OneIpConfig = {
  version: codec.ONEIP_CONTRACT_VERSION,
  size: 104,
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
};

/** The same values in C. */
const golden = String.raw`
#include <stdio.h>
#define PUT(...) do { __VA_ARGS__; fwrite(&v, sizeof v, 1, stdout); } while (0)
int main(void) {
    PUT(ONEIP_MEMBER v = { .NodeId = 0xfffffffe, .Rank = 2, .Weight = 1000, .Mac = {2,3,4,5,6,7},
        .Ipv4 = {10,77,0,1}, .Ipv6 = {0xf0,0xf1,0xf2,0xf3,0xf4,0xf5,0xf6,0xf7,0xf8,0xf9,0xfa,0xfb,0xfc,0xfd,0xfe,0xff} });
    PUT(ONEIP_EVENT v = { .Sequence = 0xfffffffffffffffe, .SystemTime = 133000000000000000, .Kind = OneIpEventMemberDown,
        .Node = 3, .Value = 31, .Epoch = { .Counter = 7, .NodeId = 2 },
        .Address = { .Family = OneIpFamilyIpv6, .Address = {0xfd, 0x77} }, .Mac = {0x10,0x11,0x12,0x13,0x14,0x15} });
    PUT(ONEIP_LOOKUP v = { .Client = { .Family = OneIpFamilyIpv4, .Address = {192,0,2,7} },
        .Cluster = { .Family = OneIpFamilyIpv4, .Address = {10,77,0,100} }, .Protocol = 6,
        .ClientPort = __builtin_bswap16(0xc001), .ClusterPort = __builtin_bswap16(80) });
    PUT(ONEIP_CONFIG v = { .Version = ONEIP_CONTRACT_VERSION, .Size = 104, .Generation = 0x100000001,
        .ClusterId = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16},
        .HashKey = {0x20,0x21,0x22,0x23,0x24,0x25,0x26,0x27,0x28,0x29,0x2a,0x2b,0x2c,0x2d,0x2e,0x2f},
        .BeaconKey = {0x40,0x41,0x42,0x43,0x44,0x45,0x46,0x47,0x48,0x49,0x4a,0x4b,0x4c,0x4d,0x4e,0x4f},
        .LocalNode = 1, .BeaconMilliseconds = 10, .SilenceBeacons = 3, .AnnounceSeconds = 60,
        .Affinity = OneIpAffinityFiveTuple, .Dispatch = OneIpDispatchTable,
        .AddressCount = 1, .MemberCount = 2, .TableSlots = ONEIP_TABLE_SLOTS });
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
  ]);
  t.equal(ours.toString('hex'), written.toString('hex'));
  t.end();
});

const samples: [Struct<unknown>, unknown][] = [
  [codec.OneIpMember, member],
  [codec.OneIpEvent, event],
  [codec.OneIpLookup, lookup],
  [codec.OneIpConfig, header],
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
  t.ok(structs.length >= 14);
  const reserved: Record<string, number[]> = {
    ONEIP_VERSION: [20, 21, 22, 23],
    ONEIP_ADDRESS: [4, 5, 6, 7],
    ONEIP_MEMBER: [18, 19],
    ONEIP_CONFIG: [100, 101, 102, 103],
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
    () => codec.OneIpStats.encode({ ...codec.OneIpStats.decode(Buffer.alloc(248)), drops: [1n] }),
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

const configuration = (table: Uint8Array | null): Configuration => {
  const { version, size, addressCount, memberCount, tableSlots, ...rest } = header;
  t.ok(version + size + addressCount + memberCount + tableSlots);
  return {
    ...rest,
    addresses: [address(codec.OneIpFamily.ipv4, 10, 77, 0, 100)],
    members: [
      { ...member, nodeId: 1, rank: 0 },
      { ...member, nodeId: 2, rank: 1 },
    ],
    table,
  };
};

t.test('a configuration with its arrays', (t) => {
  const plain = configuration(null);
  const encoded = encodeConfiguration(plain);
  t.equal(encoded.length, 104 + 24 + 2 * 40);
  t.equal(encoded.readUInt32LE(4), encoded.length);
  t.same(decodeConfiguration(encoded), plain);

  const table = Uint8Array.from({ length: codec.ONEIP_TABLE_SLOTS }, (_, i) => i % 2);
  const tabled = encodeConfiguration(configuration(table));
  t.equal(tabled.length % 8, 0);
  t.equal(tabled.length, 104 + 24 + 80 + 65544);
  t.ok(tabled.length <= CONFIGURATION_LIMIT);
  t.same(decodeConfiguration(tabled).table, table);
  t.throws(() => encodeConfiguration(configuration(new Uint8Array(5))), { code: 'NTS_ERR_CODEC' });
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
    [encoded.subarray(0, -1), /its counts make 208/],
    [Buffer.concat([encoded, Buffer.alloc(8)]), /its counts make 208/],
    [with32(0, 2), /version 2/],
    [with32(4, 200), /of which it claims 200/],
    [with32(88, 2), /its counts make 232/],
    [with32(92, 1), /its counts make 168/],
    [with32(92, 0xffffffff), /its counts make/],
    [with32(96, 5), /5 slots/],
  ];
  for (const [bytes, message] of refused) {
    t.throws(() => decodeConfiguration(bytes), { code: 'NTS_ERR_CODEC', message });
  }
  const tabled = encodeConfiguration(configuration(new Uint8Array(codec.ONEIP_TABLE_SLOTS)));
  tabled[tabled.length - 1] = 1;
  t.throws(() => decodeConfiguration(tabled), /padding/);
  t.end();
});
