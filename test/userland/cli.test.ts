/** The command line where no host is needed: help, usage errors, exit statuses, streams. */
import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { packageRoot } from '../../userland/common/paths.js';
import { commands } from '../../userland/cli/commands.js';
import { duration } from '../../userland/cli/oneip-text.js';
import { styleFor, table } from '../../userland/cli/style.js';

// Each command is a process; while others use the machine, many take a while.
t.setTimeout(180_000);

const main = path.join(packageRoot(), 'dist/userland/cli/main.js');

function ntswift(...words: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [main, ...words], {
    encoding: 'utf8',
    env: {
      ...process.env,
      NTSWIFT_HOST: '/no-such-folder/host.sock',
      NTSWIFT_STATE: '/nonexistent',
    },
  });
}

t.test('every command has help with examples', (t) => {
  for (const { words: called, examples, options } of commands) {
    const { status, stdout, stderr } = ntswift(...called, '--help');
    t.equal(status, 0);
    t.equal(stderr, '');
    t.ok(examples.length > 0);
    const words = stdout.replace(/\s+/g, ' ');
    for (const [line] of examples)
      t.ok(words.includes(line.split(' ').slice(0, 3).join(' ')), line);
    for (const name of [...Object.keys(options), 'host', 'json', 'yes'])
      t.match(stdout, `--${name}`);
    const longest = Math.max(...stdout.split('\n').map((line) => line.length));
    t.ok(longest <= 100, `${called.join(' ')}: ${longest} columns`);
  }
  t.match(
    ntswift('--help').stdout,
    /driver +Install.*oneip +One address.*node +Show.*Exit status: 0/s,
  );
  t.match(ntswift('--version'), { status: 0, stdout: /^\d+\.\d+\.\d+\n$/ });
  t.end();
});

t.test('wrong command lines', (t) => {
  const lines: [string, RegExp][] = [
    ['', /ntswift COMMAND/],
    ['oneip', /ntswift oneip COMMAND/],
    ['bogus', /bogus/],
    ['oneip bogus', /bogus/],
    ['oneip aply x', /Did you mean apply/],
    ['oneip show extra', /extra/],
    ['oneip show --bogus', /bogus/],
    ['oneip apply', /missing/],
    ['oneip veto maybe', /"on", "off"/],
    ['driver install x --image exe', /"elf", "pe"/],
    ['oneip watch --count 1.5', /count takes a whole number/],
    ['oneip watch --after now', /sequence number/],
    ['oneip watch --after 1 --after 2', /after is given twice/],
    ['oneip lookup nobody 10.0.0.1', /nobody is no IPv4 or IPv6 address/],
    ['oneip lookup 10.0.0.2 10.0.0.1 --port 70000', /70000 is no port/],
    ['oneip lookup 10.0.0.2 10.0.0.1 --protocol icmp --port 1', /icmp has no ports/],
    ['oneip show --with-key', /--export/],
    ['oneip set', /missing/],
    ['oneip drain a b', /b/],
    ['oneip drain --timeout 5', /--timeout goes with --wait/],
    ['oneip drain --wait --timeout 0', /seconds from 1/],
    ['oneip flows --client 10.0.0.0/33', /32 bits at most/],
    ['oneip flows --client 10.0.0', /10\.0\.0 is no IPv4 or IPv6 address/],
    ['oneip flows --client fd00::/129', /128 bits at most/],
    ['oneip flows --address nobody', /nobody is no IPv4/],
    ['oneip flows --port 65536', /65536 is no port/],
    ['oneip flows --client-port 0', /1 to 65535/],
    ['oneip flows --protocol icmp', /"tcp", "udp"/],
    ['oneip flows --state open', /"established"/],
    ['oneip flows --limit -1', /--limit takes a number from 0/],
    ['oneip flows --limit 5 --count', /--limit and --count do not go together/],
    ['oneip flows --export x --import y', /--export and --import do not go together/],
    ['oneip flows --import y --port 80', /filter when exporting/],
    ['oneip top --interval 0', /seconds, from 0.1 to 3600/],
    ['oneip top --interval soon', /seconds, from/],
    ['oneip top --count 0', /from 1/],
  ];
  for (const [line, message] of lines) {
    const { status, stdout, stderr } = ntswift(...line.split(' ').filter(Boolean));
    t.equal(status, 2, line);
    t.equal(stdout, '', line);
    t.match(stderr, message, line);
  }
  t.end();
});

t.test('no host', (t) => {
  const lines = [
    'node',
    'driver list',
    'oneip members',
    'oneip promote',
    'oneip rules',
    'oneip flows',
  ];
  for (const words of lines.map((line) => line.split(' '))) {
    t.match(ntswift(...words), {
      status: 4,
      stdout: '',
      stderr: /^ntswift: no driver host answers at \/no-such-folder\/host\.sock/,
    });
  }
  const { status, stdout, stderr } = ntswift('oneip', 'stats', '--json', '--host', '/other.sock');
  t.equal(status, 4);
  t.equal(stdout, '');
  t.match(JSON.parse(stderr), {
    error: { code: 'NTS_ERR_HOST_UNREACHABLE', message: /\/other\.sock/ },
  });
  t.end();
});

t.test('harm wants a confirmation', (t) => {
  t.match(ntswift('oneip', 'clear'), { status: 7, stdout: '', stderr: /not confirmed.*--yes/ });
  t.match(ntswift('oneip', 'clear', '--yes'), { status: /[^7]/ });
  t.end();
});

t.test('a cluster file that is wrong', (t) => {
  const file = path.join(t.testdir({}), 'cluster.yaml');
  writeFileSync(file, 'clusterId: x\ngeneration: 0\naddresses: []\nmembers: []\nbeacon: {ms: 0}\n');
  const { status, stdout, stderr } = ntswift('oneip', 'apply', file);
  t.equal(status, 6);
  t.equal(stdout, '');
  const lines = stderr.trimEnd().split('\n');
  t.equal(lines.shift(), 'ntswift:');
  t.same(
    lines.map((line) => line.slice(file.length).split(':', 3).join(':')),
    [':1:12', ':2:13', ':3:12', ':4:10', ':5:14'],
  );
  const json = JSON.parse(ntswift('oneip', 'apply', file, '--json').stderr) as object;
  t.match(json, {
    error: {
      code: 'NTS_ERR_CLUSTER_FILE',
      file,
      problems: [{ line: 1, column: 12 }, {}, {}, {}, {}],
    },
  });
  t.end();
});

t.test('a cluster file in order', (t) => {
  const file = path.join(t.testdir({}), 'cluster.yaml');
  writeFileSync(
    file,
    'clusterId: 00112233445566778899aabbccddeeff\ngeneration: 3\naddresses: [10.77.0.100]\n' +
      'members: [{id: 1, mac: 02:00:00:00:00:01, ipv4: 10.77.0.1}]\nbeacon: {key: 00112233445566778899aabbccddeeff}\n',
  );
  chmodSync(file, 0o600);
  t.match(ntswift('oneip', 'apply', file, '--check'), {
    status: 0,
    stdout: `${file}: in order (generation 3)\n`,
    stderr: '',
  });
  t.match(ntswift('oneip', 'apply', file, '--node', 'other'), {
    status: 6,
    stderr: /no member is called "other"; the members are node1/,
  });
  t.end();
});

t.test('completion', (t) => {
  const script = ntswift('completion');
  t.equal(script.status, 0);
  t.match(script.stdout, /complete .* ntswift/);
  const offered = ntswift('--get-yargs-completions', 'ntswift', 'oneip', '');
  t.match(offered.stdout, /apply.*promote.*set.*rules.*drain.*undrain.*flows.*top.*watch/s);
  t.end();
});

t.test('text for people', (t) => {
  const plain = styleFor(process.stdout, false);
  t.equal(
    table(
      ['NAME', 'COUNT'],
      [
        ['a', '1'],
        ['longer', '22'],
      ],
      plain,
    ),
    ['NAME    COUNT', 'a           1', 'longer     22'].join('\n'),
  );
  const colour = styleFor(process.stdout, true);
  const coloured = table(['NAME', 'X'], [[colour.green('up'), 'y']], colour);
  t.match(coloured, '\u001b[32mup\u001b[39m    y', 'colour takes no room');
  const durations: [number, string][] = [
    [12, '12 ms'],
    [1500, '1.5 s'],
    [61_000, '1 min 1 s'],
    [3_700_000, '1 h 1 min'],
  ];
  for (const [ms, text] of durations) t.equal(duration(BigInt(ms)), text);
  t.notMatch(ntswift('--help').stdout, '\u001b', 'no colour into a pipe');
  t.end();
});
