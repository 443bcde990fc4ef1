/** The commands of ntswift. */
import { type Command, command } from './command.js';
import { clusterCommands, nodeCommands } from './cluster-commands.js';
import { oneipCommands } from './oneip-commands.js';
import { replCommands } from './repl-commands.js';

const service = {
  type: 'string',
  describe: 'The service, as "driver list" names it',
  required: true,
} as const;

const driver = () => import('./driver.js');

export const groups: Readonly<Record<string, string>> = {
  driver: 'Install, start and stop drivers',
  oneip: 'One address for several machines',
  repl: 'Replicate folders to other nodes',
  cluster: 'Make a cluster of nodes, and admit nodes to it',
  'cluster ca': "Move the key of the cluster's CA",
  node: 'Show this node; join a cluster, list and remove its nodes',
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

  ...oneipCommands,
  ...replCommands,

  ...clusterCommands,
  ...nodeCommands,
];
