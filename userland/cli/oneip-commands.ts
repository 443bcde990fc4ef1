/** The commands of ntswift oneip. */
import { SETTABLE } from '../oneip/settable.js';
import { type Command, command } from './command.js';

const oneip = () => import('./oneip.js');

export const oneipCommands: readonly Command[] = [
  command('oneip apply', {
    summary: 'Bring a cluster file into force on this node, and keep it over restarts',
    positionals: {
      file: { type: 'string', describe: 'The cluster file (docs/cluster-file.md)', required: true },
    },
    options: {
      node: {
        type: 'string',
        describe: 'Name or id of this node; default: the member with a MAC address of this machine',
        placeholder: 'NODE',
      },
      check: { type: 'boolean', describe: 'Check the file only; change nothing' },
    },
    examples: [
      ['oneip apply cluster.yaml', 'Run it on each node, with the same file'],
      ['oneip apply cluster.yaml --check', 'Is the file in order?'],
    ],
    handler: async () => (await oneip()).apply,
  }),
  command('oneip show', {
    aliases: ['status'],
    summary: 'Show the role of this node, and the configuration in force',
    options: {
      export: { type: 'boolean', describe: 'Write a cluster file with the table in force' },
      'with-key': { type: 'boolean', describe: 'With --export: include the beacon key' },
    },
    examples: [
      ['oneip show', 'Role, dispatcher, members'],
      [
        'oneip show --export --with-key > cluster.yaml',
        'A file for a new node (umask 077 first: it holds the key)',
      ],
    ],
    handler: async () => (await oneip()).show,
  }),
  command('oneip members', {
    summary: 'List the members: alive, slots of the table, frames',
    examples: [['oneip members', 'One line for each member']],
    handler: async () => (await oneip()).members,
  }),
  command('oneip promote', {
    summary: 'Make this node the dispatcher, now: run on the new node, it hands the role over',
    examples: [['oneip promote', 'Before maintenance of the present dispatcher; no frame is lost']],
    handler: async () => (await oneip()).promote,
  }),
  command('oneip veto', {
    summary: 'Forbid this node to be dispatcher, or allow it again',
    positionals: {
      state: { type: 'string', describe: 'on forbids', choices: ['on', 'off'], required: true },
    },
    examples: [
      ['oneip veto on', 'Resign if dispatcher, and do not take over'],
      ['oneip veto off', 'Lift it'],
    ],
    handler: async () => (await oneip()).veto,
  }),
  command('oneip set', {
    summary: 'Change values of the configuration in force, on this node',
    positionals: {
      change: {
        type: 'string',
        describe: `KEY=VALUE. Keys: ${SETTABLE.join(', ')}`,
        required: true,
        several: true,
      },
    },
    options: {
      check: { type: 'boolean', describe: 'Show what would change; change nothing' },
    },
    examples: [
      ['oneip set weight.node2=3', 'Run the same on every node: all get the same configuration'],
      ['oneip set beacon.ms=5 beacon.silence=4 --check', 'What would that change?'],
    ],
    handler: async () => (await import('./oneip-set.js')).set,
  }),
  command('oneip rules', {
    summary: 'List the port rules: who serves, frames, flows, dropped frames',
    examples: [['oneip rules', 'One line for each rule; the last is what no rule names']],
    handler: async () => (await oneip()).rules,
  }),
  command('oneip drain', {
    summary: 'Let this node serve no new clients; those that it has go on. Kept over restarts',
    positionals: {
      node: { type: 'string', describe: 'This node, by name or id; another must be drained there' },
    },
    options: {
      wait: {
        type: 'boolean',
        describe:
          'Wait until none of its flows is opening or established; Ctrl-C leaves it draining',
      },
      timeout: { type: 'number', describe: 'With --wait: not longer', placeholder: 'SECONDS' },
    },
    examples: [
      ['oneip drain', 'From now on; tells how many flows are left'],
      ['oneip drain --wait --timeout 600', 'Before maintenance: 0 when nobody is served here'],
    ],
    handler: async () => (await import('./oneip-drain.js')).drain,
  }),
  command('oneip undrain', {
    summary: 'Let this node serve new clients again',
    positionals: {
      node: { type: 'string', describe: 'This node, by name or id' },
    },
    examples: [['oneip undrain', 'After maintenance']],
    handler: async () => (await import('./oneip-drain.js')).undrain,
  }),
  command('oneip flows', {
    summary: 'List or count the flows that this node knows; write them to a file, or read them',
    options: {
      client: { type: 'string', describe: 'Of these clients', placeholder: 'ADDRESS[/BITS]' },
      address: { type: 'string', describe: 'To this cluster address', placeholder: 'ADDRESS' },
      protocol: { type: 'string', describe: 'Of this protocol', choices: ['tcp', 'udp'] },
      'client-port': { type: 'number', describe: 'From this port', placeholder: 'PORT' },
      port: { type: 'number', describe: 'To this port', placeholder: 'PORT' },
      node: { type: 'string', describe: 'Served by this member', placeholder: 'NODE' },
      state: {
        type: 'string',
        describe: 'In this state',
        choices: ['opening', 'established', 'closing'],
      },
      limit: {
        type: 'number',
        describe: 'So many at most; 0: all; default: 1000',
        placeholder: 'N',
      },
      count: { type: 'boolean', describe: 'Count them only' },
      export: { type: 'string', describe: 'Write them to this file', placeholder: 'FILE' },
      import: {
        type: 'string',
        describe: 'Take over all flows of this file, which is checked first',
        placeholder: 'FILE',
      },
    },
    examples: [
      ['oneip flows --client 192.0.2.0/24 --port 443', 'Who serves them?'],
      ['oneip flows --node node2 --state established --count', 'How many does node2 serve?'],
      ['oneip flows --export flows.json', 'Then on another node: oneip flows --import flows.json'],
    ],
    handler: async () => (await import('./oneip-flows.js')).flows,
  }),
  command('oneip top', {
    summary: 'Show what happens now: rates by member and rule, flows, drops; until Ctrl-C',
    options: {
      interval: {
        type: 'string',
        describe: 'Between two looks',
        default: '1',
        placeholder: 'SECONDS',
      },
      count: { type: 'number', describe: 'End after so many', placeholder: 'N' },
    },
    examples: [
      ['oneip top', 'On a terminal'],
      ['oneip top --json --interval 10', 'Elsewhere, or so: a JSON object in each interval'],
    ],
    handler: async () => (await import('./oneip-top.js')).top,
  }),
  command('oneip stats', {
    summary: "Show the driver's counters",
    examples: [['oneip stats --json', 'All counters, for a program']],
    handler: async () => (await oneip()).stats,
  }),
  command('oneip watch', {
    summary: 'Print events as they happen, until Ctrl-C',
    options: {
      after: {
        type: 'string',
        describe: 'Begin after this sequence number; 0: all that the driver remembers',
        placeholder: 'SEQUENCE',
      },
      count: { type: 'number', describe: 'End after so many events', placeholder: 'N' },
    },
    examples: [
      ['oneip watch', 'From now on'],
      ['oneip watch --after 0 --json', 'From the oldest, one JSON object a line'],
    ],
    handler: async () => (await oneip()).watch,
  }),
  command('oneip lookup', {
    summary: 'Tell which member answers a client',
    positionals: {
      client: { type: 'string', describe: "The client's address", required: true },
      address: { type: 'string', describe: 'The cluster address', required: true },
    },
    options: {
      protocol: {
        type: 'string',
        describe: 'Counts for port rules, and where the affinity is five-tuple',
        choices: ['tcp', 'udp', 'icmp', 'icmpv6'],
        default: 'tcp',
      },
      'client-port': { type: 'number', describe: 'Likewise', default: 0, placeholder: 'PORT' },
      port: { type: 'number', describe: 'Likewise', default: 0, placeholder: 'PORT' },
    },
    examples: [
      ['oneip lookup 192.0.2.7 10.77.0.100', 'Which node would serve a new client 192.0.2.7?'],
      [
        'oneip lookup 192.0.2.7 10.77.0.100 --client-port 50000 --port 80',
        'By port rules; and who serves this flow, where it is known',
      ],
    ],
    handler: async () => (await oneip()).lookup,
  }),
  command('oneip restore', {
    summary: 'Bring what was applied here back into force after a restart, as "driver start" does',
    examples: [['oneip restore', 'When the machine has booted']],
    handler: async () => (await oneip()).restore,
  }),
  command('oneip clear', {
    summary: 'Take the configuration out of force and forget it',
    examples: [['oneip clear --yes', 'This node leaves the cluster for good']],
    handler: async () => (await oneip()).clear,
  }),
];
