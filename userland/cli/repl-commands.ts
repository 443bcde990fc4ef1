/** ntswift repl ...: the table. */
import { type Command, command } from './command.js';

const repl = () => import('./repl.js');

const state = {
  type: 'string',
  describe: "Folder with this node's state; default: NTSWIFT_STATE or the system's",
  placeholder: 'FOLDER',
} as const;

const node = {
  type: 'string',
  describe: 'Ask this node instead of the present one',
  placeholder: 'NODE',
} as const;

const set = {
  type: 'string',
  describe: 'The set; default: all of the node',
  required: false,
} as const;

const pattern = (describe: string) =>
  ({ type: 'string', describe, placeholder: 'PATTERN', several: true }) as const;

const rules = {
  include: pattern('Only files that match: "*.db", "logs\\*"; may be given more than once'),
  exclude: pattern('Not files that match; may be given more than once'),
  'exclude-process': pattern('Not what programs write whose path matches'),
  'max-size': {
    type: 'string',
    describe: 'Not files that are larger when they are first opened',
    placeholder: 'SIZE',
  },
} as const;

const mode = {
  type: 'string',
  describe:
    'async: as soon as may be; durable: a flush waits for the backup; copy: whole files, once nobody has changed them for a second',
  choices: ['async', 'durable', 'copy'],
} as const;

export const replCommands: readonly Command[] = [
  command('repl add', {
    summary: 'Replicate a folder to a backup',
    positionals: {
      name: { type: 'string', describe: 'What the set is to be called', required: true },
      folder: {
        type: 'string',
        describe: 'The folder, on a volume that the REPL driver filters',
        required: true,
      },
    },
    options: {
      to: {
        type: 'string',
        describe:
          'A backup and the folder there that gets a folder for each set; may be given more than once',
        placeholder: 'NODE:FOLDER',
        several: true,
      },
      mode: { ...mode, default: 'async' },
      ...rules,
      root: {
        type: 'string',
        describe: "The folder's NT path, where it cannot be found out",
        placeholder: 'NTPATH',
      },
      node,
      state,
    },
    examples: [
      ['repl add shop /srv/shop --to beta:/backup', 'All of it, to /backup/shop on beta'],
      ['repl add docs D:\\docs --to beta:E:\\backup --exclude "*.tmp"', 'On Windows'],
    ],
    handler: async () => (await repl()).add,
  }),
  command('repl set', {
    summary: 'Change how a set, or the node, is replicated; what is not named stays',
    positionals: { set },
    options: {
      mode,
      ...rules,
      'clear-rules': { type: 'boolean', describe: 'Take all rules from the set' },
      to: {
        type: 'string',
        describe: 'One more backup of the node; may be given more than once',
        placeholder: 'NODE:FOLDER',
        several: true,
      },
      without: {
        type: 'string',
        describe: 'This backup no longer gets anything; may be given more than once',
        placeholder: 'NODE',
        several: true,
      },
      limit: {
        type: 'string',
        describe: 'At most so many bytes a second to that backup; 0: no limit',
        placeholder: 'NODE:SIZE',
      },
      journal: {
        type: 'string',
        describe: "Size of the driver's journal on disk; 0: none",
        placeholder: 'SIZE',
      },
      'durable-wait': {
        type: 'number',
        describe: 'A durable flush fails that waited so many milliseconds; 0: it waits',
        placeholder: 'MS',
      },
      keep: {
        type: 'string',
        describe: 'On a backup: the log is kept until it is longer',
        placeholder: 'SIZE',
      },
      node,
      state,
    },
    examples: [
      ['repl set shop --mode durable', 'No acknowledged transaction is ever lost'],
      ['repl set --limit beta:20M', 'At most 20 MiB a second to beta'],
    ],
    handler: async () => (await repl()).set,
  }),
  command('repl remove', {
    summary: 'No longer replicate a set; on a backup: forget it. Files stay where they are',
    positionals: { set: { ...set, required: true } },
    options: { node, state },
    examples: [['repl remove shop', 'The copy on the backup stays as it is']],
    handler: async () => (await repl()).remove,
  }),
  command('repl status', {
    summary: 'Show sets, backups and how far behind they are',
    options: {
      watch: { type: 'boolean', describe: 'Again every second, until Ctrl-C' },
      node,
      state,
    },
    examples: [
      ['repl status', 'A page'],
      ['repl status --watch --json', 'A line a second, for a program'],
    ],
    handler: async () => (await repl()).status,
  }),
  command('repl pause', {
    summary:
      'Send nothing to the backups, or to one, until "resume"; the journal keeps what is missed',
    options: {
      backup: { type: 'string', describe: 'This backup alone', placeholder: 'NODE' },
      node,
      state,
    },
    examples: [['repl pause --backup beta', 'While its network is needed for something else']],
    handler: async () => (await repl()).pause,
  }),
  command('repl resume', {
    summary: 'Go on after "pause"; what was missed is sent',
    options: {
      backup: { type: 'string', describe: 'This backup alone', placeholder: 'NODE' },
      node,
      state,
    },
    examples: [['repl resume', 'All backups']],
    handler: async () => (await repl()).resume,
  }),
  command('repl resync', {
    summary: 'Compare everything with the backups, and send what differs',
    positionals: { set },
    options: { background: { type: 'boolean', describe: 'Do not wait for the end' }, node, state },
    examples: [['repl resync shop', 'Programs go on writing']],
    handler: async () => (await repl()).resync,
  }),
  command('repl verify', {
    summary: 'Compare everything with the backups, and tell which blocks differ',
    positionals: { set },
    options: { node, state },
    examples: [['repl verify shop --json', 'Exit status 3 if something differs']],
    handler: async () => (await repl()).verify,
  }),
  command('repl switchover', {
    summary: 'Make a backup the primary, and this node no longer write',
    positionals: { to: { type: 'string', describe: 'The backup', required: true } },
    options: {
      keep: {
        type: 'string',
        describe: 'This node becomes the backup, and keeps the sets in this folder',
        placeholder: 'FOLDER',
      },
      node,
      state,
    },
    examples: [['repl switchover beta --keep /backup', 'Nothing is lost; programs move to beta']],
    handler: async () => (await repl()).switchover,
  }),
  command('repl takeover', {
    summary: 'On a backup whose primary is dead: become primary with what is here',
    options: {
      primary: { type: 'string', describe: 'Whose sets, if of several', placeholder: 'NODE' },
      force: {
        type: 'boolean',
        describe: 'Also if the primary is connected, or its first synchronisation has not ended',
      },
      node,
      state,
    },
    examples: [
      [
        'repl takeover',
        'The old primary, back again, becomes a backup; what only it had is set aside',
      ],
    ],
    handler: async () => (await repl()).takeover,
  }),
  command('repl bookmark', {
    summary: 'Give this moment a name, to which a backup can be restored',
    positionals: { label: { type: 'string', describe: 'The name', required: true } },
    options: { node, state },
    examples: [['repl bookmark before-upgrade', '']],
    handler: async () => (await repl()).bookmark,
  }),
  command('repl restore', {
    summary:
      'On a backup: make the tree what it was at an earlier moment, and hold it there; or copy that moment into a folder',
    positionals: {
      at: {
        type: 'string',
        describe: 'A bookmark, a record number, or a time such as 2026-11-21T10:00:00Z',
      },
    },
    options: {
      into: {
        type: 'string',
        describe: 'Into this folder on the backup, empty or new; replication goes on',
        placeholder: 'FOLDER',
      },
      resume: { type: 'boolean', describe: 'Go on from there to the present' },
      primary: { type: 'string', describe: 'Whose sets, if of several', placeholder: 'NODE' },
      node,
      state,
    },
    examples: [
      ['repl restore before-upgrade', 'Look, copy; records are received meanwhile'],
      ['repl restore --resume', 'Back to the present'],
      ['repl restore before-upgrade --into /srv/then', 'A folder for each set, as it was'],
    ],
    handler: async () => (await repl()).restore,
  }),
  command('repl log', {
    summary: 'On a backup: what the log holds, and its bookmarks',
    options: {
      primary: { type: 'string', describe: 'Whose log, if of several', placeholder: 'NODE' },
      node,
      state,
    },
    examples: [['repl log', 'How far back "restore" can go']],
    handler: async () => (await repl()).log,
  }),
];
