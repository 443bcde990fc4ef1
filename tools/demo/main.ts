// `npm run demo`: four machines share one address; the dispatcher dies, twice; the service goes on. Then one drains, a fifth comes, and the
// role is handed over, while downloads run. At last two machines, of which one keeps what the other replicates, and the other dies.
//
//   --keep        leave the cluster up, and say how to play with it
//   --image=pe    load oneip.sys instead of the ELF module
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { showChanges } from './changes.js';
import { formatShares, roleTable, serveVerbs } from './play.js';
import { showReplication } from './replication.js';
import { Cluster } from '../lab/cluster.js';
import { failover, mend, type Failure } from '../lab/failover.js';
import { Lab } from '../lab/lab.js';

const nodes = 4;
const shownClients = 8;
const manyClients = 1000;
/** Clients that ask all the time while the dispatcher fails. */
const askingClients = 8;

const argv = yargs(hideBin(process.argv))
  .scriptName('npm run demo --')
  .option('keep', { type: 'boolean', default: false, describe: 'leave the cluster up' })
  .option('image', {
    choices: ['elf', 'pe'] as const,
    default: 'elf' as const,
    describe: 'which build of the driver',
  })
  .strict()
  .parseSync();

function say(text = ''): void {
  console.log(text);
}

function heading(text: string): void {
  say(`\n${text}\n${'-'.repeat(text.length)}`);
}

// One more machine, which becomes a member later.
const lab = await Lab.create({ nodes: nodes + 1, clients: manyClients });
try {
  await show(lab);
} catch (error) {
  await lab.close();
  throw error;
}

async function show(lab: Lab): Promise<void> {
  const cluster = new Cluster(
    lab,
    { image: argv.image, verifier: false },
    lab.nodes.slice(0, nodes),
  );
  const { ipv4, ipv6 } = cluster.address;
  const driver = argv.image === 'pe' ? 'oneip.sys, the PE image' : 'oneip, built from kernel/oneip';

  heading(`${nodes} machines, one address: ${ipv4} and ${ipv6}`);
  say(
    `On each machine ${driver}, between its network card and its TCP/IP stack, and an HTTP server.`,
  );
  await cluster.start(say);
  let dispatcher = await cluster.settled();
  say(
    `\n${dispatcher.name} is the dispatcher: it answers ARP and NDP for the address, and hands clients on.`,
  );

  heading('Which server answers which client');
  await showClients(cluster);

  const rounds: { failure: Failure; title: (name: string) => string }[] = [
    { failure: 'kill', title: (name) => `SIGKILL of ${name}, the dispatcher's machine` },
    { failure: 'cut', title: (name) => `The cable of ${name}, the dispatcher now, is pulled` },
  ];
  for (const [index, { failure, title }] of rounds.entries()) {
    heading(`Round ${index + 1}: ${title(dispatcher.name)}`);
    const result = await failover(cluster, { failure, clients: askingClients });
    const { worst, worstMs, worstOfOthersMs, failed, successor, attempts, answered } = result;
    say(
      `${askingClients} clients asked all the time: ${answered} of ${attempts} attempts were answered.`,
    );
    say(
      `Longest gap that a client saw: ${worstMs.toFixed(0)} ms ` +
        `(${worst.source}, served by ${worst.before ?? '?'} before and by ${worst.after ?? '?'} after).`,
    );
    say(`Among the clients of the other servers: ${worstOfOthersMs.toFixed(0)} ms.`);
    say(`The dispatcher now: ${successor.name}.`);
    await showClients(cluster);
    say(`\n${failed.name} comes back ...`);
    dispatcher = await mend(cluster, result);
    say(`${failed.name} is a member again; the dispatcher is ${dispatcher.name}.`);
  }

  heading(`Round 3: one drains, one comes, and the role is handed over`);
  await showChanges(cluster, lab.nodes[nodes]!, say);
  dispatcher = await cluster.settled();

  heading('Afterwards');
  say(await roleTable(cluster));
  await showClients(cluster);
  if (!argv.keep) await lab.close();

  heading('A shop and its documents, replicated from alpha to beta');
  await showReplication(say);
  if (!argv.keep) return;
  serveVerbs(cluster);
  heading('The cluster stays up. To play with it:');
  say('npm run lab -- status                     who is dispatcher, what each node sees');
  say(`npm run lab -- ask 100                    requests from 100 clients`);
  say(
    `npm run lab -- kill ${dispatcher.name.padEnd(20)}  SIGKILL of the machine; boot ${dispatcher.name} brings it back`,
  );
  say(
    `npm run lab -- cut ${dispatcher.name.padEnd(21)}  pull its cable; mend ${dispatcher.name} puts it back`,
  );
  say(`npm run lab -- exec client ping -c 3 ${ipv4}`);
  say('npm run lab -- --help                     all of it');
  say('npm run lab -- stop                       the end');
  // The entry script waits for this; then nobody reads what we print.
  if (process.send) {
    process.send('kept');
    process.disconnect();
  }
}

async function showClients(cluster: Cluster): Promise<void> {
  const { client } = cluster.lab;
  for (const family of ['ipv4', 'ipv6'] as const) {
    const answers = await client.ask({
      op: 'fetch',
      sources: client.sources(family),
      target: cluster.address[family],
      width: 32,
      timeoutMs: 3000,
    });
    if (family === 'ipv4') {
      for (const { source, server } of answers.slice(0, shownClients))
        say(`  ${source.padEnd(14)} -> ${server ?? 'no answer'}`);
    }
    say(`  ${formatShares(family, answers)}`);
  }
}
