/** ntswift service: the process of a node. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { packageRoot } from '../common/paths.js';
import { NodeHost } from '../node/host.js';
import type { Level } from '../node/log.js';
import { formatEndpoint } from '../node/names.js';
import type { Service } from '../node/service.js';
import { ReplService } from '../repl/service.js';
import { endpoint, withNode } from './cluster-access.js';
import type { Context } from './context.js';
import { untilInterrupted } from './interrupt.js';
import { openLog } from './service-log.js';

/**
 * Percent of the heap that may come before all of it is marked, buffers of what is sent and received included.
 * The heap is small and the buffers are many: by V8's own measure a fifth of a backup's time went into marking.
 */
const HEAP_GROWTH = 400;

/** What every node runs beside the service by which nodes know each other. */
function servicesOf({ endpoint }: Context): Service[] {
  return [new ReplService({ endpoint })];
}

export async function service(
  values: {
    listen: string | null;
    address: string | null;
    log: string | null;
    'log-level': Level;
    state: string | null;
  },
  context: Context,
): Promise<void> {
  const places = {
    ...(values.listen === null ? {} : { listen: endpoint(values.listen) }),
    ...(values.address === null ? {} : { address: endpoint(values.address) }),
  };
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH}`);
  const interrupted = untilInterrupted();
  await withNode(values.state, async (local) => {
    const file = values.log === null ? null : path.resolve(values.log);
    const { log, reopen, close } = openLog(file, values['log-level']);
    process.on('SIGHUP', reopen);
    try {
      const services = servicesOf(context);
      const host = await NodeHost.start(local, { services, version: version(), log, ...places });
      const ready = {
        ready: true,
        node: local.name,
        cluster: local.cluster.name,
        listening: formatEndpoint(host.endpoint),
        address: local.address,
        pid: process.pid,
      };
      log.info({ listening: ready.listening, address: ready.address, pid: ready.pid }, 'ready');
      context.item(ready, () => `${ready.node} of ${ready.cluster} is ready at ${ready.listening}`);
      if (!interrupted.aborted) await once(interrupted, 'abort');
      log.info('stopping');
      await host.stop();
      log.info('stopped');
    } finally {
      process.off('SIGHUP', reopen);
      close();
    }
  });
}

function version(): string {
  const file = path.join(packageRoot(), 'package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
