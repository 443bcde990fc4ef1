/** Every reason of the driver becomes a sentence, with the line of the file that is at fault. */
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { ntsError } from '../../userland/common/errors.js';
import { type ClusterFile, readClusterFile } from '../../userland/oneip/cluster-file.js';
import { OneIpIoctl, OneIpReason } from '../../userland/oneip/codec.js';
import { explainRefusal, refusalOf, refusedError } from '../../userland/oneip/refusal.js';

async function clusterFile(t: Test): Promise<ClusterFile> {
  const file = path.join(t.testdir({}), 'cluster.yaml');
  writeFileSync(
    file,
    [
      'clusterId: 00112233445566778899aabbccddeeff',
      'generation: 7',
      'addresses:',
      '  - 10.77.0.100',
      '  - 10.77.0.101',
      'members:',
      '  - {id: 1, name: alpha, mac: 02:00:00:00:00:01, ipv4: 10.77.0.1}',
      '  - id: 2',
      '    name: beta',
      '    rank: 5',
      '    weight: 3',
      '    mac: 02:00:00:00:00:02',
      '    ipv4: 10.77.0.2',
      'rules:',
      '  ports:',
      '    - {ports: 80, protocol: tcp}',
      '    - {ports: 25, single: beta}',
      'flows:',
      '  udpIdle: 3',
      '  capacity: 4096',
      'beacon:',
      '  ms: 20',
      '  key: 00112233445566778899aabbccddeeff',
    ].join('\n'),
  );
  chmodSync(file, 0o600);
  return readClusterFile(file);
}

t.test('with the file, by line', async (t) => {
  const cluster = await clusterFile(t);
  const expected: [OneIpReason, number, string, RegExp][] = [
    [OneIpReason.generation, 0, '2:13', /generation 7 is not above 9, .* set it to 10 or more/],
    [OneIpReason.beaconKey, 0, '23:8', /openssl rand/],
    [OneIpReason.beaconInterval, 0, '22:7', /1 to 1000 ms/],
    [OneIpReason.silence, 0, '22:3', /2 to 100 beacons/],
    [OneIpReason.address, 1, '5:5', /cluster address 10\.77\.0\.101 is not a unicast/],
    [OneIpReason.addressTwice, 0, '4:5', /cluster address 10\.77\.0\.100 is listed twice/],
    [OneIpReason.nodeId, 1, '8:9', /member "beta" \(id 2\): its id 2 is reserved or taken/],
    [OneIpReason.rank, 1, '10:11', /member "beta" \(id 2\): its rank 5/],
    [OneIpReason.weight, 1, '11:13', /its weight 3/],
    [OneIpReason.mac, 0, '7:31', /member "alpha" \(id 1\): its MAC address 02:00:00:00:00:01/],
    [OneIpReason.memberAddress, 0, '7:5', /its own address \(10\.77\.0\.1\)/],
    [OneIpReason.noWeight, 0, '7:3', /weight 0/],
    [OneIpReason.affinity, 0, '15:3', /affinity/],
    [OneIpReason.ruleCount, 0, '16:5', /64 port rules at most/],
    [OneIpReason.rule, 0, '16:15', /port rule 1 \(tcp 80\): its protocol, ports, mode or affinity/],
    [OneIpReason.ruleOwner, 1, '17:27', /port rule 2 \(tcp\+udp 25\): node 2, .* is no member/],
    [OneIpReason.ruleOverlap, 1, '17:15', /overlap those of an earlier rule/],
    [OneIpReason.flowCapacity, 0, '20:13', /1024 to 16777216 flows/],
    [OneIpReason.idle, 0, '19:3', /1 to 604800 seconds/],
    [OneIpReason.pastTable, 9, '1:1', /slot 9 of the past table/],
  ];
  for (const [reason, index, place, message] of expected) {
    const text = explainRefusal({ reason, index }, { cluster, presentGeneration: 9n });
    t.equal(text.startsWith(`${cluster.file}:${place}: `), true, text);
    t.match(text, message);
  }
});

t.test('every reason has words, with a file and without, whatever the index', async (t) => {
  const cluster = await clusterFile(t);
  const sentences = new Set<string>();
  for (const [name, reason] of Object.entries(OneIpReason)) {
    const bare = explainRefusal({ reason, index: 0 });
    t.ok(bare.length > 15 && !bare.includes('undefined'), `${name}: ${bare}`);
    sentences.add(bare);
    for (const index of [0, 1, 63, 0xffffffff]) {
      t.notMatch(explainRefusal({ reason, index }, { cluster }), /undefined|null|NaN/, name);
    }
  }
  t.equal(sentences.size, Object.keys(OneIpReason).length, 'each its own');
  const lookup = { reason: OneIpReason.address, index: 0, ioctl: OneIpIoctl.lookup };
  t.match(explainRefusal(lookup, { cluster }), /^the second address must be one of the cluster/);
});

t.test('a refusal as an error, and back', (t) => {
  const cause = ntsError('NTS_ERR_IO', { what: 'x', why: 'y' }, { ntstatus: 0xc000000d });
  const error = refusedError(
    { ioctl: OneIpIoctl.setConfig, status: 0xc000000d, reason: OneIpReason.mac, index: 3 },
    cause,
  );
  t.match(error, { code: 'NTS_ERR_REFUSED', exitCode: 3, ntstatus: 0xc000000d, cause });
  t.match(error.toJSON(), {
    reason: 'mac',
    index: 3,
    request: 'set-config',
    ntstatus: '0xC000000D',
  });
  t.same(refusalOf(error), { reason: OneIpReason.mac, index: 3 });
  t.equal(refusalOf(cause), null);
  t.equal(refusalOf('text'), null);
  t.end();
});
