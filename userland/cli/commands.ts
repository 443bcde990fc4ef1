/** The commands of ntswift. */
import { type Command, command } from './command.js';

const service = {
  type: 'string',
  describe: 'The service, as "driver list" names it',
  required: true,
} as const;

const driver = () => import('./driver.js');
const oneip = () => import('./oneip.js');

export const groups: Readonly<Record<string, string>> = {
  driver: 'Install, start and stop drivers',
  oneip: 'One address for several machines',
};

export const commands: readonly Command[] = [
  command('driver install', {
    summary: 'Install a driver from its INF file',
    positionals: {
      inf: { type: 'string', describe: 'The INF file', required: true },
    },
    options: {
      images: {
        type: 'string',
        describe: "Folder of the driver's image; default: beside the INF, else build/host/drivers",
        placeholder: 'FOLDER',
      },
      image: {
        type: 'string',
        describe: 'On the driver host: the ELF module or the Windows image',
        choices: ['elf', 'pe'],
        default: 'elf',
      },
    },
    examples: [
      ['driver install kernel/inf/oneip.inf', 'Install the ONE-IP driver'],
      ['driver install kernel/inf/oneip.inf --image pe', 'The same, its Windows image (.sys)'],
    ],
    handler: async () => (await driver()).install,
  }),
  command('driver check', {
    summary: 'Check an INF file and tell every error, without installing',
    positionals: {
      inf: { type: 'string', describe: 'The INF file', required: true },
    },
    examples: [['driver check kernel/inf/oneip.inf', 'Print file:line: of each error']],
    handler: async () => (await driver()).check,
  }),
  command('driver uninstall', {
    summary: 'Remove a driver and its settings',
    positionals: { service },
    examples: [['driver uninstall NtsOneIp --yes', 'Remove it without being asked']],
    handler: async () => (await driver()).uninstall,
  }),
  command('driver start', {
    summary: 'Start a driver; what was applied before is in force again',
    positionals: { service },
    examples: [['driver start NtsOneIp', 'Load it and restore the configuration']],
    handler: async () => (await driver()).start,
  }),
  command('driver stop', {
    summary: 'Stop a driver',
    positionals: { service },
    examples: [['driver stop NtsOneIp', 'Leave the cluster until "driver start"']],
    handler: async () => (await driver()).stop,
  }),
  command('driver list', {
    summary: 'List the installed drivers',
    examples: [['driver list', 'One line for each driver']],
    handler: async () => (await driver()).list,
  }),
  command('driver status', {
    summary: 'Show one driver, or all of them, in full',
    positionals: {
      service: { ...service, required: false },
    },
    examples: [
      ['driver status', 'All drivers'],
      ['driver status NtsOneIp --json', 'One driver, for a program'],
    ],
    handler: async () => (await driver()).status,
  }),

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
    summary: 'Make this node the dispatcher, now',
    examples: [['oneip promote', 'Before maintenance of the present dispatcher']],
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
        describe: 'Counts where the affinity is five-tuple',
        choices: ['tcp', 'udp', 'icmp', 'icmpv6'],
        default: 'tcp',
      },
      'client-port': { type: 'number', describe: 'Likewise', default: 0, placeholder: 'PORT' },
      port: { type: 'number', describe: 'Likewise', default: 0, placeholder: 'PORT' },
    },
    examples: [['oneip lookup 192.0.2.7 10.77.0.100', 'Which node serves 192.0.2.7?']],
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

  command('node', {
    summary: 'Show this node: host, adapters, drivers, role',
    examples: [['node', 'A page for a first look']],
    handler: async () => (await import('./node.js')).node,
  }),
];
