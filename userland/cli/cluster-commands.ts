/** The commands of ntswift cluster and ntswift node, and ntswift service. */
import { type Command, command } from './command.js';

const cluster = () => import('./cluster.js');
const nodes = () => import('./nodes.js');

const state = {
  type: 'string',
  describe: 'Where this node keeps what must survive; default: NTSWIFT_STATE or /var/lib/ntswift',
  placeholder: 'FOLDER',
} as const;

const address = {
  type: 'string',
  describe: "Where other nodes reach this one; default: this machine's name, port 7770",
  placeholder: 'HOST:PORT',
} as const;

export const clusterCommands: readonly Command[] = [
  command('cluster init', {
    summary: 'Make a cluster: its CA, and this node as the first of it',
    options: {
      name: { type: 'string', describe: "The cluster's name", default: 'ntswift' },
      node: {
        type: 'string',
        describe: "This node's name; default: this machine's name",
        placeholder: 'NAME',
      },
      address,
      state,
    },
    examples: [
      ['cluster init --name shop --address 10.0.0.1', 'On the first node, once'],
      ['service', 'Then let it run, so that others can join'],
    ],
    handler: async () => (await cluster()).init,
  }),
  command('cluster token', {
    summary: 'Print a token that admits one node, for a short time',
    options: {
      ttl: {
        type: 'string',
        describe: 'How long it is good: from 10s to 7d',
        default: '10m',
        placeholder: 'TIME',
      },
      state,
    },
    examples: [
      ['cluster token', 'On a node with the key of the CA; for "node join"'],
      ['cluster token --ttl 1h --json', 'With its end, for a program'],
    ],
    handler: async () => (await cluster()).token,
  }),
  command('cluster ca export', {
    summary: "Write the key of the cluster's CA to a file",
    positionals: {
      file: { type: 'string', describe: 'A new file, for its owner alone', required: true },
    },
    options: {
      move: { type: 'boolean', describe: 'Take the key from this node' },
      'passphrase-file': {
        type: 'string',
        describe: 'Encrypt the key with the first line of this file',
        placeholder: 'FILE',
      },
      state,
    },
    examples: [
      ['cluster ca export ca.json --passphrase-file p', 'A copy, for a safe place'],
      ['cluster ca export ca.json --move', 'To move it to another node'],
    ],
    handler: async () => (await cluster()).exportCa,
  }),
  command('cluster ca import', {
    summary: "Give this node the key of the cluster's CA, so that it can admit nodes",
    positionals: {
      file: { type: 'string', describe: 'What "cluster ca export" wrote', required: true },
    },
    options: {
      'passphrase-file': {
        type: 'string',
        describe: 'Its first line is what the key was encrypted with',
        placeholder: 'FILE',
      },
      state,
    },
    examples: [
      ['cluster ca import ca.json', 'On a node of the same cluster; then delete the file'],
    ],
    handler: async () => (await cluster()).importCa,
  }),
];

export const nodeCommands: readonly Command[] = [
  command('node', {
    summary: 'Show this node: host, adapters, drivers, role',
    examples: [['node', 'A page for a first look']],
    handler: async () => (await import('./node.js')).node,
  }),
  command('node join', {
    summary: 'Make this machine a node of a cluster',
    positionals: {
      to: {
        type: 'string',
        describe: 'HOST or HOST:PORT of a node with the key of the CA, where "service" runs',
        required: true,
      },
    },
    options: {
      token: {
        type: 'string',
        describe: 'What "cluster token" printed there; - reads it from stdin',
        required: true,
      },
      name: {
        type: 'string',
        describe: "This node's name; default: this machine's name",
      },
      address,
      state,
    },
    examples: [
      ['node join 10.0.0.1 --token ntsj1.6bT...', 'When interrupted, run it again'],
      ['node join alpha --token - --name beta <token', 'Where others may list the processes'],
    ],
    handler: async () => (await nodes()).join,
  }),
  command('node list', {
    summary: 'List the nodes of the cluster, as far as this node knows',
    options: {
      removed: { type: 'boolean', describe: 'List those that were removed' },
      state,
    },
    examples: [['node list', 'One line for each node']],
    handler: async () => (await nodes()).list,
  }),
  command('node status', {
    summary: 'Show this node, and ask the others how they are',
    positionals: {
      node: { type: 'string', describe: 'Ask this one only' },
    },
    options: { state },
    examples: [
      ['node status', 'Who answers, clocks, certificates, services'],
      ['node status beta --json', 'One node, for a program'],
    ],
    handler: async () => (await nodes()).status,
  }),
  command('node renew', {
    summary: 'Renew the certificate of this node now; "service" does it in time by itself',
    options: {
      address: { ...address, describe: 'Where other nodes reach this one from now on' },
      state,
    },
    examples: [
      ['node renew', 'Ask a node with the key of the CA'],
      ['node renew --address 10.0.0.9:7770', 'And make a new address known'],
    ],
    handler: async () => (await nodes()).renew,
  }),
  command('node remove', {
    summary: 'Remove a node from the cluster: no other node talks to it from then on',
    positionals: {
      node: { type: 'string', describe: 'Its name', required: true },
    },
    options: { state },
    examples: [['node remove beta', 'On a node with the key of the CA']],
    handler: async () => (await nodes()).remove,
  }),
  command('node leave', {
    summary: 'Forget the cluster on this node: its key, its certificate, and the key of the CA',
    options: { state },
    examples: [['node leave', 'After "node remove" elsewhere; then it can join again']],
    handler: async () => (await nodes()).leave,
  }),
  command('service', {
    summary: 'Run this node: listen, and run the services, until Ctrl-C or SIGTERM',
    options: {
      listen: {
        type: 'string',
        describe:
          'Where to listen; default: the port of the address, on every address of the machine',
        placeholder: 'HOST:PORT',
      },
      address: { ...address, describe: 'Where other nodes reach this one from now on' },
      log: {
        type: 'string',
        describe:
          'Write the log to this file, as lines of JSON; SIGHUP opens it anew. Default: stderr',
        placeholder: 'FILE',
      },
      'log-level': {
        type: 'string',
        describe: 'What is logged',
        choices: ['error', 'warn', 'info', 'debug'],
        default: 'info',
      },
      state,
    },
    examples: [
      ['service', 'In the foreground; one line on stdout when it is ready'],
      ['service --log /var/log/ntswift.log --json', 'For a supervisor'],
    ],
    handler: async () => (await import('./service.js')).service,
  }),
];
