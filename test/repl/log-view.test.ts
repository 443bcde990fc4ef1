// The log as replay's thread asks for it: an answer is what the other thread has given, not that somebody was woken.
import { MessageChannel, Worker } from 'node:worker_threads';
import t from 'tap';
import type { Log } from '../../userland/repl/log.js';
import { LogAnswers, newLogShare } from '../../userland/repl/log-view.js';

const viewModule = new URL('../../userland/repl/log-view.js', import.meta.url).href;

/** Asks until it is told a number below zero; says what it was told, or why it was told nothing. */
const asker = `
  const { parentPort, workerData } = require('node:worker_threads');
  import(${JSON.stringify(viewModule)}).then(({ RemoteLog }) => {
    const log = new RemoteLog(workerData.port, workerData.share);
    const told = [];
    try {
      for (let at = 0; at >= 0; ) told.push((at = log.consistent()));
    } catch (error) {
      told.push(error.message);
      Atomics.store(workerData.ended, 0, 1);
    }
    parentPort.postMessage(told);
  });`;

t.test('a notification that comes late is not taken for an answer', async (t) => {
  const share = newLogShare();
  const ended = new Int32Array(new SharedArrayBuffer(4));
  const { port1, port2 } = new MessageChannel();
  let questions = 0;
  // Wakes the asker, which waits, until it has gone to sleep again.
  const wakeTwice = (): void => {
    for (let woken = 0; woken < 2 && Atomics.load(ended, 0) === 0;)
      woken += Atomics.notify(share.flag, 0);
  };
  const log: Pick<Log, 'consistent'> = {
    consistent: () => {
      questions += 1;
      wakeTwice();
      return questions < 5 ? questions : -1;
    },
  };
  new LogAnswers(log as Log, port1, share);
  const worker = new Worker(asker, {
    eval: true,
    workerData: { port: port2, share, ended },
    transferList: [port2],
  });
  const told = await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  t.same(told, [1, 2, 3, 4, -1]);
  port1.close();
  await worker.terminate();
});
